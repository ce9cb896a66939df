"""Variants for cores without SIMD instructions: Cortex-M0+ and M3."""
