"""Pipes that let so many requests through an interval: the machinery of ratelimit and pipelimit."""
