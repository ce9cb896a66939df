"""Cortex-M cores and board profiles."""
