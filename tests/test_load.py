"""The two packages together under load: no errors, and no growth of memory. Speed is not tested here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time

import pytest

from tests.asgiserve.program import Program

SECONDS = 30
CONNECTIONS = 64

#: What the allocator may move between two looks at a process that leaks nothing.
TOLERANCE = 1024 * 1024


@pytest.mark.skipif(
    shutil.which("wrk") is None and not os.environ.get("CI"), reason="wrk is missing: apt install wrk"
)
def test_wrk_sees_no_errors_and_memory_does_not_grow() -> None:
    with Program("examples.hello:app", "--no-access-log") as program:
        load = subprocess.Popen(
            ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--timeout", "30s", program.url],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            time.sleep(5)
            early = program.memory("VmRSS")
            output = load.communicate(timeout=3 * SECONDS)[0]
            late = program.memory("VmRSS")
        finally:
            load.kill()
    assert load.returncode == 0
    assert "Socket errors" not in output
    assert "Non-2xx" not in output
    requests = re.search(r"(\d+) requests in", output)
    assert requests is not None, output
    assert int(requests[1]) > CONNECTIONS
    assert late - early < TOLERANCE, f"grew from {early} to {late} bytes over {requests[1]} requests"
