"""The script functions of module pv, by theme."""
