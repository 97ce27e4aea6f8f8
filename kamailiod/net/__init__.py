"""Sockets, streams, framing and names: how SIP messages enter and leave."""
