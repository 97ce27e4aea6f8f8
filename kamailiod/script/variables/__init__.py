"""The pseudo-variables that need no module, by theme; each file registers its own."""
