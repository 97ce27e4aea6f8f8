"""Commands for a running server: JSON-RPC, and the HTTP server it is spoken over."""
