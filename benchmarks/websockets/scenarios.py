"""What is sent over WebSockets, and which ratio asgiserve has to reach."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ..scenarios import FASTEST
from . import frames


def _text(length: int) -> bytes:
    """JSON as applications send it: keys repeat, values do not; it compresses to about a third."""
    chosen = random.Random(length)
    events: list[dict[str, object]] = []
    while len(json.dumps(events)) < length:
        price = f"{chosen.randrange(1, 99999) / 100:.2f}"
        events.append({"id": chosen.randrange(10**6), "symbol": chosen.choice(SYMBOLS), "price": price})
    return json.dumps(events).encode()[:length]


SYMBOLS: Final = ("ADS", "ALV", "BAS", "BAYN", "BMW", "DBK", "DTE", "SAP", "SIE", "VOW3")

SMALL: Final = _text(64)
EVENT: Final = _text(512)
LONG: Final = _text(4096)
NOISE: Final = random.Random(1).randbytes(4096)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One message that is sent again and again, and comes back to its sender, or to all."""

    name: str
    title: str
    message: bytes
    binary: bool = False
    compressed: bool = False
    broadcast: bool = False
    connections: int = 32
    targets: Mapping[str, float] = field(default_factory=dict)  # asgiserve's rate, divided by the peer's

    @property
    def path(self) -> str:
        """Where the application does it."""
        return "/broadcast" if self.broadcast else "/echo"

    @property
    def sent(self) -> bytes:
        """The frame that clients send."""
        return frames.sent(self.message, self._opcode, self.compressed)

    @property
    def answer(self) -> bytes:
        """The frame that has to come back, if it is not compressed; each server compresses in its own way."""
        return frames.answered(self.message, self._opcode)

    @property
    def _opcode(self) -> int:
        return frames.BINARY if self.binary else frames.TEXT


SCENARIOS: Final = (
    Scenario("text", "Echo, 64 bytes of text", SMALL, targets={"uvicorn": 1.5, "granian": 2.5}),
    Scenario("binary", "Echo, 4 KiB, binary", NOISE, binary=True, targets={FASTEST: 1.3}),
    Scenario("text-compressed", "Echo, 64 bytes of text, compressed", SMALL, compressed=True),
    Scenario("json-compressed", "Echo, 4 KiB of JSON, compressed", LONG, compressed=True),
    Scenario("broadcast", "Broadcast to 1,000, 512 bytes", EVENT, broadcast=True, connections=1000),
    Scenario(
        "broadcast-compressed",
        "Broadcast to 1,000, 512 bytes, compressed",
        EVENT,
        compressed=True,
        broadcast=True,
        connections=1000,
    ),
)
