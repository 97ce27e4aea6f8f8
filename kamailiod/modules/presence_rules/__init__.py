"""Who may watch whom: the rules that presentities keep in XCAP documents."""
