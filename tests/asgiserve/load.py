"""A constant load on a server, and what was lost of it: clients that never try anything twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

from tests.asgiserve.raw import PATIENCE


class Load:
    """Clients in a thread of their own, from entry to exit; `failures` says what went wrong for them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stop = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self.answered = {"kept": 0, "new": 0, "slow": 0}
        self.failures: list[str] = []

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        self._thread.join(PATIENCE)

    async def _run(self) -> None:
        """200 requests a second and more: most on connections that are kept, some on new ones, some slow."""
        clients: list[Coroutine[Any, Any, None]] = []
        clients += [self._ask_on_and_on("kept", "/", 0.1) for _ in range(20)]
        clients += [self._ask_on_and_on("new", "/", 0.1) for _ in range(3)]
        clients += [self._ask_on_and_on("slow", "/second", 0.0) for _ in range(5)]
        await asyncio.gather(*clients)

    async def _ask_on_and_on(self, kind: str, path: str, pause: float) -> None:
        reader: asyncio.StreamReader | None = None
        writer: asyncio.StreamWriter | None = None
        while not self._stop:
            try:
                async with asyncio.timeout(PATIENCE):
                    if reader is None or writer is None:
                        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                    kept = await self._ask(reader, writer, path)
            except Exception as error:
                self.failures.append(f"{kind}: {error!r}")
                kept = False
            else:
                self.answered[kind] += 1
            if (not kept or kind == "new") and writer is not None:
                writer.close()
                reader = writer = None
            await asyncio.sleep(pause)
        if writer is not None:
            writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> bool:
        """Send a request, read its response; return whether the connection may be used again."""
        writer.write(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        fields = dict(line.split(": ", 1) for line in head[1:] if line)
        await reader.readexactly(int(fields["content-length"]))
        if head[0] != "http/1.1 200 ok":
            raise RuntimeError(head[0])
        return fields.get("connection") != "close"
