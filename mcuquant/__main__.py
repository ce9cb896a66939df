"""`python -m mcuquant` is the command `mcuquant`."""

from .cli import main

main(prog_name="mcuquant")
