"""HTTP requests that scripts wait for: what both HTTP client modules are made of."""
