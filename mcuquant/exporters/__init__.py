"""Graphs to other formats."""
