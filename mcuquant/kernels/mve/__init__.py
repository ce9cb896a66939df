"""Variants for cores with the vector extension (Helium): Cortex-M55."""
