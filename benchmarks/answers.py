"""Whether a server gives the right answer to a scenario: what is fast and wrong is not compared."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import BinaryIO

from .scenarios import Scenario
from .servers import HOST, Running

#: Seconds for an answer, and for it to be logged: some servers write their log in blocks.
PATIENCE = 10.0


def what_is_wrong(server: Running, scenario: Scenario) -> str:
    """Ask a scenario's request, and say what is wrong with the answer; an empty text means nothing."""
    try:
        with socket.create_connection((HOST, server.port), timeout=PATIENCE) as connection:
            connection.sendall(scenario.request.replace(b"{n}", b"7") * scenario.pipelined)
            with connection.makefile("rb") as stream:
                for number in range(1, scenario.pipelined + 1):
                    status, body = read_response(stream)
                    if status != 200:
                        return f"response {number} has status {status}"
                    if body != scenario.answer:
                        return f"response {number} has another body: {body[:40]!r}, {len(body)} bytes"
    except (OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    if scenario.access_log and not _is_logged(server, scenario):
        return "the request is not in its log"
    return ""


def read_response(stream: BinaryIO) -> tuple[int, bytes]:
    """Read a response: its status, and its body. Raises ValueError if it is none."""
    status = stream.readline().split(b" ", 2)
    if len(status) < 2 or not status[0].startswith(b"HTTP/1.") or not status[1].isdigit():
        raise ValueError(f"no status line, but {b' '.join(status)[:40]!r}")
    fields: dict[bytes, bytes] = {}
    while line := stream.readline().strip():
        name, _, value = line.partition(b":")
        fields[name.lower()] = value.strip().lower()
    if fields.get(b"transfer-encoding") == b"chunked":
        return int(status[1]), _read_chunks(stream)
    if b"content-length" not in fields:
        raise ValueError("neither a length nor chunks")
    return int(status[1]), stream.read(int(fields[b"content-length"]))


def _read_chunks(stream: BinaryIO) -> bytes:
    pieces = []
    while size := int(stream.readline().partition(b";")[0], 16):
        pieces.append(stream.read(size))
        if stream.readline() != b"\r\n":
            raise ValueError("a chunk is longer than it says")
    while stream.readline().strip():
        pass  # trailers
    return b"".join(pieces)


def _is_logged(server: Running, scenario: Scenario) -> bool:
    target = scenario.request.split(b" ")[1].decode()
    deadline = time.monotonic() + PATIENCE
    with contextlib.closing(server.output_file.open(errors="replace")) as output:
        while time.monotonic() < deadline:
            if target in output.read():
                return True
            time.sleep(0.05)
    return False
