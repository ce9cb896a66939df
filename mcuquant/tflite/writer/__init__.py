"""A `Graph` to a .tflite file."""
