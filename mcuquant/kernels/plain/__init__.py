"""Variants in portable C, which every core runs."""
