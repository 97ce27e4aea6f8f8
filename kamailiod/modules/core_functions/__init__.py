"""The script functions of the core (KSR.* without a module name), by theme; core.py joins them."""
