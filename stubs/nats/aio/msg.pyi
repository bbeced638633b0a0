class Msg:
    subject: str
    reply: str
    data: bytes
    headers: dict[str, str] | None
    async def ack(self) -> None: ...
