"""How many requests come from which addresses: the machinery of pike."""
