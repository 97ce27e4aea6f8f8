"""What auth and auth_db are made of: nonces, challenges, the check of credentials."""
