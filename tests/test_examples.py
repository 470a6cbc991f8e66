"""The programs of `examples/`, served by the real command and used as their heads say."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.asgiserve.program import ROOT, STARTING, Program, clean_environment


@pytest.fixture(scope="module")
def hello() -> Iterator[httpx.Client]:
    with Program("examples.hello:app") as program, httpx.Client(base_url=program.url) as client:
        yield client


@pytest.fixture(scope="module")
def welcome() -> Iterator[Program]:
    with Program("examples.welcome:app") as program:
        yield program


@pytest.fixture(scope="module")
def timeouts() -> Iterator[Program]:
    short = [f"--{name}-timeout=2" for name in ("request", "response", "keep-alive")]
    with Program("examples.timeouts:app", *short) as program:
        yield program


def test_hello_answers_text(hello: httpx.Client) -> None:
    response = hello.get("/")
    assert (response.status_code, response.text) == (200, "Hello, world!\n")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


def test_hello_answers_json(hello: httpx.Client) -> None:
    assert hello.get("/json").json() == {"hello": "world"}


@pytest.mark.parametrize(
    ("path", "status"), [("/squares/12", 200), ("/squares/2000", 404), ("/squares/twelve", 404)]
)
def test_hello_has_a_typed_parameter(hello: httpx.Client, path: str, status: int) -> None:
    response = hello.get(path)
    assert response.status_code == status
    if status == 200:
        assert response.json() == {"number": 12, "square": 144}


def test_hello_streams(hello: httpx.Client) -> None:
    with hello.stream("GET", "/countdown") as response:
        assert response.headers["transfer-encoding"] == "chunked"
        assert list(response.iter_lines()) == ["3", "2", "1", "Lift-off!"]


def test_hello_has_a_page_whose_links_work(hello: httpx.Client) -> None:
    page = hello.get("/page")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    links = re.findall(r'href="([^"]+)"', page.text)
    statuses = {link: hello.get(link).status_code for link in links}
    assert statuses == {
        "/": 200,
        "/json": 200,
        "/squares/12": 200,
        "/squares/twelve": 404,
        "/squares/2000": 404,
        "/countdown": 200,
    }


def test_welcome_knows_its_users(welcome: Program) -> None:
    response = httpx.get(f"{welcome.url}/ada")
    assert (response.status_code, response.text) == (200, "Welcome, ada!\n")


def test_welcome_raises_not_found_for_others(welcome: Program) -> None:
    response = httpx.get(f"{welcome.url}/mallory")
    assert response.status_code == 404
    assert "mallory" in response.text


def test_welcome_logs_each_request_in_its_middleware(welcome: Program) -> None:
    httpx.get(f"{welcome.url}/grace")
    welcome.wait_for("GET /grace -> 200")


def test_timeouts_lets_those_be_who_are_in_time(timeouts: Program) -> None:
    assert httpx.get(f"{timeouts.url}/slow").text == "slow, but here\n"
    assert httpx.post(f"{timeouts.url}/upload", content=b"x" * 1000).text == "1000 bytes\n"


def test_timeouts_does_not_cut_a_stream_that_has_begun(timeouts: Program) -> None:
    response = httpx.get(f"{timeouts.url}/stream", timeout=STARTING)
    assert response.text.splitlines() == [f"piece {number}" for number in range(6)]


def test_timeouts_clients_see_how_they_are_ended(timeouts: Program) -> None:
    port = timeouts.url.rpartition(":")[2]
    script = subprocess.run(
        [sys.executable, "-m", "examples.timeouts", port],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=clean_environment(),
        timeout=STARTING,
        check=True,
    )
    ended = dict(re.findall(r"(\w+) +ended after +[\d.]+ s: (.*)", script.stdout))
    assert ended == {
        "idle": "silently",
        "keep_alive": "HTTP/1.1 200 OK",
        "drip_header": "HTTP/1.1 408 Request Timeout",
        "stall_body": "HTTP/1.1 408 Request Timeout",
        "wait_for_stuck": "HTTP/1.1 503 Service Unavailable",
    }
