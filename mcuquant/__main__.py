"""`python -m mcuquant` and the command `mcuquant`."""

from __future__ import annotations

import sys

_INTERRUPTED = 130


def start() -> None:
    """Run the command line. Imports take a second, and Ctrl-C during that time is no error of the program either."""
    try:
        from .cli import main

        main(prog_name="mcuquant")
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    start()
