"""
The shop from a command line.

``python -m shop day ORDERS LOGS`` works through a file of orders; ``python -m shop replay LOGS`` reads what that did.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from bubus import ValidationError

from .day import read_orders, work
from .replay import DamagedError, replay


def main(arguments: list[str]) -> int:
    """Print the books as JSON; 2 means that the input is not what it should be."""
    try:
        match arguments:
            case ["day", orders, logs]:
                print(asyncio.run(work(read_orders(Path(orders)), Path(logs))).to_json())
            case ["replay", logs]:
                print(replay(Path(logs)).to_json())
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except (ValidationError, DamagedError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
