"""Making a PyTorch network smaller before it becomes integers: what is cut here, the device no longer computes.

`channels` finds what must be cut together and cuts it, `importance` ranks it, `widths` decides how much goes where,
`prune` searches for what meets a target, `training` gets back accuracy. Nothing here is imported by the way from a
.tflite file to firmware: PyTorch and torch-pruning are needed for training alone.
"""
