"""Variants that read weights of fewer than 8 bits or with codebooks."""
