"""Every way in: pages, console, REST, command line, worker. No domain code."""
