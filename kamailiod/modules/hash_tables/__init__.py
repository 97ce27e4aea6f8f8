"""Hash tables that all processes share: definitions, values, locks, iterators, database rows."""
