"""The machinery of the cfgutils module."""
