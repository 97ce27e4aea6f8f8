"""JSON documents of scripts: places in them, and their values as variables hold them."""
