from collections.abc import Awaitable
from typing import Literal, Protocol, TypeAlias, overload

Word: TypeAlias = str | bytes | float | None
Entry: TypeAlias = tuple[bytes, list[bytes] | None]
Pending: TypeAlias = list[tuple[bytes, bytes, int, int]]

# Replies are those of RESP2, as the server sends them: bubus takes away the callbacks that would change them.
class CommandsProtocol(Protocol):
    @overload
    def execute_command(self, command: Literal["BLPOP"], /, *words: Word) -> Awaitable[tuple[bytes, bytes] | None]: ...
    @overload
    def execute_command(self, command: Literal["CONFIG GET"], /, *words: Word) -> Awaitable[list[bytes]]: ...
    @overload
    def execute_command(self, command: Literal["HMGET"], /, *words: Word) -> Awaitable[list[bytes]]: ...
    @overload
    def execute_command(
        self, command: Literal["XAUTOCLAIM"], /, *words: Word
    ) -> Awaitable[tuple[bytes, list[Entry | None]]]: ...
    @overload
    def execute_command(
        self, command: Literal["XINFO CONSUMERS"], /, *words: Word
    ) -> Awaitable[list[list[bytes | int]]]: ...
    @overload
    def execute_command(self, command: Literal["XPENDING"], /, *words: Word) -> Awaitable[Pending]: ...
    @overload
    def execute_command(self, command: Literal["XRANGE"], /, *words: Word) -> Awaitable[list[Entry]]: ...
    @overload
    def execute_command(
        self, command: Literal["XREADGROUP"], /, *words: Word
    ) -> Awaitable[list[tuple[bytes, list[Entry]]] | None]: ...
    @overload
    def execute_command(self, *words: Word) -> Awaitable[object]: ...
