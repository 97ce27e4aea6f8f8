"""Queues of scripts: their definitions and their rows in a database."""
