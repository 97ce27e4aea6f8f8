"""The checks behind module sanity: params.py its modparams, checks.py each check by its bit."""
