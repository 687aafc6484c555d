"""As much of HTTP/1.1 as the simulated server needs, and no more, so that the client is what is measured: about three
times the requests per second of a general server. Bodies have a Content-Length; connections are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast

MOST_HEAD = 1 << 16  # bytes


@dataclass(slots=True)
class Request:
    """One request. `target` is the path with its query."""

    method: str
    target: str
    authorization: str
    body: bytes


@dataclass(slots=True)
class Reply:
    """One answer. `extra` is header lines, each with its line end. The body may come in pieces over `seconds`; a
    dropped reply is a closed connection."""

    body: bytes
    status: int = 200
    kind: str = "application/json"
    extra: str = ""
    seconds: float = 0.0
    drop: bool = False

    def head(self) -> bytes:
        """The status line and the headers."""
        return (
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\nContent-Type: {self.kind}\r\n"
            f"Content-Length: {len(self.body)}\r\n{self.extra}\r\n"
        ).encode()


Handler = Callable[[Request], Awaitable[Reply]]


class Connection(asyncio.Protocol):
    """One client's connection: a request is answered before the next one is read. The handler is cancelled when the
    client goes away."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._buffer = b""
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if self._task is None:
            self._next()

    def _next(self) -> None:
        """Begin the request that the buffer holds, if it is whole."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MOST_HEAD:
                self._close()
            return
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = end + 4 + int(headers.get("content-length", 0))
        if headers.get("expect", "").lower() == "100-continue" and len(self._buffer) == end + 4 and self._transport:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if len(self._buffer) < length:
            return
        method, target, _ = first.split(" ")
        request = Request(method, target, headers.get("authorization", ""), self._buffer[end + 4 : length])
        self._buffer = self._buffer[length:]
        keep = headers.get("connection", "").lower() != "close"
        self._task = asyncio.get_running_loop().create_task(self._answer(request, keep))

    async def _answer(self, request: Request, keep: bool) -> None:
        reply = await self._handler(request)
        if reply.drop:
            self._close()
        elif reply.seconds:
            await self._drip(reply)
        elif self._transport is not None:
            self._transport.write(reply.head() + reply.body)
        self._task = None
        if not keep:
            self._close()
        elif self._buffer:
            self._next()

    async def _drip(self, reply: Reply) -> None:
        pieces = 20
        step = len(reply.body) // pieces + 1
        for start in range(0, len(reply.body), step):
            if self._transport is not None:
                self._transport.write((b"" if start else reply.head()) + reply.body[start : start + step])
            await asyncio.sleep(reply.seconds / pieces)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()
