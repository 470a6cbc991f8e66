"""The access log of the command: lines of one turn of the event loop are written at once, and look it not."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from tests.asgiserve.program import Program
from tests.asgiserve.raw import get

LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[(?P<process>\d+)\] 127\.0\.0\.1:\d+ "
    r'"GET (?P<target>\S+) HTTP/1\.1" 200 \d+ \d+\.\d+ms'
)


def test_each_request_has_a_line_of_its_own() -> None:
    targets = [f"/{number}" for number in range(50)]
    with Program("program") as server, server.connect() as client:
        client.send(b"".join(get(target) for target in targets))
        for _ in targets:
            client.response()
        server.wait_for('"GET /49 ')
        lines = [LINE.fullmatch(line) for line in server.standard_output if "GET" in line]
        assert [line and line["target"] for line in lines] == targets
        assert {line and line["process"] for line in lines} == {str(server.process.pid)}


def test_nothing_is_lost_at_the_end() -> None:
    with Program("program") as server, server.connect() as client:
        client.send(get("/last"))
        client.response()
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0
        assert any('"GET /last ' in line for line in server.standard_output)


def test_handlers_of_an_application_get_a_record_for_each_request(tmp_path: Path) -> None:
    (tmp_path / "logged.py").write_text(
        "import json, logging\n"
        "from tests.asgiserve.applications import program as app\n"
        "class Handler(logging.Handler):\n"
        "    def emit(self, record):\n"
        "        print('record', json.dumps([str(part) for part in record.args]), flush=True)\n"
        "logging.getLogger('asgiserve.access').handlers[:] = [Handler()]\n"
    )
    with (
        Program("logged:app", environment={"PYTHONPATH": str(tmp_path)}) as server,
        server.connect() as client,
    ):
        client.send(get("/one") + get("/two"))
        client.response()
        client.response()
        for target in ("/one", "/two"):
            line = server.wait_for(target)
            assert f'"GET", "{target}", "1.1", "200"' in line
            assert line.startswith("record ")
