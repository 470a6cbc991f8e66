"""The chat of `examples/`, as people use it: windows of a real browser, who type and read."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, expect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.asgiserve.program import STARTING, Program
from tests.chromium import PATIENCE, chromium, needs_chromium
from tests.redis_server import RedisServer, needs_redis, redis_server

pytestmark = needs_chromium

#: How often to connect until the other one of two workers gets the connection.
TRIES = 200

#: Names of rooms, one for each test, so that nobody meets those of another.
ROOMS = (f"room {number}" for number in itertools.count())

#: Keeps the codes with which a page's websockets were closed, and what its status has been.
HISTORY = """
window.closeCodes = [];
window.statuses = [];
new MutationObserver((changes) => {
  for (const { target } of changes) if (target.matches?.("[role=status]")) statuses.push(target.textContent);
}).observe(document, { subtree: true, childList: true });
window.WebSocket = class extends WebSocket {
  constructor(...address) {
    super(...address);
    this.addEventListener("close", (event) => closeCodes.push(event.code));
  }
};
"""

#: The chat with a shorter time until the death of a worker is noticed.
QUICK = """
from examples import presence
from examples.chat import app

presence.ROLL_CALL = 0.5
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with chromium() as browser:
        yield browser


class Window:
    """Somebody's window; what they see in it is found as they find it: by role, label and text."""

    def __init__(self, browser: Browser) -> None:
        context = browser.new_context(locale="en-GB")
        context.set_default_timeout(PATIENCE)
        context.add_init_script(HISTORY)
        self.page = context.new_page()
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.status = self.page.get_by_role("status")
        self.messages = self.page.get_by_role("log").get_by_role("listitem")
        self.here = self.page.get_by_role("list", name="Here").get_by_role("listitem")
        self.message = self.page.get_by_label("Message", exact=True)

    def close(self) -> None:
        self.page.context.close()
        assert self.faults == []

    def enter(self, url: str, name: str) -> None:
        """Open a room, and tell the name."""
        self.page.goto(url)
        self.give_name(name)
        self.connected()

    def give_name(self, name: str) -> None:
        self.page.get_by_label("Your name").fill(name)
        self.page.get_by_role("button", name="Enter").click()

    def connected(self) -> None:
        expect(self.status).to_have_text("connected")

    def reconnecting(self) -> None:
        """Wait until it has lost its connection; it may have the next one already."""
        self.page.wait_for_function("statuses.includes('reconnecting…')", polling=50)

    def say(self, text: str) -> None:
        self.message.fill(text)
        self.page.get_by_role("button", name="Send").click()

    def reads(self, name: str, text: str) -> None:
        """Wait until it stands there that somebody said something."""
        said = self.page.get_by_text(text, exact=True)
        expect(self.messages.filter(has_text=name).filter(has=said)).to_be_visible()

    def sees(self, *names: str) -> None:
        """Wait until exactly these are here; the own name is marked."""
        expect(self.here).to_have_text(names)

    @property
    def close_codes(self) -> list[int]:
        codes: list[int] = self.page.evaluate("closeCodes")
        return codes

    @property
    def worker(self) -> int:
        """The process that it is connected to."""
        title = self.page.locator("header").get_attribute("title")
        assert title
        return int(title.rpartition("/")[2])


@pytest.fixture
def new_window(browser: Browser) -> Iterator[Callable[[], Window]]:
    windows: list[Window] = []

    def new_window() -> Window:
        windows.append(Window(browser))
        return windows[-1]

    yield new_window
    for window in windows:
        window.close()


Open: TypeAlias = Callable[[str, str], Window]


@pytest.fixture
def open_window(new_window: Callable[[], Window]) -> Open:
    def open_window(url: str, name: str) -> Window:
        window = new_window()
        window.enter(url, name)
        return window

    return open_window


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with Program("examples.chat:app") as program:
        yield program


@pytest.fixture
def room(program: Program) -> str:
    """The URL of a room of the chat that has one process."""
    return f"{program.url}/rooms/{quote(next(ROOMS))}"


def join(url: str, name: str, origin: str | None = None) -> AbstractContextManager[ClientConnection]:
    """``with`` somebody who has no page."""
    address = f"{url.replace('http', 'ws', 1)}?name={name}"
    return connect(address, origin=Origin(origin) if origin else None, proxy=None, open_timeout=STARTING)


@contextmanager
def join_at(worker: int, url: str, name: str) -> Iterator[ClientConnection]:
    """``with`` somebody who has no page, and is connected to this process."""
    for _ in range(TRIES):
        with join(url, name) as client:
            if json.loads(client.recv(STARTING))["worker"].endswith(f"/{worker}"):
                yield client
                return
    pytest.fail(f"worker {worker} gets no connection")


def close_code(client: ClientConnection) -> int | None:
    """How the server closes, in the end, before which nobody says anything."""
    try:
        while True:
            assert json.loads(client.recv(STARTING))["type"] == "Here"
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


def talk(ada: Window, grace: Window) -> None:
    """Each says something, and the other reads it."""
    number = ada.messages.count()
    ada.say(f"Morning, Grace: {number}")
    grace.reads("Ada", f"Morning, Grace: {number}")
    grace.say(f"Hello, Ada: {number}")
    ada.reads("Grace", f"Hello, Ada: {number}")


def test_what_one_window_says_the_other_reads(room: str, open_window: Open) -> None:
    ada, grace = open_window(room, "Ada"), open_window(room, "Grace")
    ada.sees("Ada (you)", "Grace")
    grace.sees("Ada", "Grace (you)")
    talk(ada, grace)
    expect(ada.messages).to_have_count(2)
    grace.page.close()
    ada.sees("Ada (you)")


def test_uvicorn_serves_it_as_well(open_window: Open) -> None:
    uvicorn = (sys.executable, "-m", "uvicorn")
    with Program("examples.chat:app", command=uvicorn, ready="Uvicorn running on") as program:
        found = re.search(r"http://\S+", program.wait_for("Uvicorn running on"))
        assert found
        ada, grace = open_window(found[0], "Ada"), open_window(found[0], "Grace")
        assert ada.page.url == f"{found[0]}/rooms/lobby"
        talk(ada, grace)


def test_what_people_write_is_text_and_nothing_else(room: str, open_window: Open) -> None:
    name, text = "<i>Eve</i>", "<img src=x onerror='document.title = 1'> & <b>bold</b>"
    ada, eve = open_window(room, "Ada"), open_window(room, name)
    ada.sees(name, "Ada (you)")
    eve.say(text)
    ada.reads(name, text)
    assert ada.page.locator("#log img, #log p b, #here i").count() == 0


def test_rooms_hear_only_their_own(program: Program, open_window: Open) -> None:
    ada = open_window(program.url, "Ada")  # who is led into the lobby
    grace = open_window(f"{program.url}/rooms/kitchen", "Grace")
    ada.say("only for the lobby")
    ada.reads("Ada", "only for the lobby")
    grace.say("only for the kitchen")
    grace.reads("Grace", "only for the kitchen")
    grace.sees("Grace (you)")
    expect(grace.messages).to_have_count(1)
    ada.page.get_by_role("link", name="kitchen").click()
    ada.sees("Ada (you)", "Grace")  # her name was not asked for again
    talk(ada, grace)
    ada.page.get_by_label("Another room").fill("a/b?c ü")
    ada.page.get_by_role("button", name="Go").click()
    ada.sees("Ada (you)")
    assert ada.page.url.endswith("/rooms/a%2Fb%3Fc%20%C3%BC")
    grace.sees("Grace (you)")


def test_a_name_that_cannot_be_seen_is_refused_and_asked_again(
    room: str, open_window: Open, new_window: Callable[[], Window]
) -> None:
    ada, grace = open_window(room, "Ada"), new_window()
    grace.page.goto(room)
    grace.give_name("\u202eAda")
    expect(grace.page.get_by_role("alert")).to_contain_text("names of 1 to 20 characters")
    assert grace.close_codes == [4000]
    grace.give_name("Grace")
    grace.connected()
    ada.sees("Ada (you)", "Grace")


@pytest.mark.parametrize(("message", "code"), [("x" * 501, 1009), (b"x", 1003)], ids=["long", "binary"])
def test_what_is_no_short_text_ends_the_connection(
    program: Program, room: str, message: str | bytes, code: int
) -> None:
    with join(room, "Ada") as client:
        client.send(message)
        assert close_code(client) == code
    assert "Traceback" not in program.output


def test_pages_of_other_sites_open_no_websocket(room: str, open_window: Open) -> None:
    ada = open_window(room, "Ada")
    elsewhere = open_window(room.replace("127.0.0.1", "localhost"), "Grace")
    ada.sees("Ada (you)", "Grace")
    elsewhere.page.evaluate(
        """url => new Promise(resolve => {
            const socket = new WebSocket(url);
            socket.onopen = socket.onclose = resolve;
        })""",
        f"{room.replace('http', 'ws', 1)}?name=Mallory",
    )
    assert elsewhere.close_codes == [1006]
    talk(ada, elsewhere)
    ada.sees("Ada (you)", "Grace")
    with pytest.raises(InvalidStatus) as refused, join(room, "Mallory", origin="https://mallory.example"):
        pass
    assert refused.value.response.status_code == 403


def test_windows_come_back_after_the_server_was_killed(open_window: Open) -> None:
    with Program("examples.chat:app") as program:
        url = program.url
        ada, grace = open_window(url, "Ada"), open_window(url, "Grace")
        talk(ada, grace)
        program.process.kill()
        for window in (ada, grace):
            window.reconnecting()
            assert window.close_codes[:1] == [1006]
            expect(window.page.get_by_role("button", name="Send")).to_be_disabled()
        ada.message.fill("written while away")
    with Program("examples.chat:app", port=int(url.rpartition(":")[2])):
        for window in (ada, grace):
            window.connected()
            expect(window.messages.last).to_contain_text("you have missed what was said")
        ada.sees("Ada (you)", "Grace")
        ada.page.get_by_role("button", name="Send").click()
        grace.reads("Ada", "written while away")


def test_a_window_without_a_network_waits_for_it(room: str, open_window: Open) -> None:
    ada, grace = open_window(room, "Ada"), open_window(room, "Grace")
    ada.page.context.set_offline(True)
    ada.reconnecting()
    grace.sees("Grace (you)")
    ada.page.context.set_offline(False)
    ada.connected()
    grace.sees("Ada", "Grace (you)")
    talk(ada, grace)


def test_windows_are_told_when_the_server_stops(open_window: Open) -> None:
    with Program("examples.chat:app") as program:
        windows = [open_window(program.url, name) for name in ("Ada", "Grace")]
        windows[0].sees("Ada (you)", "Grace")
        program.signal(signal.SIGTERM)
        assert program.exit_code() == 0
        for window in windows:
            window.reconnecting()
            assert window.close_codes[:1] == [1012]
    assert "Traceback" not in program.output


def test_a_window_to_which_nobody_talks_connects_again(new_window: Callable[[], Window]) -> None:
    with Program("examples.chat:app") as program:
        window = new_window()
        window.page.clock.install()
        window.enter(program.url, "Ada")
        program.signal(signal.SIGSTOP)  # its connections stay open
        window.say("into the silence")
        expect(window.message).to_be_empty()
        window.page.clock.fast_forward(16_000)
        window.reconnecting()
        expect(window.message).to_have_value("into the silence")
        program.signal(signal.SIGCONT)
        window.connected()
        window.sees("Ada (you)")


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def workers(redis: RedisServer, tmp_path: Path) -> Iterator[Program]:
    """The chat in two processes, and Redis between them."""
    (tmp_path / "quick.py").write_text(QUICK)
    with Program(
        "quick:app", "--workers", "2", environment={"CHAT_REDIS": redis.url}, directory=tmp_path
    ) as program:
        yield program


def on_two_workers(url: str, open_window: Open) -> tuple[Window, Window]:
    """Ada's window and Grace's, which is loaded again until another worker has it."""
    ada, grace = open_window(url, "Ada"), open_window(url, "Grace")
    for _ in range(TRIES):
        if ada.worker != grace.worker:
            return ada, grace
        grace.page.reload()
        grace.connected()
    pytest.fail("one worker gets all connections")


@needs_redis
def test_two_workers_are_one_chat(workers: Program, open_window: Open) -> None:
    ada, grace = on_two_workers(workers.url, open_window)
    ada.sees("Ada (you)", "Grace")
    grace.sees("Ada", "Grace (you)")
    talk(ada, grace)
    expect(ada.messages).to_have_count(2)
    grace.page.close()
    ada.sees("Ada (you)")


@needs_redis
def test_who_was_on_a_worker_that_dies_comes_back_or_is_gone(workers: Program, open_window: Open) -> None:
    ada, grace = on_two_workers(workers.url, open_window)
    with join_at(grace.worker, f"{workers.url}/rooms/lobby", "Ghost") as ghost:
        ada.sees("Ada (you)", "Ghost", "Grace")
        os.kill(grace.worker, signal.SIGKILL)
        assert close_code(ghost) is None
    grace.reconnecting()
    grace.connected()
    ada.sees("Ada (you)", "Grace")
    talk(ada, grace)


@needs_redis
def test_windows_come_back_after_redis_was_killed(
    workers: Program, redis: RedisServer, open_window: Open
) -> None:
    ada, grace = on_two_workers(workers.url, open_window)
    talk(ada, grace)
    redis.kill()
    try:
        for window in (ada, grace):
            window.reconnecting()
            assert window.close_codes[:1] == [1013]
        with pytest.raises(InvalidStatus) as refused, join(f"{workers.url}/rooms/lobby", "Edsger"):
            pass
        assert refused.value.response.status_code == 503
    finally:
        redis.start()
    for window in (ada, grace):
        window.connected()
    ada.sees("Ada (you)", "Grace")
    grace.sees("Ada", "Grace (you)")
    talk(ada, grace)
    assert "Traceback" not in workers.output
