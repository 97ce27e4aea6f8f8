"""What nathelper does, by theme; nathelper.py joins it."""
