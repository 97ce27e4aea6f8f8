"""A multi-process SIP server that runs Kamailio's configuration files and KEMI Lua scripts."""

__version__ = "0.1.0"
