"""Everything the end-to-end tests stand on: the gateway as a process, servers to put behind it, clients to put before it."""
