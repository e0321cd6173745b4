"""The demo: a library to try everything on, and a small site that it harvests."""
