"""Events between processes."""

from __future__ import annotations

from bubus.bridges._base import Delivery as Delivery, Message as Message, Transport as Transport, Verdict as Verdict
from bubus.bridges._bridge import Bridge as Bridge, BridgeStatistics as BridgeStatistics
from bubus.bridges._letters import DeadLetter as DeadLetter
from bubus.bridges._outbox import Outbox as Outbox
from bubus.bridges._window import Seen as Seen, SeenFile as SeenFile, Window as Window
