"""A compiled project on disk, and the board that runs it."""
