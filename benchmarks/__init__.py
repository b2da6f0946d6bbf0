"""Measurements against other ways to do the same; each checks its answers before it takes a time."""
