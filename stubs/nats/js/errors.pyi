from nats.errors import Error as NatsError

class APIError(NatsError):
    code: int | None
    err_code: int | None
    description: str | None

class NotFoundError(APIError): ...
