"""Converts a plan to sources: the program, its constants, the C files and the application around them."""
