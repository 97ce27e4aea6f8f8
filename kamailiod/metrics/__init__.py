"""Counting, and showing what was counted: shared statistics, and Prometheus metrics over them."""
