"""What stands behind the acc module: what is written of a transaction and of a call."""
