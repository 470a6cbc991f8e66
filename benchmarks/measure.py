"""One measurement: wrk asks one server for a few seconds, while the kernel counts what the server uses."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .scenarios import Scenario
from .servers import Running

LOAD: Final = Path(__file__).with_name("load.lua")

#: Seconds for servers to become idle; those that do not are reported.
PATIENCE: Final = 5.0

_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cores:
    """Where the servers run, and where the client."""

    server: int
    client: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one server did in one round. A load is a share of one core."""

    rate: float  # requests a second
    cpu: float  # microseconds of the server's CPU time for a request
    p50: float | None  # milliseconds; unknown where requests are pipelined: wrk then counts batches
    p99: float | None
    server_load: float  # well below 1: it was not the server that was the limit
    client_load: float  # near 1: it was the client
    idle_load: float  # of the other servers, which had nothing to do
    other_load: float  # of all other programs, on the server's core or the client's, whichever is more
    errors: str  # what the client complained about


class Client:
    """wrk, on one core, with the requests of one scenario."""

    def __init__(self, scenario: Scenario, cores: Cores) -> None:
        self.scenario = scenario
        self.cores = cores
        self._asked = 0
        self._file = tempfile.NamedTemporaryFile()  # noqa: SIM115 (it lives as long as the client)
        self._file.write(scenario.request * scenario.pipelined)
        self._file.flush()

    def measure(self, server: Running, seconds: int, others: Iterable[Running] = ()) -> Measurement:
        """Ask a server for some seconds; `others` run beside it, and should be idle.

        Raises RuntimeError if wrk fails, because the server does not listen any more.
        """
        others = [other for other in others if other is not server]
        wait_until_idle(others)
        counted = Counted(server, others, self.cores)
        told, client_cpu = self._ask(server, seconds)
        used = counted.since()
        rate = told["requests"] / told["microseconds"] * 1e6
        latency = self.scenario.pipelined == 1
        return Measurement(
            rate=rate,
            cpu=used.server / max(told["requests"], 1) * 1e6,
            p50=told["p50"] / 1e3 if latency else None,
            p99=told["p99"] / 1e3 if latency else None,
            server_load=used.server / used.seconds,
            client_load=client_cpu / used.seconds,
            idle_load=used.others / used.seconds,
            other_load=max(
                0.0,
                (used.server_core - used.server - used.others) / used.seconds,
                (used.client_core - client_cpu) / used.seconds,
            ),
            errors=_complaints(told),
        )

    def _ask(self, server: Running, seconds: int) -> tuple[dict[str, int], float]:
        """Run wrk: what it tells, and its CPU time."""
        command = ["taskset", "--cpu-list", str(self.cores.client), "wrk", "--threads", "1"]
        command += ["--connections", str(self.scenario.connections), "--duration", f"{seconds}s"]
        command += ["--timeout", "30s", "--script", str(LOAD), server.url, "--", self._file.name]
        # Numbers begin anew in each run, above all of the runs before, and have as many digits.
        self._asked += 1
        number = 100_000_000 + self._asked * 10_000_000
        before = os.times()
        run = subprocess.run([*command, str(number)], capture_output=True, text=True, check=False)
        after = os.times()
        _, found, told = run.stdout.partition("JSON ")
        if not found:
            said = " ".join((run.stdout + run.stderr).split())
            raise RuntimeError(f"wrk failed with {run.returncode}: {said}")
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        return json.loads(told), cpu


@dataclass(frozen=True, slots=True)
class Used:
    """Seconds: how many went by, and of CPU time, who used how many."""

    seconds: float
    server: float
    others: float
    server_core: float  # all of the server's core
    client_core: float


class Counted:
    """What the kernel counts, from the beginning of a measurement."""

    def __init__(self, server: Running, others: list[Running], cores: Cores) -> None:
        self._server = server
        self._others = others
        self._cores = cores
        self._begin = self._now()

    def _now(self) -> tuple[float, ...]:
        others = sum(other.cpu_seconds for other in self._others)
        cores = _busy_seconds(self._cores.server), _busy_seconds(self._cores.client)
        return time.monotonic(), self._server.cpu_seconds, others, *cores

    def since(self) -> Used:
        """What was used from then to now."""
        return Used(*(now - begin for begin, now in zip(self._begin, self._now(), strict=True)))


def wait_until_idle(servers: list[Running]) -> None:
    """Let servers end what the last client has left them with."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        before = sum(server.cpu_seconds for server in servers)
        time.sleep(0.1)
        if sum(server.cpu_seconds for server in servers) == before:
            return


def _busy_seconds(core: int) -> float:
    """Seconds in which a core was not idle, or was taken away by the machine's host."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
            return (user + nice + system + irq + softirq + steal) / _TICKS
    raise RuntimeError(f"the kernel knows no core {core}")


def _complaints(told: dict[str, int]) -> str:
    names = ("connect_errors", "read_errors", "write_errors", "timeouts", "responses_not_2xx")
    found = [f"{told[name]} {name.replace('_', ' ')}" for name in names if told[name]]
    return ", ".join(found if told["requests"] else [*found, "no response"])
