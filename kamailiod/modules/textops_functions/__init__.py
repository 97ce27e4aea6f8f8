"""The functions of module textops, by theme; textops.py joins them."""
