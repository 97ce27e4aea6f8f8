"""Routes that run again and again: what modparams say of them, and running them."""
