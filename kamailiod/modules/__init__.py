"""One file a Kamailio module, under its Kamailio name."""
