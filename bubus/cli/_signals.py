"""Being told to stop."""

from __future__ import annotations

import asyncio
import signal


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set *stop* at SIGTERM and SIGINT, on every platform."""
    loop = asyncio.get_running_loop()

    def tell(number: int, _: object) -> None:
        if loop.is_closed():  # the work is done: the signal means again what it meant before
            _ = signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        else:
            _ = loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        _ = signal.signal(number, tell)  # only the loops of Unix take signals themselves
