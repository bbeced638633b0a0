"""
Translates what other libraries put in a class body or an annotation into the records of bubus.

Called once per class, never per event: for each value of a class body (decorated functions, defaults), for each item
of an `Annotated`, and for `model_config`. What is not known passes as it is.
"""

from __future__ import annotations

from typing import Any


def translated(value: Any) -> Any:
    """Return *value*, or the record of bubus._marks or bubus._field_info that says the same."""
    return value
