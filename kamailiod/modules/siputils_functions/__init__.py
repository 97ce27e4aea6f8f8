"""The functions of module siputils, by theme; siputils.py joins them."""
