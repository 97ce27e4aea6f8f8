"""The machinery of the mtree module."""
