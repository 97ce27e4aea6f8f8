"""SIP without sockets and clocks: grammar, messages, edits, transaction state machines."""
