"""The .tflite format: its rows (`schema`), reading a graph (`reader`) and writing one (`writer`)."""
