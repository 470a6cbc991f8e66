"""What the application does, whichever framework it is written in; the others connect it to their routes."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final

#: Nobody outside may read this.
SECRET: Final = "the-combination-is-1234"

PIECES: Final = tuple(b"piece %d of 4\n" % number for number in (1, 2, 3, 4))

#: What websockets send with their acceptance.
ACCEPT_HEADERS: Final = [(b"x-one", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]

#: How the websockets of some keys have ended, as far as the framework says it: the code, and the reason.
ends: Final[dict[str, tuple[int | None, str | None]]] = {}

_permits = asyncio.Semaphore(0)


async def pieces() -> AsyncIterator[bytes]:
    """Yield the first piece, and each other one after a call of `let_continue`."""
    yield PIECES[0]
    for piece in PIECES[1:]:
        await _permits.acquire()
        yield piece


def let_continue() -> None:
    """Permit one more piece."""
    _permits.release()


async def broken_pieces() -> AsyncIterator[bytes]:
    """Yield a piece and then raise something that was not foreseen."""
    yield PIECES[0]
    fail()


async def summary(body: AsyncIterable[bytes]) -> dict[str, int | str]:
    """Read an upload and describe it."""
    size = 0
    digest = hashlib.sha256()
    async for piece in body:
        size += len(piece)
        digest.update(piece)
    return {"size": size, "sha256": digest.hexdigest()}


def preferred(offered: Iterable[str]) -> str | None:
    """Return the subprotocol that is liked best of those that a client offers."""
    return next((name for name in ("v2", "v1") if name in offered), None)


async def count(send: Callable[[str], Awaitable[None]]) -> None:
    """Send a hundred messages, and let others send between them."""
    for number in range(100):
        await send(f"count {number}")
        await asyncio.sleep(0)


def fail() -> None:
    """Raise something that was not foreseen."""
    raise RuntimeError(SECRET)


def shut_down() -> None:
    """Leave a trace of the shutdown."""
    with Path(os.environ["CONTRACT_SHUTDOWN_FILE"]).open("a") as file:
        file.write("shutdown\n")
