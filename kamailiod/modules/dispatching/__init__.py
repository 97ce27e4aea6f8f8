"""The machinery of the dispatcher module: destinations, choosing one, probing, call load."""
