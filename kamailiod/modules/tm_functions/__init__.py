"""The functions of module tm beside the plain ones, by theme; tm.py joins them."""
