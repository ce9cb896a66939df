"""A PyTorch module or exported program to a `Graph`."""
