"""Parts of the tests of `examples/deploy/`: its files on free ports, proxies, and servers to restart."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.asgiserve.applications import Receive, Scope, Send, answer, read_body
from tests.asgiserve.program import ROOT, STARTING, Program
from tests.asgiserve.raw import PATIENCE, eventually

DEPLOY = ROOT / "examples" / "deploy"


async def shop(scope: Scope, receive: Receive, send: Send) -> None:
    """Say which server answers (what its variable SHOP says), and what it knows of the client.

    ``/slow`` takes a second; a POST is an order, and is noted.
    """
    assert scope["type"] == "http"
    body = await read_body(receive)
    if scope["method"] == "POST":
        print(f"order {body.decode()}\n", end="", flush=True)
    if scope["path"] == "/slow":
        await asyncio.sleep(1)
    known = (scope["client"][0], scope["scheme"], scope["root_path"] or "/")
    await answer(send, " ".join((os.environ["SHOP"], *known)).encode())


def which(program: str) -> str | None:
    """Where a program is, or None; those of Debian that are not for everybody count, too."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def free_ports(count: int) -> list[int]:
    """So many ports of the loopback that nobody uses now."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


# The files of the examples

Replacements = Mapping[str, str]


def example(name: str, replacements: Replacements) -> str:
    """The text of an example, with what is fixed in it replaced; each of that has to be there."""
    text = (DEPLOY / name).read_text()
    missing = [fixed for fixed in replacements if fixed not in text]
    assert not missing, f"{name} does not hold {missing}"
    pattern = "|".join(re.escape(fixed) for fixed in sorted(replacements, key=len, reverse=True))
    return re.sub(pattern, lambda match: replacements[match[0]], text) if pattern else text


def commands(text: str) -> list[list[str]]:
    """The arguments of each ``asgiserve main:app`` in the comments of a configuration."""
    return [shlex.split(found) for found in re.findall(r"^# +asgiserve main:app (.*)$", text, re.MULTILINE)]


def nginx(directory: Path, replacements: Replacements) -> list[str]:
    """The command that runs ``nginx.conf``, with all files that it writes below `directory`."""
    program = which("nginx") or "nginx"
    built = subprocess.run([program, "-V"], capture_output=True, text=True, check=True).stderr
    temporary = "".join(
        f"    {name.replace('-', '_')}_temp_path {directory}/{name};\n"
        for name in re.findall(r"--http-([a-z-]+)-temp-path=", built)
    )
    places = {
        "user www-data;": "user root;" if os.geteuid() == 0 else "",
        "/run/": f"{directory}/",
        "/var/log/nginx/": f"{directory}/",
        "\nhttp {\n": f"\nhttp {{\n{temporary}",
    }
    configuration = directory / "nginx.conf"
    configuration.write_text(example("nginx.conf", {**replacements, **places}))
    return [program, "-e", "stderr", "-c", str(configuration), "-g", "daemon off;"]


def haproxy(directory: Path, replacements: Replacements, name: str = "haproxy.cfg") -> list[str]:
    """The command that runs ``haproxy.cfg``, or another configuration of HAProxy."""
    configuration = directory / name
    configuration.write_text(example(name, replacements))
    return [which("haproxy") or "haproxy", "-db", "-f", str(configuration)]


# What runs


@contextlib.contextmanager
def proxy(command: Sequence[str], port: int, log: Path) -> Iterator[None]:
    """Run a proxy until the end of the ``with``; it has to listen on `port`, and not to end by itself."""
    with (
        log.open("ab") as output,
        subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True) as process,
    ):
        try:
            assert eventually(lambda: process.poll() is not None or _listens(port), STARTING)
            assert process.poll() is None, log.read_text()
            yield
            assert process.poll() is None, log.read_text()
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.killpg(process.pid, number)  # a session of its own: its workers, nobody else
                    process.wait(PATIENCE)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), PATIENCE):
        return True
    return False


class Servers:
    """Servers of `shop` with these arguments, which can be restarted one by one."""

    def __init__(self, arguments: Sequence[Sequence[str]]) -> None:
        self._arguments = arguments
        self._programs: list[Program] = []
        self.output: list[str] = []  # of those that have ended

    def __enter__(self) -> Servers:
        with contextlib.ExitStack() as stack:
            for number in range(len(self._arguments)):
                self._programs.append(stack.enter_context(self._program(number)))
            stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        for program in self._programs:
            self._end(program)

    def restart(self, number: int) -> None:
        """Stop a server, and start it again once it has ended; returns when it serves."""
        program = self._programs[number]
        program.signal(signal.SIGTERM)
        code = program.exit_code()
        self._end(program)
        self._programs[number] = self._program(number).__enter__()
        assert code == 0, program.output

    def _end(self, program: Program) -> None:
        program.__exit__()
        self.output += program.lines

    def _program(self, number: int) -> Program:
        return Program(
            "tests.deploy:shop", *self._arguments[number], port=None, environment={"SHOP": str(number)}
        )
