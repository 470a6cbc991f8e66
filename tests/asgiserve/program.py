"""The command ``asgiserve`` in a process of its own, with its output and its signals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, TypeAlias

from tests.asgiserve.raw import PATIENCE, Client, Response, get

ROOT = Path(__file__).parents[2]

#: Seconds for a process to start or to end: starting an interpreter on a busy machine takes its time.
STARTING = 30.0

COMMAND = (sys.executable, "-m", "asgiserve")


class Program:
    """``python -m asgiserve`` with `arguments`; its application is one of `tests.asgiserve.applications`."""

    def __init__(
        self,
        application: str,
        *arguments: str,
        port: int | None = 0,
        environment: Mapping[str, str] | None = None,
        directory: Path = ROOT,
        pass_fds: Iterable[int] = (),
        ready: str = "listens on",
        command: Iterable[str] = COMMAND,
    ) -> None:
        if ":" not in application:
            application = f"tests.asgiserve.applications:{application}"
        self.process = subprocess.Popen(
            [*command, application, *(() if port is None else ("--port", str(port))), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=directory,
            env={**clean_environment(), **(environment or {})},
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )
        self._ready = ready
        self.lines: list[str] = []
        self.standard_output: list[str] = []
        self._grown = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True)
            for stream in (self.process.stdout, self.process.stderr)
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Program:
        try:
            self.wait_for(self._ready)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # a session of its own: its workers, nobody else
        except ProcessLookupError:
            pass
        self.process.wait(STARTING)
        for reader in self._readers:
            reader.join(PATIENCE)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            with self._grown:
                self.lines.append(line.rstrip("\n"))
                if stream is self.process.stdout:
                    self.standard_output.append(line.rstrip("\n"))
                self._grown.notify_all()
        with self._grown:
            self._grown.notify_all()

    def wait_for(self, text: str, times: int = 1) -> str:
        """Wait until `text` stood in that many lines of the output; return the last of them."""

        def matching() -> list[str]:
            return [line for line in self.lines if text in line]

        def over() -> bool:
            return len(matching()) >= times or not any(reader.is_alive() for reader in self._readers)

        with self._grown:
            self._grown.wait_for(over, STARTING)
            found = matching()
        assert len(found) >= times, f"no {text!r} in:\n{self.output}"
        return found[times - 1]

    @property
    def output(self) -> str:
        """All that it wrote so far."""
        return "\n".join(self.lines)

    @property
    def url(self) -> str:
        """Where it says that it listens."""
        found = re.search(r"listens on (\S+?),? ", self.wait_for("listens on"))
        assert found
        return found[1]

    def connect(self) -> Client:
        """A new connection to it."""
        host, _, port = self.url.rpartition("/")[2].rpartition(":")
        return Client((host, int(port)))

    def ask(self, path: str = "/") -> Response:
        """The response to a GET of `path` on a connection of its own."""
        with self.connect() as client:
            client.send(get(path))
            return client.response()

    def json(self, path: str = "/") -> Any:
        """The JSON that is answered to a GET of `path`."""
        return json.loads(self.ask(path).body)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def exit_code(self) -> int:
        """Wait until it has ended, and everything it wrote was read."""
        code = self.process.wait(STARTING)
        for reader in self._readers:
            reader.join(PATIENCE)
        return code

    def memory(self, kind: str) -> int:
        """``VmRSS`` or ``VmHWM``, its highest so far, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"^{kind}:\s+(\d+) kB", status, re.MULTILINE)
        assert found
        return int(found[1]) * 1024


def clean_environment() -> dict[str, str]:
    """This environment without the settings that a user may have in it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ASGISERVE_")}
    # So that the applications of these tests are found wherever the process is started.
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(ROOT))))
    return {**environment, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


Ended: TypeAlias = subprocess.CompletedProcess[str]


def run_to_end(*arguments: str, directory: Path = ROOT, **environment: str) -> Ended:
    """Run ``asgiserve`` until it ends by itself."""
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        cwd=directory,
        env={**clean_environment(), **environment},
        timeout=3 * STARTING,  # some start workers several times
        check=False,
    )
