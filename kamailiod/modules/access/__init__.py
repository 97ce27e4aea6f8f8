"""Who may do what: address tables, trusted peers and rule files, the machinery of permissions."""
