"""Variants for cores with the DSP extension (SMLAD): Cortex-M4, M7, M33."""
