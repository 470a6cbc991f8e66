"""The command ``asgiweb routes``: its table, and what it says when it cannot make one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from asgiweb import Application, Group, Handler, Request, Response, WebSocket
from asgiweb.cli import main
from asgiweb.listing import table_of

PROGRAM = """
from asgiweb import Application, Request, Response

app = Application()
other = object()
number = 5
wrapped = lambda scope, receive, send: app(scope, receive, send)


def create_app() -> Application[None]:
    return app


def create_nothing() -> None: ...


def fail() -> Application[None]:
    raise ValueError("no settings")


@app.get("/users/{id:int}", name="user")
async def show(request: Request, id: int) -> Response:
    return Response()
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(PROGRAM)
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "leaves.py").write_text("raise SystemExit(0)")
    (tmp_path / "needs.py").write_text("import what_nobody_has")
    extra = "raise ModuleNotFoundError(\"templates need Jinja2: pip install 'asgiweb[templates]'\")"
    (tmp_path / "extra.py").write_text(extra)
    duplicate = '\n\n@app.get("/users/{number:int}")\nasync def again(request: Request) -> Response: ...\n'
    (tmp_path / "twice.py").write_text(PROGRAM + duplicate)
    return tmp_path


def command(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "asgiweb", *arguments], cwd=program, capture_output=True, text=True
    )


def test_the_routes_of_a_module_in_the_current_directory(program: Path) -> None:
    result = command(program, "routes", "shop:app")
    assert result.stderr == ""
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["methods", "path", "name", "handler"],
        ["-------", "---------------", "----", "---------------"],
        ["GET", "/users/{id:int}", "user", "shop.py:21", "show"],
    ]
    assert result.returncode == 0


def test_static_files_are_shown_by_their_directory(program: Path) -> None:
    (program / "public").mkdir()
    (program / "files.py").write_text(
        'from asgiweb import Application\napp = Application()\napp.static("/static", "public")\n'
    )
    shown = command(program, "routes", "files:app").stdout.splitlines()
    assert shown[2].split() == ["GET", "/static/{path:path}", "files", "of", "public"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("shop", "'shop' is not module:app; write 'shop:app'"),
        ("./shop.py:app", "named with dots and without .py: 'shop'"),
        ("shops:app", "there is no module 'shops' in "),
        ("shop.inner:app", "there is no module 'shop.inner'"),
        ("shop:application", "'shop' has no 'application'; applications that are there: app"),
        ("shop:other", "'shop:other' is of type object, and not an asgiweb.Application"),
        ("shop:number.app", "'shop' has no 'app'; applications that are there: none"),
        ("shop:wrapped", "'shop:wrapped' is of type function, and not an asgiweb.Application"),
        ("shop:create_app", "'shop:create_app' takes no arguments, so it seems to make the application"),
        ("leaves:app", "'leaves' cannot be imported, see above: SystemExit"),
        ("needs:app", "'needs' imports 'what_nobody_has', which is not installed"),
        ("extra:app", "'extra' cannot be imported: templates need Jinja2: pip install 'asgiweb[templates]'"),
        ("broken:app", "'broken' cannot be imported, see above: ZeroDivisionError"),
        ("twice:app", "GET '/users/{number:int}' is registered already"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    program: Path,
    target: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(program)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("shop", "broken", "extra", "leaves", "needs", "twice"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert main(["routes", target]) == 1
    output = capsys.readouterr()
    last = output.err.splitlines()[-1]
    assert output.out == ""
    assert last.startswith("asgiweb: ")
    assert message in last
    assert ("Traceback" in output.err) == (target in ("broken:app", "leaves:app"))


def test_an_application_that_a_function_makes(program: Path) -> None:
    result = command(program, "routes", "--factory", "shop:create_app")
    assert "/users/{id:int}" in result.stdout
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("shop:number", "asgiweb: 'shop:number' is of type int, and not a function, which --factory needs"),
        ("shop:create_nothing", "asgiweb: 'shop:create_nothing' has returned NoneType, and not an asgiweb"),
        ("shop:fail", "asgiweb: 'shop:fail' failed, see above: ValueError"),
    ],
)
def test_a_function_that_makes_none(program: Path, target: str, message: str) -> None:
    result = command(program, "routes", "--factory", target)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1].startswith(message)
    assert ("no settings" in result.stderr) == (target == "shop:fail")


def test_a_reader_who_has_seen_enough_is_no_fault(program: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run(
        [sys.executable, "-m", "asgiweb", "routes", "shop:app"],
        cwd=program,
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    assert result.stderr == b""


def test_a_terminal_that_has_not_every_character(program: Path) -> None:
    (program / "shop.py").write_text(PROGRAM.replace("/users", "/caf\xe9"), "utf-8")
    result = subprocess.run(
        [sys.executable, "-m", "asgiweb", "routes", "shop:app"],
        cwd=program,
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"/caf\\xe9/{id:int}" in result.stdout


def test_without_arguments_it_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main([])
    assert exit.value.code == 2
    assert "usage: asgiweb" in capsys.readouterr().err


async def handler(request: Request) -> Response:
    return Response()


async def guard(request: Request, handler: Handler) -> Response:
    return await handler(request)


class Timer:
    async def __call__(self, request: Request, handler: Handler) -> Response:
        return await handler(request)


def test_everything_is_in_the_table() -> None:
    app: Application[Any] = Application(middlewares=[guard])
    group: Group[Any] = Group("/g", name="g", middlewares=[Timer()])
    group.route("/a", methods=["POST", "GET"], name="a", middlewares=[guard])(handler)
    app.include(group)
    app.get("/", host="{x}.example.com")(handler)

    @app.websocket("/ws")
    async def talk(ws: WebSocket) -> None: ...

    inner: Application[Any] = Application()
    inner.get("/b")(handler)
    app.mount("/m", inner)
    app.mount("", lambda scope, receive, send: handler(scope))  # type: ignore[arg-type, return-value]  # any callable
    rows = [line.split("  ") for line in table_of(app).splitlines()]
    cells = [[cell.strip() for cell in row if cell] for row in rows]
    assert cells[0] == ["methods", "path", "host", "name", "handler", "middlewares"]
    assert [row[:2] for row in cells[2:8]] == [
        ["mount", "/"],
        ["GET POST", "/g/a"],
        ["mount", "/m"],
        ["GET", "/m/b"],
        ["websocket", "/ws"],
        ["GET", "/"],
    ]
    assert cells[3][2] == "g.a"
    assert cells[3][-1] == "Timer, guard"
    assert cells[7][2] == "{x}.example.com"
    assert cells[-1] == ["Around all of them: guard"]


def test_what_is_mounted_is_shown_with_the_host_and_the_middlewares_around_it() -> None:
    inner: Application[Any] = Application(middlewares=[guard])
    inner.get("/a", middlewares=[Timer()])(handler)
    group: Group[Any] = Group("/g", middlewares=[Timer()], host="api.example.com")
    group.mount("/m", inner, middlewares=[guard])
    app: Application[Any] = Application()
    app.include(group)
    mount, route = [line.split() for line in table_of(app).splitlines()[2:]]
    assert mount[:3] == ["mount", "/g/m", "api.example.com"]
    assert mount[-2:] == ["Timer,", "guard"]
    assert route[:3] == ["GET", "/g/m/a", "api.example.com"]
    assert route[-4:] == ["Timer,", "guard,", "guard,", "Timer"]


def test_an_application_without_routes_says_so() -> None:
    assert table_of(Application()) == "The application has no routes.\n"
