"""What sqlops is made of: connections by name, results of requests, queries in the background."""
