"""What stands behind the dialog module: following calls, its variables, its RPC answers."""
