"""What module sl sends: replies.py makes and sends a stateless reply."""
