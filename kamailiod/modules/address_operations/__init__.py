"""What ipops does, by theme; ipops.py joins it."""
