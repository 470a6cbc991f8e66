"""Workers and their parent: who is replaced, why, and that nobody notices."""

from __future__ import annotations

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.asgiserve.load import Load
from tests.asgiserve.program import COMMAND, ROOT, STARTING, Program, clean_environment, run_to_end
from tests.asgiserve.raw import GET, eventually, get
from tests.asgiserve.test_command_line import is_running, pids

QUIET = ("--no-access-log",)


def port(server: Program) -> int:
    """The port that it listens on."""
    return int(server.url.rpartition(":")[2])


def pid_in(line: str) -> int:
    """The process id of the worker that a line of the log is about."""
    found = re.search(r"\(pid (\d+)\)", line)
    assert found
    return int(found[1])


# Replacement


def test_sighup_replaces_workers_by_ones_that_serve_already() -> None:
    with Program("program", "--workers", "2", *QUIET) as server:
        server.wait_for(" serves", times=2)
        before = pids(server, 2)
        server.signal(signal.SIGHUP)
        server.wait_for("ended (exit code 0)", times=2)
        after = pids(server, 2)
        assert not before & after
        lines = [line for line in server.lines if " serves" in line or " drains" in line][2:]
        assert [line.split()[-1] == "serves" for line in lines] == [True, False, True, False]
        assert "drains: it is replaced (SIGHUP)" in server.output
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_no_request_fails_through_ten_sighups(loop: str) -> None:
    """Not of clients that keep their connections, nor of new ones, nor a request that takes a second."""
    with Program("program", "--workers", "2", "--loop", loop, *QUIET) as server:
        server.wait_for(" serves", times=2)
        with Load(port(server)) as load:
            for turn in range(1, 11):
                server.signal(signal.SIGHUP)
                server.wait_for(" serves", times=2 + 2 * turn)
            server.wait_for("ended (", times=20)
        assert load.failures == []
        assert all(count > 10 for count in load.answered.values()), load.answered
        assert sum(load.answered.values()) > 500
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0
        assert "ERROR" not in server.output


def test_idle_connection_of_a_replaced_worker_is_good_for_one_more_request() -> None:
    with Program("program", "--workers", "2", *QUIET) as server, server.connect() as client:
        server.wait_for(" serves", times=2)
        client.send(GET)
        response = client.response()
        assert "connection" not in response
        server.signal(signal.SIGHUP)
        server.wait_for(" drains", times=2)
        while "connection" not in response:  # it may not know yet that it is replaced
            client.send(GET)
            response = client.response()
            assert response.status == 200
        assert response["connection"] == "close"
        assert client.closed()


def test_idle_connections_do_not_keep_a_replaced_worker_for_long() -> None:
    with Program("program", "--workers", "2", *QUIET) as server, server.connect() as client:
        server.wait_for(" serves", times=2)
        client.send(GET)
        client.response()
        server.signal(signal.SIGHUP)
        assert client.closed()
        server.wait_for("ended (exit code 0)", times=2)


def test_sighup_with_broken_code_leaves_the_workers_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "main.py"
    file.write_text("from tests.asgiserve.applications import program as app\n")
    with Program("main:app", "--workers", "2", *QUIET, directory=tmp_path) as server:
        server.wait_for(" serves", times=2)
        before = pids(server, 2)
        file.write_text("raise RuntimeError('broken')\n")
        server.signal(signal.SIGHUP)
        server.wait_for("the workers that serve stay")
        assert "RuntimeError: broken" in server.output
        assert pids(server, 2) == before
        file.write_text("from tests.asgiserve.applications import program as app\n")
        server.signal(signal.SIGHUP)
        server.wait_for("ended (exit code 0)", times=2)
        assert not pids(server, 2) & before
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0


def test_sigttin_and_sigttou_change_the_number_of_workers() -> None:
    with Program("program", "--workers", "1", "--worker-lifetime", "1000", *QUIET) as server:
        server.wait_for(" serves")
        server.signal(signal.SIGTTIN)
        server.wait_for(" serves", times=2)
        both = pids(server, 2)
        server.signal(signal.SIGTTOU)
        server.wait_for("ended (exit code 0)")
        assert pids(server, 1) < both
        server.signal(signal.SIGTTOU)  # the last one stays
        server.wait_for("1 worker from now on", times=2)
        assert server.ask().status == 200
        assert server.output.count("ended (") == 1


def test_signal_that_stops_ends_workers_that_have_not_started_too() -> None:
    with Program("slow_startup", "--workers", "2", ready="starting") as server:
        server.wait_for("starting", times=2)
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0


def test_stop_in_the_middle_of_a_replacement() -> None:
    with Program("program", "--workers", "2", *QUIET) as server:
        server.wait_for(" serves", times=2)
        server.signal(signal.SIGHUP)
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0


#: Makes standard input the terminal of a process that leads its session, and goes on as asgiserve.
FROM_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_terminal_that_is_closed_ends_what_was_started_from_it(workers: str) -> None:
    """It says so by SIGHUP as well; and nobody is there any more to replace workers for."""
    terminal, inside = pty.openpty()
    arguments = ["tests.asgiserve.applications:program", "--port", "0", "--workers", workers]
    process = subprocess.Popen(
        [sys.executable, "-c", FROM_A_TERMINAL, *COMMAND[1:], *arguments],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
        cwd=ROOT,
        env=clean_environment(),
    )
    os.close(inside)
    try:
        output = b""
        while b"listens on" not in output:
            output += os.read(terminal, 4096)
    finally:
        os.close(terminal)
    process.wait(STARTING)


def test_signal_to_the_whole_group_is_one_signal() -> None:
    """systemd sends it to all processes of a service; workers then get another one from their parent."""

    def serve_and_stop() -> None:
        with Program("program", "--workers", "2", *QUIET) as server, server.connect() as client:
            server.wait_for(" serves", times=2)
            client.send(get("/slow"))
            server.wait_for("slow")
            os.killpg(server.process.pid, signal.SIGTERM)
            assert client.response().body == b"at last"
            assert server.exit_code() == 0

    with ThreadPoolExecutor() as pool:
        for ended in [pool.submit(serve_and_stop) for _ in range(5)]:
            ended.result()


# Recycling


@pytest.mark.parametrize("jitter", ["0", "3"])
def test_worker_that_has_had_enough_requests_is_replaced(jitter: str) -> None:
    arguments = ["--max-requests", "5", "--max-requests-jitter", jitter, *QUIET]
    with Program("program", *arguments) as server:
        first = server.json("/")["pid"]
        with Load(port(server)) as load:
            server.wait_for("requests (max_requests)", times=2)
            server.wait_for("ended (exit code 0)", times=2)
        assert load.failures == []
        assert server.json("/")["pid"] != first
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0


def test_worker_that_needs_too_much_memory_is_replaced() -> None:
    with Program("program", "--max-worker-memory", "120000000", *QUIET) as server:
        server.wait_for(" serves")
        first = server.json("/")["pid"]
        server.ask("/grow")
        line = server.wait_for("bytes of memory (max_worker_memory)")
        assert pid_in(line) == first
        server.wait_for("ended (exit code 0)")
        assert server.json("/")["pid"] != first


def test_worker_that_has_lived_long_enough_is_replaced() -> None:
    with Program("program", "--worker-lifetime", "1", *QUIET) as server:
        server.wait_for("has served for 1 s (worker_lifetime)", times=2)
        server.wait_for("ended (exit code 0)")
        assert server.ask().status == 200


# Deaths


def test_worker_that_dies_is_named_with_its_exit_code() -> None:
    with Program("program", "--workers", "2", *QUIET) as server:
        server.wait_for(" serves", times=2)
        with server.connect() as client:
            client.send(get("/die"))
            assert client.ended()
        assert pid_in(server.wait_for("died (exit code 70): replacing it"))
        server.wait_for(" serves", times=3)
        assert len(pids(server, 2)) == 2


def test_crash_loop_ends_with_a_message() -> None:
    ended = run_to_end("tests.asgiserve.applications:dying", "--port", "0", "--workers", "2")
    assert ended.returncode == 1
    assert "times in a row: giving up" in ended.stderr


def test_worker_that_does_not_start_in_time_is_an_error() -> None:
    ended = run_to_end(
        *("tests.asgiserve.applications:slow_startup", "--port", "0", "--workers", "2"),
        *("--startup-timeout", "10"),  # an interpreter has certainly come as far as the application by then
    )
    assert ended.returncode == 1
    assert "has not started within 10 s (startup_timeout); its stacks:" in ended.stderr
    assert "most recent call first" in ended.stderr


def test_worker_that_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    """A deployment removes the directory in which the server was started, and makes it anew."""
    directory = tmp_path / "current"
    directory.mkdir()
    with Program("program", "--workers", "2", *QUIET, directory=directory) as server:
        server.wait_for(" serves", times=2)
        one = min(pids(server, 2))
        directory.rmdir()
        os.kill(one, signal.SIGKILL)
        server.wait_for("cannot start worker", times=2)
        assert server.ask().status == 200
        directory.mkdir()
        server.wait_for(" serves", times=3)
        assert len(pids(server, 2)) == 2
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0


def test_worker_that_is_blocked_does_not_outlive_its_parent_for_long() -> None:
    with Program("program", "--workers", "2", "--shutdown-timeout", "0.5", *QUIET) as server:
        server.wait_for(" serves", times=2)
        workers = pids(server, 2)
        with server.connect() as client:
            client.send(get("/block"))
            server.wait_for("blocking")
            server.process.kill()
            assert eventually(lambda: not any(map(is_running, workers)))


def test_worker_asks_again_to_be_replaced(tmp_path: Path) -> None:
    """The first replacement fails, because the code is broken."""
    file = tmp_path / "main.py"
    file.write_text("from tests.asgiserve.applications import program as app\n")
    with Program("main:app", "--max-requests", "5", *QUIET, directory=tmp_path) as server:
        first = server.json("/")["pid"]
        file.write_text("raise RuntimeError('broken')\n")
        for _ in range(5):
            assert server.ask().status == 200
        server.wait_for("the workers that serve stay")
        file.write_text("from tests.asgiserve.applications import program as app\n")
        server.wait_for("ended (exit code 0)")
        assert server.json("/")["pid"] != first


def test_replacements_leave_no_descriptors_in_the_parent() -> None:
    with Program("program", "--workers", "2", *QUIET) as server:
        server.wait_for(" serves", times=2)
        place = Path(f"/proc/{server.process.pid}/fd")
        before = len(list(place.iterdir()))
        for turn in range(1, 4):
            server.signal(signal.SIGHUP)
            server.wait_for("ended (exit code 0)", times=2 * turn)
        assert eventually(lambda: len(list(place.iterdir())) <= before)


def test_closed_standard_streams_are_not_taken_by_sockets() -> None:
    arguments = shlex.join([*COMMAND, "tests.asgiserve.applications:program", "--port", "0"])
    process = subprocess.Popen(
        ["bash", "-c", f"exec {arguments} <&- >&-"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=clean_environment(),
    )
    assert process.stderr is not None
    while "listens on" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.stderr.close()
    assert process.wait(STARTING) == 0


def test_stuck_worker_tells_its_stacks_and_is_replaced() -> None:
    arguments = ["--workers", "2", "--worker-timeout", "1.5", *QUIET]
    with Program("program", *arguments) as server, server.connect() as client:
        server.wait_for(" serves", times=2)
        client.send(get("/block"))
        line = server.wait_for("has not turned its event loop for 1.5 s (worker_timeout); its stacks:")
        stuck = pid_in(line)
        server.wait_for(" in _block")
        server.wait_for(" serves", times=3)
        assert server.ask().status == 200
        server.wait_for("does not end: killing it")
        assert eventually(lambda: not is_running(stuck))
        assert client.ended()
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0


def test_worker_that_is_busy_but_turns_its_loop_is_left_alone() -> None:
    arguments = ["--workers", "1", "--worker-lifetime", "1000", "--worker-timeout", "1.5", *QUIET]
    with Program("program", *arguments) as server:
        first = server.json("/")["pid"]
        for _ in range(3):
            assert server.ask("/slow").body == b"at last"
        assert server.json("/")["pid"] == first


def test_worker_that_does_not_drain_is_killed() -> None:
    with Program("program", "--workers", "2", "--shutdown-timeout", "0.5", *QUIET) as server:
        server.wait_for(" serves", times=2)
        with server.connect() as client:
            client.send(get("/block"))
            server.wait_for("blocking")
            began = time.monotonic()
            server.signal(signal.SIGTERM)
            assert server.exit_code() == 0
            assert time.monotonic() - began < STARTING
        assert "does not end: killing it" in server.output


# Names and numbers


def test_workers_have_names_in_the_list_of_processes() -> None:
    pytest.importorskip("setproctitle")
    with Program("program", "--workers", "2", *QUIET) as server:
        server.wait_for(" serves", times=2)
        titles = {Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0") for pid in pids(server, 2)}
    assert titles == {
        b"asgiserve: worker 1 tests.asgiserve.applications:program",
        b"asgiserve: worker 2 tests.asgiserve.applications:program",
    }


def test_workers_auto_is_one_for_each_processor() -> None:
    with Program("program", "--workers", "auto", *QUIET) as server:
        count = len(os.sched_getaffinity(0))
        server.wait_for(" serves", times=count)
        workers = "1 worker" if count == 1 else f"{count} workers"
        assert f"starts {workers} (" in server.output


# Reload

PROGRAM = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"VERSION"})
"""


def test_reload_answers_with_the_mistake_until_it_is_mended(tmp_path: Path) -> None:
    file = tmp_path / "main.py"
    file.write_text("import nothing_of_that_name\n")
    with Program("main:app", "--reload", "--workers", "4", *QUIET, directory=tmp_path) as server:
        assert "starts 1 worker (" in server.output  # while it is developed
        with server.connect() as client:
            client.send(get("/", "Accept: text/html,*/*"))
            response = client.response()
        assert (response.status, response["content-type"]) == (503, "text/html; charset=utf-8")
        assert b"nothing_of_that_name" in response.body
        response = server.ask()
        assert (response.status, response["content-type"]) == (503, "text/plain; charset=utf-8")
        assert "nothing_of_that_name" in server.output
        file.write_text(PROGRAM)
        server.wait_for("ended (exit code 0)")
        assert server.ask().body == b"VERSION"


def test_reload_explains_a_startup_that_failed(tmp_path: Path) -> None:
    with Program("failing_startup", "--reload", "--reload-dir", str(tmp_path), *QUIET) as server:
        response = server.ask()
        assert response.status == 503
        assert b"the database is away" in response.body
        assert "the database is away" in server.output


def test_reload_watches_what_it_is_told(tmp_path: Path) -> None:
    watched, other = tmp_path / "watched", tmp_path / "other"
    (watched / "vendor").mkdir(parents=True)
    other.mkdir()
    (tmp_path / "main.py").write_text(PROGRAM)
    with Program(
        *("main:app", "--reload", "--reload-dir", str(watched), "--reload-include", "*.html"),
        *("--reload-include", "*.py", "--reload-exclude", "vendor"),
        directory=tmp_path,
    ) as server:
        (watched / "vendor" / "ignored.py").write_text("")
        (watched / "ignored.txt").write_text("")
        (other / "ignored.py").write_text("")
        (watched / "page.html").write_text("")
        line = server.wait_for("changed: replacing")
        assert "page.html changed" in line
        server.wait_for("ended (exit code 0)")
        assert server.output.count("changed: replacing") == 1


def test_directory_to_watch_that_is_not_there_is_named(tmp_path: Path) -> None:
    ended = run_to_end(
        *("tests.asgiserve.applications:program", "--port", "0", "--reload"),
        *("--reload-dir", str(tmp_path / "nowhere")),
    )
    assert ended.returncode == 2
    assert "nowhere" in ended.stderr
    assert "Traceback" not in ended.stderr
