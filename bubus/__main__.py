"""Run the command line as ``python -m bubus``."""

from __future__ import annotations

from bubus.cli import main

if __name__ == "__main__":
    main()
