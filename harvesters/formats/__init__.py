"""Bytes to harvested records, one format each. Pure."""
