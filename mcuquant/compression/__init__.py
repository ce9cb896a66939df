"""Compression of a PyTorch network before quantization.

`channel_groups` determines which channels can only be cut together and cuts them, `importance` ranks channels, `widths`
distributes the cut over layers, `prune` searches for the smallest cut that meets a target, and `training` recovers
accuracy. The path from a .tflite file to firmware does not import this package, which needs PyTorch and torch-pruning.
"""
