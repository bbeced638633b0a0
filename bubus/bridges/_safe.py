"""What bridges tell in the log and in errors: no secrets."""

from __future__ import annotations

import logging
import re
from typing import Final

logger: Final = logging.getLogger("bubus")

_SECRET: Final = re.compile(r"(?<=//)[^/\s]*(?=@)|(?<=password=)[^&\s]*|(?<=token=)[^&\s]*", re.IGNORECASE)


def safe(value: object) -> str:
    """Return *value* as text without the user and password of any URL in it."""
    return _SECRET.sub("***", " ".join(str(value).split()))
