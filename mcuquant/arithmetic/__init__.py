"""What every operation computes: fixed-point primitives, integer parameters and the reference interpreter."""
