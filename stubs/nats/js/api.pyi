from dataclasses import dataclass
from datetime import datetime
from enum import Enum

class AckPolicy(str, Enum):
    EXPLICIT = ...

class DiscardPolicy(str, Enum):
    NEW = ...

class StorageType(str, Enum):
    FILE = ...

@dataclass
class StreamState:
    messages: int
    first_seq: int
    last_seq: int

@dataclass
class StreamConfig:
    name: str | None = ...
    subjects: list[str] | None = ...
    max_msgs: int | None = ...
    discard: DiscardPolicy | None = ...
    max_age: float | None = ...
    storage: StorageType | None = ...
    num_replicas: int | None = ...
    duplicate_window: float = ...
    metadata: dict[str, str] | None = ...

@dataclass
class StreamInfo:
    config: StreamConfig
    state: StreamState
    created: datetime | None

@dataclass
class ConsumerConfig:
    durable_name: str | None = ...
    ack_policy: AckPolicy | None = ...
    ack_wait: float | None = ...
    max_deliver: int | None = ...
    filter_subject: str | None = ...
    max_ack_pending: int | None = ...

@dataclass
class ConsumerInfo:
    config: ConsumerConfig

@dataclass
class PubAck:
    stream: str
    seq: int
    duplicate: bool | None

@dataclass
class RawStreamMsg:
    seq: int | None
    data: bytes | None
    headers: dict[str, str] | None
