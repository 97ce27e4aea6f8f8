"""Shared memory of cooperating processes: segments, locks, a heap, a hash map, counters, typed
stores.
"""
