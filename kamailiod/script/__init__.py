"""What a script sees: request context, pseudo-variables, module declarations, routes."""
