"""The arithmetic of every operation: fixed-point primitives, integer parameters and the reference interpreter."""
