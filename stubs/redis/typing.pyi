from collections.abc import Awaitable
from typing import Literal, Protocol, TypeAlias, overload

EncodableT: TypeAlias = str | bytes | float

# Replies are those of RESP2, as the server sends them: bubus takes away the callbacks that would change them.
class CommandsProtocol(Protocol):
    @overload
    def execute_command(
        self, command: Literal["BLPOP"], /, *words: EncodableT | None
    ) -> Awaitable[tuple[bytes, bytes] | None]: ...
    @overload
    def execute_command(
        self, command: Literal["CONFIG GET", "HMGET"], /, *words: EncodableT | None
    ) -> Awaitable[list[bytes]]: ...
    @overload
    def execute_command(
        self, command: Literal["XAUTOCLAIM"], /, *words: EncodableT | None
    ) -> Awaitable[tuple[bytes, list[tuple[bytes, list[bytes] | None] | None]]]: ...
    @overload
    def execute_command(
        self, command: Literal["XINFO CONSUMERS"], /, *words: EncodableT | None
    ) -> Awaitable[list[list[bytes | int]]]: ...
    @overload
    def execute_command(
        self, command: Literal["XPENDING"], /, *words: EncodableT | None
    ) -> Awaitable[list[tuple[bytes, bytes, int, int]]]: ...
    @overload
    def execute_command(
        self, command: Literal["XRANGE"], /, *words: EncodableT | None
    ) -> Awaitable[list[tuple[bytes, list[bytes] | None]]]: ...
    @overload
    def execute_command(
        self, command: Literal["XREADGROUP"], /, *words: EncodableT | None
    ) -> Awaitable[list[tuple[bytes, list[tuple[bytes, list[bytes] | None]]]] | None]: ...
    @overload
    def execute_command(self, *words: EncodableT | None) -> Awaitable[object]: ...
