"""Set before numpy is imported: tests run side by side, and matrix products here are small."""

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
