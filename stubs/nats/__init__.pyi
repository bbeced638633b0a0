from nats.aio.client import Client as NATS

__all__ = ["NATS"]
