"""Typed stores over the hash map: location, dialog and htable records, in msgpack."""
