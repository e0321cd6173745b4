"""The commands, a file per group: parse, call, say."""
