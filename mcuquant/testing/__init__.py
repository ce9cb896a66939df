"""Hardware-in-the-loop tests: the pytest plugin, board selection, comparison by layer, labgrid."""
