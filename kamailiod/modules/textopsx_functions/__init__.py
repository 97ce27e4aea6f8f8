"""The functions of module textopsx, by theme; textopsx.py joins them."""
