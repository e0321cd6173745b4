"""Matches to messages to patrons."""
