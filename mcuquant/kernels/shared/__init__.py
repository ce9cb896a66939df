"""Helpers of several kernel variants: fields of parameter structs, packing, overlap and cycle estimates."""
