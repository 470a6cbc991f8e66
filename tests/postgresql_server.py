"""A PostgreSQL server of a test: in a directory of its own, reached by its UNIX socket alone."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Seconds for a server to start or to end on a busy machine.
PATIENCE = 60.0

#: Where Debian has the programs of the server, which are not in PATH; the newest version counts. Clients are
#: in such directories, too.
DIRECTORIES = sorted(
    (path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")),
    key=lambda path: int(path.parent.name),
)

#: Tests that need the server; CI has to have it.
needs_postgresql = pytest.mark.skipif(
    not DIRECTORIES and not os.environ.get("CI"),
    reason="PostgreSQL is missing: apt install postgresql",
)


@contextlib.contextmanager
def postgresql_server() -> Iterator[str]:
    """Run a PostgreSQL server until the end of the ``with``; yields the URL of its database."""
    # Not pytest's directory: the address of a UNIX socket has to be shorter than 108 bytes.
    with tempfile.TemporaryDirectory(prefix="postgresql-") as directory:
        data = Path(directory) / "data"
        if os.geteuid() == 0:
            # The server does not run as root; Debian's package brings a user for it.
            shutil.chown(directory, "postgres")
        _run("initdb", "--pgdata", data, "--username=notes", "--auth=trust", "--encoding=UTF8", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories='{directory}' -c fsync=off"
        _run("pg_ctl", "--pgdata", data, "--wait", "--silent", "--log", data / "log", "-o", options, "start")
        try:
            yield f"postgresql://notes@/postgres?host={directory}"
        finally:
            _run("pg_ctl", "--pgdata", data, "--wait", "--silent", "--mode=immediate", "stop")


def _run(program: str, *arguments: str | Path) -> None:
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    ended = subprocess.run(
        [*user, DIRECTORIES[-1] / program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd="/",
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 0, f"{program} failed:\n{ended.stderr}"
