"""How module jsonrpcs is reached beside HTTP: transports.py its FIFO and datagram socket."""
