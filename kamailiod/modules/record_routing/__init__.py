"""What module rr is made of: own_route.py takes the one Route that we wrote ourselves."""
