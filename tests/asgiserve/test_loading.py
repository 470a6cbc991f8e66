"""From ``module:attribute`` to the application, and what a newcomer is told when it is not there.

Each mistake is one clear message on standard error, exit code 2, and no frame of the server's own code.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

import asgiserve
from tests.asgiserve.program import Ended, Program, run_to_end

APPLICATION = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": __name__.encode()})
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with an application in it."""
    (tmp_path / "main.py").write_text(APPLICATION)
    return tmp_path


def mistake(project: Path, *arguments: str) -> str:
    """The message for a wrong command line."""
    ended: Ended = run_to_end(*arguments, "--port", "0", directory=project)
    assert ended.returncode == 2, ended
    assert ended.stdout == ""
    assert str(Path(asgiserve.__file__).parent) not in ended.stderr  # no frame of ours
    assert "importlib" not in ended.stderr
    return ended.stderr


def served(project: Path, *arguments: str) -> bytes:
    """The body that the application answers."""
    with Program(*arguments, directory=project) as server:
        body = server.ask().body
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0
        return body


def test_module_and_attribute(project: Path) -> None:
    assert served(project, "main:app") == b"main"


def test_module_in_a_package(project: Path) -> None:
    (project / "package").mkdir()
    (project / "package" / "__init__.py").write_text("")
    (project / "package" / "site.py").write_text(APPLICATION)
    assert served(project, "package.site:app") == b"package.site"


def test_dotted_attribute(project: Path) -> None:
    (project / "main.py").write_text(
        APPLICATION + "class site:\n    class inner:\n        application = app\n"
    )
    assert served(project, "main:site.inner.application") == b"main"


def test_app_dir(project: Path) -> None:
    (project / "elsewhere").mkdir()
    assert served(project / "elsewhere", "main:app", "--app-dir", str(project)) == b"main"
    assert served(project / "elsewhere", "main:app", "--app-dir", "..") == b"main"


def test_factory(project: Path) -> None:
    (project / "main.py").write_text(APPLICATION + "def create_app():\n    return app\n")
    assert served(project, "main:create_app", "--factory") == b"main"


@pytest.mark.parametrize("name", ["main", "main:", ":app", "main:app:more", "main: app", "main:1app", ""])
def test_name_that_is_none(project: Path, name: str) -> None:
    message = mistake(project, name)
    assert "module:attribute" in message
    assert "main:app" in message


def test_no_name_at_all(project: Path) -> None:
    assert "which application?" in mistake(project)


def test_module_that_is_not_there(project: Path) -> None:
    message = mistake(project, "mian:app")
    assert "no module 'mian'" in message
    assert str(project) in message


def test_module_that_is_not_there_in_a_package(project: Path) -> None:
    (project / "package").mkdir()
    (project / "package" / "__init__.py").write_text("")
    assert "no module 'package.site'" in mistake(project, "package.site:app")


def test_file_name_instead_of_a_module(project: Path) -> None:
    message = mistake(project, "main.py:app")
    assert "'main'" in message
    assert "Traceback" not in message


def test_path_instead_of_a_module(project: Path) -> None:
    (project / "package").mkdir()
    (project / "package" / "site.py").write_text(APPLICATION)
    message = mistake(project, "package/site.py:app")
    assert "package.site" in message


def test_module_in_src_is_hinted_at(project: Path) -> None:
    (project / "src").mkdir()
    (project / "main.py").rename(project / "src" / "main.py")
    assert "--app-dir src" in mistake(project, "main:app")


def test_app_dir_that_is_not_there(project: Path) -> None:
    (project / "main.py").rename(project / "other.py")
    assert "nowhere" in mistake(project, "main:app", "--app-dir", "nowhere")


def test_module_that_fails_to_import_shows_its_own_lines(project: Path) -> None:
    (project / "main.py").write_text("def connect():\n    return 1 / 0\n\n\ndatabase = connect()\n")
    message = mistake(project, "main:app")
    assert "'main' failed to import" in message
    assert "ZeroDivisionError: division by zero" in message
    assert 'main.py", line 5' in message
    assert 'main.py", line 2' in message


def test_module_with_a_syntax_error(project: Path) -> None:
    (project / "main.py").write_text("def app(:\n")
    message = mistake(project, "main:app")
    assert "SyntaxError" in message
    assert 'main.py", line 1' in message


def test_module_that_imports_one_that_is_not_there(project: Path) -> None:
    """What is missing is what the module needs, not the module."""
    (project / "main.py").write_text("import no_such_library\n")
    message = mistake(project, "main:app")
    assert "'main' failed to import" in message
    assert "No module named 'no_such_library'" in message
    assert 'main.py", line 1' in message


def test_module_that_exits_on_import(project: Path) -> None:
    (project / "main.py").write_text("import sys\nsys.exit('configure me first')\n")
    message = mistake(project, "main:app")
    assert "configure me first" in message
    assert "'main'" in message


def test_attribute_that_is_not_there(project: Path) -> None:
    message = mistake(project, "main:application")
    assert "'main'" in message
    assert "main.py" in message
    assert "no attribute 'application'" in message
    assert "app" in message.split("it has")[1]


def test_dotted_attribute_that_is_not_there(project: Path) -> None:
    (project / "main.py").write_text("class site:\n    app = 1\n")
    message = mistake(project, "main:site.application")
    assert "'site'" in message
    assert "'application'" in message


@pytest.mark.parametrize(("value", "kind"), [("1", "int"), ("'app'", "str"), ("None", "NoneType")])
def test_attribute_that_cannot_be_called(project: Path, value: str, kind: str) -> None:
    (project / "main.py").write_text(f"app = {value}\n")
    message = mistake(project, "main:app")
    assert "main:app" in message
    assert kind in message
    assert "not an ASGI application" in message


def test_attribute_that_is_a_module(project: Path) -> None:
    (project / "main.py").write_text("import json as app\n")
    assert "module 'json'" in mistake(project, "main:app")


def test_attribute_without_attributes_of_its_own(project: Path) -> None:
    (project / "main.py").write_text("app = 1\n")
    message = mistake(project, "main:app.inner")
    assert "'inner'" in message


def test_factory_that_is_not_called_one(project: Path) -> None:
    (project / "main.py").write_text(APPLICATION + "def create_app():\n    return app\n")
    assert "--factory" in mistake(project, "main:create_app")


def test_factory_that_fails_shows_its_own_lines(project: Path) -> None:
    (project / "main.py").write_text("def create_app():\n    return {}['no such key']\n")
    message = mistake(project, "main:create_app", "--factory")
    assert "KeyError: 'no such key'" in message
    assert 'main.py", line 2' in message
    assert "main:create_app" in message


def test_factory_that_returns_no_application(project: Path) -> None:
    (project / "main.py").write_text("def create_app():\n    return None\n")
    message = mistake(project, "main:create_app", "--factory")
    assert "NoneType" in message


def test_factory_that_cannot_be_called(project: Path) -> None:
    (project / "main.py").write_text("create_app = 1\n")
    assert "--factory" in mistake(project, "main:create_app", "--factory")


def test_mistakes_of_several_workers_are_told_once_and_end_the_parent(project: Path) -> None:
    ended = run_to_end("mian:app", "--port", "0", "--workers", "2", directory=project)
    assert ended.returncode == 2
    assert "no module 'mian'" in ended.stderr
    assert "Traceback" not in ended.stderr
