"""kamailiod-ctl, the client of a running server."""
