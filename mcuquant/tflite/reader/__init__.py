"""A .tflite file to a `Graph`."""
