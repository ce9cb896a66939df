"""Variants that skip weights of zero: lists of entries, and bitmaps."""
