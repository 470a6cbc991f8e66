"""The access log: its formats, its atoms, what cannot be forged, and how lines are written together."""

from __future__ import annotations

import ast
import base64
import datetime
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from asgiserve import Config, ConfigError
from tests.asgiserve.applications import App, Receive, Scope, Send, answer, hello, piece, start
from tests.asgiserve.program import Program, run_to_end
from tests.asgiserve.raw import GET, get
from tests.asgiserve.serving import Serve

LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[(?P<process>\d+)\] 127\.0\.0\.1:\d+ "
    r'"GET (?P<target>\S+) HTTP/1\.1" 200 \d+ \d+\.\d+ms'
)

#: Apache's combined format, as strict programs read it.
COMBINED = re.compile(
    r"(?P<host>\S+) (?P<logname>\S+) (?P<user>\S+) "
    r"\[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "
    r'"(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}) (?P<bytes>\d+|-) '
    r'"(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)"'
)
COMMON = re.compile(COMBINED.pattern.partition(' "(?P<referer>')[0])

KEYS = (
    "time pid client method path query http_version status bytes duration_ms referer user_agent "
    "request_id mark"
).split()


async def made(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 201, with fields and 1234 bytes."""
    fields = [(b"X-Served", b'by "me"'), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    await answer(send, b"x" * 1234, 201, fields)


async def endless(scope: Scope, receive: Receive, send: Send) -> None:
    """Begin a response, and never end it."""
    await receive()
    await send(start())
    await send(piece(b"12345", more=True))
    await receive()


def basic(user: bytes) -> str:
    """The Authorization of a user, with a password."""
    return f"Authorization: Basic {base64.b64encode(user + b':secret').decode()}"


def logged(serve: Serve, form: str, request: bytes, app: App = hello) -> str:
    """The line of a request."""
    with serve(app, access_log_format=form) as server:
        server.ask(request)
        return server.records.wait("asgiserve.access").removeprefix("INFO asgiserve.access: ")


def unescaped(text: str) -> bytes:
    """What a text in quotes stands for."""
    value: str = ast.literal_eval(f'"{text}"')
    return value.encode("latin-1")


# Lines of one turn of the event loop are written at once, and look it not


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


@pytest.mark.parametrize("form", ["json", '{"path": "%(U)s", "pid": "%(p)s"}'])
def test_lines_for_programs_have_nothing_before_them(form: str) -> None:
    targets = [f"/{number}" for number in range(50)]
    with Program("program", "--access-log-format", form) as server, server.connect() as client:
        client.send(b"".join(get(target) for target in targets))
        for _ in targets:
            client.response()
        server.wait_for('"/49"')
        lines = [json.loads(line) for line in server.standard_output if line.startswith("{")]
        assert [line["path"] for line in lines] == targets
        assert {str(line["pid"]).strip("<>") for line in lines} == {str(server.process.pid)}


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


# Formats


def test_common(serve: Serve) -> None:
    line = logged(serve, "common", get("/a?b=c", basic(b"ada")), made)
    found = COMMON.fullmatch(line)
    assert found, line
    assert (found["host"], found["user"]) == ("127.0.0.1", "ada")
    assert (found["request"], found["status"], found["bytes"]) == ("GET /a?b=c HTTP/1.1", "201", "1234")
    time = datetime.datetime.strptime(found["time"], "%d/%b/%Y:%H:%M:%S %z")
    assert abs(time.timestamp() - datetime.datetime.now().timestamp()) < 60


def test_combined(serve: Serve) -> None:
    line = logged(serve, "combined", get("/", "Referer: https://example.org/", "User-Agent: me/1 (x)"))
    found = COMBINED.fullmatch(line)
    assert found, line
    assert found["user"] == "-"
    assert (found["referer"], found["agent"]) == ("https://example.org/", "me/1 (x)")


def test_combined_without_the_fields(serve_twice: Serve) -> None:
    assert logged(serve_twice, "combined", GET).endswith(' 200 2 "-" "-"')


def test_json(serve: Serve) -> None:
    fields = ("Referer: https://example.org/", "User-Agent: me/1", "X-Request-ID: 7f")
    line = logged(serve, "json", get("/a%20b?c=%22d", *fields), made)
    entry = json.loads(line)
    time = datetime.datetime.fromisoformat(entry.pop("time"))
    assert time.tzinfo is not None
    assert abs(time.timestamp() - datetime.datetime.now().timestamp()) < 60
    assert 0 <= entry.pop("duration_ms") < 60_000
    assert entry == {
        "pid": os.getpid(),
        "client": "127.0.0.1",
        "method": "GET",
        "path": "/a%20b",
        "query": "c=%22d",
        "http_version": "1.1",
        "status": 201,
        "bytes": 1234,
        "referer": "https://example.org/",
        "user_agent": "me/1",
        "request_id": "7f",
        "mark": None,
    }


def test_json_has_the_same_keys_always(serve_twice: Serve) -> None:
    entry = json.loads(logged(serve_twice, "json", GET))
    assert list(entry) == KEYS
    assert entry["query"] == ""
    assert entry["referer"] is entry["user_agent"] is entry["request_id"] is None


ATOMS = {
    "%(h)s": r"127\.0\.0\.1",
    "%(l)s": "-",
    "%(u)s": "ada",
    "%(t)s": r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]",
    "%(r)s": r"GET /a%20b\?c=d HTTP/1\.1",
    "%(m)s": "GET",
    "%(U)s": "/a%20b",
    "%(q)s": "c=d",
    "%(H)s": r"HTTP/1\.1",
    "%(s)s": "201",
    "%(B)s": "1234",
    "%(b)s": "1234",
    "%(f)s": r"https://example\.org/",
    "%(a)s": "me/1",
    "%(T)s": "[0-5]",
    "%(M)s": r"\d{1,4}",
    "%(D)s": r"\d{2,7}",
    "%(L)s": r"[0-5]\.\d{6}",
    "%(p)s": f"<{os.getpid()}>",
    "%(X)s": "-",
    "%({x-two}i)s": "second",
    "%({X-TWO}i)s": "second",
    "%({x-none}i)s": "-",
    "%({x-served}o)s": r'by \\"me\\"',
    "%({Set-Cookie}o)s": "b=2",
    "%({x-none}o)s": "-",
    "%({LOG_TEST}e)s": "caf\\\\xe9",
    "%({LOG_TEST_NONE}e)s": "-",
    "%(m)5s.": r"  GET\.",
    "%(m)-5s.": r"GET  \.",
    "%(r).5s": "GET /",
    "100%%%(m)s%%": "100%GET%",
}


def test_atoms(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_TEST", "café")
    fields = ("Referer: https://example.org/", "User-Agent: me/1", "X-Two: first", "X-Two: second")
    request = get("/a%20b?c=d", *fields, basic(b"ada"))
    values = logged(serve, "\t".join(ATOMS), request, made).split("\t")
    wrong = [
        (atom, value)
        for (atom, pattern), value in zip(ATOMS.items(), values, strict=True)
        if not re.fullmatch(pattern, value)
    ]
    assert not wrong


def test_atoms_of_an_empty_body(serve_twice: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"", 204)

    assert logged(serve_twice, "%(s)s %(B)s %(b)s %(q)s|", GET, app) == "204 0 - |"


@pytest.mark.parametrize(
    "authorization",
    ["Basic !", "Basic YWRh", "Bearer YWRhOnNlY3JldA==", "Basic", "Basic OnNlY3JldA==", "basic  ="],
)
def test_what_names_no_user_is_not_one(serve_twice: Serve, authorization: str) -> None:
    """Neither a token, which would be a secret in the log, nor what cannot be decoded."""
    assert logged(serve_twice, "%(u)s", get("/", f"Authorization: {authorization}")) == "-"


@pytest.mark.parametrize("form", ["default", "common", "combined", "json", "%(h)s %(r)s"])
def test_clients_on_unix_sockets_have_no_address(tmp_path: Path, form: str, serve_twice: Serve) -> None:
    with serve_twice(hello, access_log_format=form, uds=str(tmp_path / "socket")) as server:
        server.ask(GET)
        line = server.records.wait("asgiserve.access").removeprefix("INFO asgiserve.access: ")
    if form == "json":
        assert json.loads(line)["client"] is None
    else:
        assert line.startswith("unix ")


@pytest.mark.parametrize(
    ("said", "form", "expected"),
    [
        ('"[2001:db8::7]:4711"', "%(h)s", "2001:db8::7"),
        ("203.0.113.7", "default", "203.0.113.7"),
        ("_hidden", "%(h)s", "_hidden"),
        ("_hidden", "default", "_hidden"),
        ("_hidden", "json", "null"),
    ],
)
def test_clients_behind_proxies(serve_twice: Serve, said: str, form: str, expected: str) -> None:
    with serve_twice(hello, access_log_format=form, proxy_headers="forwarded") as server:
        server.ask(get("/", f"Forwarded: for={said}"))
        line = server.records.wait("asgiserve.access").removeprefix("INFO asgiserve.access: ")
    if form == "json":
        assert f'"client": {expected}, ' in line
    else:
        assert line.split(" ")[0] == expected


# The mark


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("default", r'.* "GET / HTTP/1\.1" 200 5 \d+\.\dms \(the client left\)'),
        ("%(s)s %(B)s %(X)s", "200 5 the client left"),
        ("json", r'\{.*"status": 200, "bytes": 5, .*"mark": "the client left"\}'),
    ],
)
def test_client_that_leaves_within_a_response_is_marked(serve: Serve, form: str, expected: str) -> None:
    with serve(endless, access_log_format=form) as server:
        with server.connect() as client:
            client.send(GET)
            client.read_until(b"12345\r\n")
            client.reset()
        line = server.records.wait("asgiserve.access").removeprefix("INFO asgiserve.access: ")
    assert re.fullmatch(expected, line), line


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("default", r'.* "GET / HTTP/1\.1" - 0 \d+\.\dms \(the client left\)'),
        ("%(s)s %(B)s %({x-served}o)s %(X)s", "- 0 - the client left"),
        ("json", r'\{.*"status": null, "bytes": 0, .*"mark": "the client left"\}'),
    ],
)
def test_client_that_leaves_before_the_response_is_marked(
    serve_twice: Serve, form: str, expected: str
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        server.records.lines.append("begun")
        while (await receive())["type"] != "http.disconnect":
            pass

    with serve_twice(app, access_log_format=form) as server:
        with server.connect() as client:
            client.send(GET)
            while "begun" not in server.records.lines:
                server.records.pause(0.02)
            client.reset()
        line = server.records.wait("asgiserve.access").removeprefix("INFO asgiserve.access: ")
    assert re.fullmatch(expected, line), line


# Nothing is forged

#: What RFC 9110 §5.5 lets a field hold.
ANY_TEXT = bytes([9, *range(0x21, 0x7F), *range(0x80, 0x100)]) + b"\xc2\x9b31m"

#: What only base64 can bring.
ANY_BYTES = bytes(range(256)).replace(b":", b"") + b'\r\n127.0.0.1 - - "GET /forged HTTP/1.1" 200 2'


def test_combined_cannot_be_forged(serve: Serve) -> None:
    fields = f"Referer: {ANY_TEXT.decode('latin-1')}", f"User-Agent: {ANY_TEXT.decode('latin-1')}"
    line = logged(serve, "combined", get('/a"\\?b="', *fields, basic(ANY_BYTES)))
    assert line.isascii()
    assert line.isprintable()
    found = COMBINED.fullmatch(line)
    assert found, line
    assert unescaped(found["user"]) == ANY_BYTES
    assert unescaped(found["referer"]) == ANY_TEXT.strip(b"\t")
    assert unescaped(found["agent"]) == ANY_TEXT.strip(b"\t")


@pytest.mark.parametrize("form", ["default", "common", "%(r)s", '"%(U)s" "%(q)s"'])
def test_target_cannot_end_its_quotes(serve: Serve, form: str) -> None:
    line = logged(serve, form, get('/a"b\\?c"d\\e'))
    assert re.search(r'/a\\"b\\\\(\?|" ")c\\"d\\\\e', line), line


def test_json_cannot_be_forged(serve: Serve) -> None:
    field = f"User-Agent: {ANY_TEXT.decode('latin-1')}"
    line = logged(serve, "json", get('/a"\\?b="', field, 'X-Request-ID: ", "status": 500, "'))
    assert line.isascii()
    assert line.isprintable()
    entry: dict[str, Any] = json.loads(line)
    assert list(entry) == KEYS
    assert (entry["path"], entry["query"], entry["status"]) == ('/a"\\', 'b="', 200)
    assert entry["request_id"] == '", "status": 500, "'
    assert entry["user_agent"] == ANY_TEXT.strip(b"\t").decode("utf-8", "backslashreplace")


# Wrong formats


@pytest.mark.parametrize(
    ("form", "named"),
    [
        ("%(z)s", "%(z)s"),
        ("%(h)s %(status)s", "%(status)s"),
        ("%()s", "%()s"),
        ("%(i)s", "%(i)s"),
        ("%({}i)s", "%({}i)s"),
        ("%({x}h)s", "%({x}h)s"),
        ("%(h)s %(s", "'%(s'"),
        ("%(h)s %(s)", "'%(s)'"),
        ("%(h)d", "'%(h)d'"),
        ("%(h)s 100%", "'%'"),
        ("%h", "'%h'"),
        ("%(h)s %({x i)s", "'%({x i)s'"),
        ("commn", "'commn'"),
        ("", "''"),
    ],
)
def test_wrong_format_is_refused_by_name(form: str, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(app=hello, access_log_format=form)
    assert "access_log_format" in str(caught.value)
    assert named in str(caught.value)


def test_wrong_format_is_exit_code_2() -> None:
    ended = run_to_end("tests.asgiserve.applications:program", "--access-log-format", "%(z)s")
    assert ended.returncode == 2
    assert "asgiserve: --access-log-format: there is no atom %(z)s" in ended.stderr
    assert "Traceback" not in ended.stderr
