"""Readers of other people's model formats: each gives a `Graph`."""
