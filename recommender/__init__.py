"""Rows to models to matches, with reasons."""
