"""The machinery of the domain module."""
