"""One measurement: the load is made for a second or some, while the kernel counts what the server uses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from types import TracebackType

from ..measure import Cores, Counted, Measurement, wait_until_idle
from ..servers import ROOT, Running
from .scenarios import Scenario


def measure(
    scenario: Scenario, server: Running, seconds: float, cores: Cores, others: Iterable[Running] = ()
) -> Measurement:
    """Make the load on a server for some seconds; `others` run beside it, and should be idle.

    Handshakes are not measured: counting begins when all connections are open, and all servers idle.
    Raises RuntimeError if not all connections can be opened.
    """
    others = [other for other in others if other is not server]
    with _Client(scenario, server, seconds, cores.client) as client:
        client.hear("ready")
        wait_until_idle([server, *others])
        counted = Counted(server, others, cores)
        client.go_on()
        client.hear("done")
        used = counted.since()
        client.go_on()
        told = json.loads(client.hear())
    return Measurement(
        rate=told["messages"] / told["seconds"],
        cpu=used.server / max(told["messages"], 1) * 1e6,
        p50=told["p50"],
        p99=told["p99"],
        server_load=used.server / used.seconds,
        client_load=told["cpu"] / used.seconds,
        idle_load=used.others / used.seconds,
        other_load=max(
            0.0,
            (used.server_core - used.server - used.others) / used.seconds,
            (used.client_core - told["cpu"]) / used.seconds,
        ),
        errors=_complaints(told),
    )


class _Client:
    """The process that makes the load; it does a step at a time."""

    def __init__(self, scenario: Scenario, server: Running, seconds: float, core: int) -> None:
        command = ["taskset", "--cpu-list", str(core), sys.executable, "-m", "benchmarks.websockets.load"]
        command += ["--port", str(server.port), "--seconds", str(seconds)]
        command += ["--connections", str(scenario.connections), scenario.name]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def __enter__(self) -> _Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def go_on(self) -> None:
        """Let it do the next step."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def hear(self, expected: str = "") -> str:
        """Wait for the line that it writes after a step."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = self._process.stdout.readline().strip()
        if not line.startswith(expected or "{"):
            said = self._process.stderr.read().strip().splitlines() or ["it says nothing"]
            raise RuntimeError(f"the client failed: {said[-1]}")
        return line


def _complaints(told: dict[str, int]) -> str:
    found = [f"{told[name]} {name}" for name in ("wrong", "closed") if told[name]]
    return ", ".join(found if told["messages"] else [*found, "no message"])
