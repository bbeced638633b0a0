"""Dead letters: events that could not be done, and why."""

from __future__ import annotations

import attrs

from bubus.bridges._base import Delivery, Message
from bubus.bridges._wire import Head, decode_head_of, encode_head


@attrs.frozen
class DeadLetter:
    """An event that could not be done, and why."""

    id: str
    """Id of its message, which is that of the event."""

    group: str
    """The group that could not do it."""

    error: str
    """What its handlers raised, or why it was not given to them."""

    deliveries: int
    """How often it was tried."""

    buried_at: str
    """When it was given up, in ISO 8601."""

    body: bytes
    """The event as it was received."""

    delivery: Delivery = attrs.field(repr=False)
    """Where it is."""

    def as_message(self) -> Message:
        """Return what delivers it again, to its group only; sending it twice does so once."""
        head = decode_head_of(self.delivery)
        again = Head(head.buses, head.streams, head.path, group=self.group)
        return Message(f"{self.id}/{self.group}/{self.buried_at}", self.body, encode_head(again))


def letter_of(delivery: Delivery) -> DeadLetter:
    """
    Return the dead letter in a delivery.

    Raises:
        InvalidEvent: If there is none.
    """
    head = decode_head_of(delivery)
    message_id = delivery.id.removesuffix(f"/{head.group}")
    return DeadLetter(message_id, head.group, head.error, head.deliveries, head.buried_at, delivery.body, delivery)
