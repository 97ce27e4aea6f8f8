"""What ndb_redis is made of: definitions, commands, replies and the clients that scripts use."""
