"""Where settings come from: flags, variables, a file; which of them wins, and what is said of a wrong one."""

from __future__ import annotations

import re
import socket
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from asgiserve import Config
from asgiserve.cli import main
from asgiserve.config import SETTINGS
from asgiserve.config_file import toml
from asgiserve.settings import Setting
from asgiserve.sources import from_file, from_flags, from_variables
from docs.generate import REFERENCE
from tests.asgiserve.applications import hello
from tests.asgiserve.program import Program, run_to_end

APP = "tests.asgiserve.applications:program"

#: What `--help` prints.
HELP_PAGE = main.get_help(main.make_context("asgiserve", ["-h"], resilient_parsing=True))

#: The command without the name of an application, which `Program` puts first.
NAMELESS = (sys.executable, "-c", "import sys; del sys.argv[1]; from asgiserve.__main__ import main; main()")


def check(
    directory: Path, *arguments: str, file: str = "", name: str = "asgiserve.toml", **environment: str
) -> dict[str, tuple[Any, str]]:
    """What `--check-config` prints: values and where they come from, by the names of settings."""
    if file:
        (directory / name).write_text(file)
    ended = run_to_end("--check-config", *arguments, directory=directory, **environment)
    assert (ended.returncode, ended.stderr) == (0, "")
    return values_and_origins(ended.stdout)


def values_and_origins(printed: str) -> dict[str, tuple[Any, str]]:
    """The lines of `--check-config`; a value that TOML does not have is a text."""
    found = {}
    for name, value, origin in re.findall(r"^(?:# )?(\w+) = (.+?) +# (.+)$", printed, re.MULTILINE):
        try:
            found[name] = (tomllib.loads(f"x = {value}")["x"], origin)
        except tomllib.TOMLDecodeError:
            found[name] = (value, origin)
    return found


def refused(directory: Path, *arguments: str, **environment: str) -> str:
    """What is said when the settings are wrong: one line, and exit code 2."""
    ended = run_to_end(*arguments, directory=directory, **environment)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("asgiserve: ")
    assert ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr.removeprefix("asgiserve: ").rstrip()


# One definition


def another_value(setting: Setting) -> Any:
    """A value that is not the default."""
    if setting.choices:
        return next(choice for choice in setting.choices if choice != setting.default)
    if setting.kind is bool:
        return not setting.default
    if setting.kind in (int, float):
        return 0.5 if setting.kind is float else 2 if setting.default != 2 else 1
    return ("one: 1", "two: 2") if setting.kind is tuple else "text"


def as_arguments(setting: Setting, flag: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [flag if value else setting.opposite]
    values = value if isinstance(value, tuple) else (str(value),)
    return [part for one in values for part in (flag, one)]


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=lambda setting: setting.name)
def test_one_definition_gives_the_flag_the_variable_and_the_key(setting: Setting) -> None:
    value = another_value(setting)
    written = "\n".join(value) if isinstance(value, tuple) else str(value)
    lines = [["text"]] if not setting.flags else [as_arguments(setting, f, value) for f in setting.flags]
    for line in lines:
        flags = main.make_context("asgiserve", list(line)).params
        given = from_flags({name: flags[name] for name in SETTINGS})
        assert {name: one.value for name, one in given.items()} == {setting.name: value}
    for variable in setting.variables:
        assert variable.startswith("ASGISERVE_")
        assert from_variables({variable: written})[setting.name].value == value
    for key in (*setting.keys, setting.name.replace("_", "-")):
        table = tomllib.loads(f"{key} = {toml(value)}")
        assert from_file("asgiserve.toml", table)[setting.name].value == value


@pytest.mark.parametrize("name", SETTINGS)
def test_one_definition_gives_a_row_of_the_reference_and_of_the_help_page(name: str) -> None:
    row = re.search(rf"^\| `{name}` \| (.+?) \|", REFERENCE.read_text(), re.MULTILINE)
    assert row, "run `make docs`"
    for flag in SETTINGS[name].flags:
        assert f"`{flag}`" in row[1]
    for flag in SETTINGS[name].flags:
        assert re.search(rf"  (.+, )?(--\[no-\]|--){flag[2:]}\b", HELP_PAGE), flag


def test_names_are_of_one_setting_each() -> None:
    for names in ("flags", "keys", "variables"):
        every = [name for setting in SETTINGS.values() for name in getattr(setting, names)]
        assert len(every) == len(set(every))


# Which of them wins


def test_flag_wins_over_variable_over_file_over_default(tmp_path: Path) -> None:
    found = check(
        tmp_path,
        "main:app",
        "--port=1",
        file='app = "other:app"\nport = 3\nbacklog = 3\nmax_headers = 3\n',
        ASGISERVE_PORT="2",
        ASGISERVE_BACKLOG="2",
    )
    assert found["app"] == ("main:app", "argument")
    assert found["port"] == (1, "flag --port")
    assert found["backlog"] == (2, "variable ASGISERVE_BACKLOG")
    assert found["max_headers"] == (3, "asgiserve.toml")
    assert found["max_request_line"] == (8192, "default")
    assert found["uds"] == ("none", "default")
    assert list(found) == list(SETTINGS)


def test_repeated_flag_replaces_what_the_file_has(tmp_path: Path) -> None:
    found = check(tmp_path, "m:a", "--header=a:1", "--header=b:2", file='headers = ["c:3"]')
    assert found["headers"] == (["a:1", "b:2"], "flag --header")


@pytest.mark.parametrize("lower", ['bind = ["[::]:1"]', 'uds = "/s"', "fd = 3"])
def test_flag_that_says_where_to_listen_wins_over_all_that_the_file_says(tmp_path: Path, lower: str) -> None:
    found = check(tmp_path, "m:a", "--port=1", file=f'host = "::1"\n{lower}')
    assert (found["port"][0], found["host"][0]) == (1, "::1")
    assert found[lower.partition(" ")[0]][1] == "default"


def test_switch_can_be_turned_off_again(tmp_path: Path) -> None:
    found = check(tmp_path, "m:a", "--no-reload", file="reload = true", ASGISERVE_ACCESS_LOG="off")
    assert found["reload"] == (False, "flag --no-reload")
    assert found["access_log"] == (False, "variable ASGISERVE_ACCESS_LOG")


@pytest.mark.parametrize(("words", "value"), [("1 true yes on ON True", True), ("0 false no off", False)])
def test_words_for_yes_and_no(words: str, value: bool) -> None:
    for word in words.split():
        assert from_variables({"ASGISERVE_RELOAD": word})["reload"].value is value


def test_empty_variable_says_nothing() -> None:
    assert from_variables({"ASGISERVE_PORT": "", "ASGISERVE_UDS": ""}) == {}


# The file


def test_application_may_be_named_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "asgiserve.toml").write_text(f'app = "{APP}"\nroot-path = "/file"\naccess_log = false\n')
    with Program("nothing", directory=tmp_path, command=NAMELESS) as server:
        assert server.json()["root_path"] == "/file"


def test_table_of_pyproject_toml(tmp_path: Path) -> None:
    table = '[project]\nname = "x"\n[tool.asgiserve]\napp = "main:app"\nport = 3\n'
    found = check(tmp_path, file=table, name="pyproject.toml")
    assert found["port"] == (3, "pyproject.toml")
    found = check(tmp_path, file='app = "main:app"')
    assert found["port"] == (8000, "default")  # one file is read, not both


@pytest.mark.parametrize("text", ['[project]\nname = "x"\n', "[tool.other]\n", "tool = 1\n"])
def test_pyproject_toml_of_somebody_else_is_left_alone(tmp_path: Path, text: str) -> None:
    assert check(tmp_path, "m:a", file=text, name="pyproject.toml")["port"] == (8000, "default")


@pytest.mark.parametrize("how", ["-c", "--config", "ASGISERVE_CONFIG"])
def test_file_that_is_named(tmp_path: Path, how: str) -> None:
    chosen = tmp_path / "production.toml"
    chosen.write_text('app = "main:app"\nport = 4\n')
    arguments, environment = ([how, str(chosen)], {}) if how.startswith("-") else ([], {how: str(chosen)})
    found = check(tmp_path, *arguments, file="port = 3", **environment)
    assert found["port"] == (4, str(chosen))


def test_whole_number_is_a_time(tmp_path: Path) -> None:
    assert check(tmp_path, "m:a", file="request_timeout = 5")["request_timeout"] == (5, "asgiserve.toml")


def test_example_of_the_reference(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```toml\n(# asgiserve.toml\n.*?)^```$", REFERENCE.read_text(), re.M | re.S)
    found = check(tmp_path, file=example)
    table = tomllib.loads(example)
    assert len(table) > 10
    for name, value in table.items():
        assert found[name] == (value, "asgiserve.toml")


# What is wrong

WRONG_FILES = {
    "prot = 8000": "there is no setting 'prot'; did you mean 'port'?",
    "max-header = 1": "there is no setting 'max-header'; did you mean 'max_headers'?",
    "xyzzy = 1": "there is no setting 'xyzzy'",
    "[tool.asgiserve]\nport = 1": "there is no setting 'tool'; settings stand side by side, without tables",
    'port = "8000"': "port: it must be int, not '8000'",
    "port = 80.0": "port: it must be int, not 80.0",
    "port = true": "port: it must be int, not True",
    "port = 70000": "port: it must be at most 65535, not 70000",
    'reload = "yes"': "reload: it must be bool, not 'yes'",
    "ssl_minimum_version = 1.3": "ssl_minimum_version: it must be one of '1.2', '1.3', not 1.3",
    'workers = "many"': "workers: it must be int or 'auto', not 'many'",
    'headers = "a: b"': "headers: it must be an array of texts, not 'a: b'",
    "headers = [1]": "headers: it must be an array of texts, not [1]",
    'request-timeout = "1m"': "request-timeout: it must be float, not '1m'",
    "request_timeout = nan": "request_timeout: it must be a finite number, not nan",
    "uds = 1979-05-27": "uds: it must be str, not datetime.date(1979, 5, 27)",
    "app = 1": "app: it must be str, not 1",
    "ssl_keyfile_password = 123": "ssl_keyfile_password: it must be str, not that",
    'header = []\nheaders = ["a: b"]': "headers: it is set as 'header' too; keep one of them",
    'root_path = "api"': "root_path: it begins with a slash and does not end with one, unlike 'api'",
    "port = \nfd = 3\n": "it is not TOML: Invalid value (at line 1, column 8)",
    "port = 1\nport = 2\n": "it is not TOML: Cannot overwrite a value (at line 2, column 9)",
}


@pytest.mark.parametrize("text", WRONG_FILES)
def test_wrong_file_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "asgiserve.toml").write_text(text)
    assert refused(tmp_path, "m:a") == f"asgiserve.toml: {WRONG_FILES[text]}"


WRONG_PROJECTS = {
    "[tool.asgiserve]\nprot = 1": "there is no setting 'prot'; did you mean 'port'?",
    "[tool]\nasgiserve = 1": "it has no table [tool.asgiserve]",
    "[[tool.asgiserve]]\nport = 1": "it has no table [tool.asgiserve]",
    "[tool.asgiserve": "it is not TOML: Expected ']' at the end of a table declaration (at end of document)",
}


@pytest.mark.parametrize("text", WRONG_PROJECTS)
def test_wrong_table_of_pyproject_toml(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert refused(tmp_path, "m:a") == f"pyproject.toml: {WRONG_PROJECTS[text]}"


def test_named_file_that_is_missing_or_has_no_table(tmp_path: Path) -> None:
    assert refused(tmp_path, "m:a", "-c", "away.toml") == "away.toml: No such file or directory"
    (tmp_path / "pyproject.toml").write_text("[tool.other]\n")
    assert refused(tmp_path, "m:a", "-c", "pyproject.toml").endswith("it has no table [tool.asgiserve]")


def test_file_is_checked_even_where_a_flag_wins(tmp_path: Path) -> None:
    (tmp_path / "asgiserve.toml").write_text('port = "8000"')
    assert "port: it must be int" in refused(tmp_path, "m:a", "--port=1")


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--port=http"], {}, "--port: it must be int, not 'http'"),
        (["--timeout-keep-alive=-1"], {}, "--keep-alive-timeout: it must be at least 0, not -1.0"),
        (["--ssl-keyfile=k"], {}, "--ssl-keyfile: it needs ssl_certfile beside it"),
        ([], {"ASGISERVE_PORT": "tcp://10.0.0.1"}, "ASGISERVE_PORT: it must be int, not 'tcp://10.0.0.1'"),
        ([], {"ASGISERVE_RELOAD": "maybe"}, "ASGISERVE_RELOAD: it must be bool, not 'maybe'"),
        ([], {"ASGISERVE_ROOT_PATH": "x"}, "ASGISERVE_ROOT_PATH: it begins with a slash"),
        (
            [],
            {"ASGISERVE_HEADER": "a: b", "ASGISERVE_HEADERS": "c: d"},
            "ASGISERVE_HEADER: it is set as ASGISERVE_HEADERS too; keep one of them",
        ),
    ],
)
def test_wrong_value_is_named_as_it_was_written(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], message: str
) -> None:
    assert refused(tmp_path, "m:a", *arguments, **environment).startswith(message)


def test_no_application(tmp_path: Path) -> None:
    assert refused(tmp_path) == "which application? Name it, as in: asgiserve main:app; --help says more"


def test_unknown_variable_is_a_warning(tmp_path: Path) -> None:
    ended = run_to_end("m:a", "--check-config", directory=tmp_path, ASGISERVE_PROT="1", ASGISERVE_FOO_BAR="2")
    assert ended.returncode == 0
    assert ended.stderr == (
        "asgiserve: warning: there is no setting for the variable ASGISERVE_FOO_BAR\n"
        "asgiserve: warning: there is no setting for the variable ASGISERVE_PROT; "
        "did you mean ASGISERVE_PORT?\n"
    )


def test_unknown_flag_is_told_with_the_nearest_one(tmp_path: Path) -> None:
    ended = run_to_end("m:a", "--prot=1", directory=tmp_path)
    assert ended.returncode == 2
    assert re.search(r"No such option.*--prot.*--port", ended.stderr)


# --check-config


def test_what_is_printed_is_a_configuration_file(tmp_path: Path) -> None:
    """With the same settings, those that had been given; defaults are comments."""
    odd = "\x7f\té\"\\'"
    arguments = ("m:a", "--port=1", f"--app-dir={odd}", "--no-access-log", "--shutdown-timeout=.5")
    printed = run_to_end("--check-config", *arguments, directory=tmp_path).stdout
    assert tomllib.loads(printed) == {
        "app": "m:a",
        "port": 1,
        "app_dir": odd,
        "access_log": False,
        "shutdown_timeout": 0.5,
    }


def test_printed_file_can_be_read_again(tmp_path: Path) -> None:
    arguments = ("m:a", "--port=1", "--header=a: b", "--no-access-log", "--workers=auto")
    before = run_to_end("--check-config", *arguments, directory=tmp_path).stdout
    after = check(tmp_path, file=before)
    assert {name: value for name, (value, _) in after.items()} == {
        name: value for name, (value, _) in values_and_origins(before).items()
    }
    assert {name for name, (_, origin) in after.items() if origin == "asgiserve.toml"} == {
        "app", "port", "headers", "access_log", "workers"
    }  # fmt: skip


def test_example_of_what_is_printed(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```text\n(# Listening\n.*?)^```$", REFERENCE.read_text(), re.M | re.S)
    ended = run_to_end("m:a", "--check-config", "--port=80", directory=tmp_path, ASGISERVE_HOST="0.0.0.0")
    assert example in ended.stdout


def test_secret_is_not_shown(tmp_path: Path) -> None:
    ended = run_to_end(
        "m:a",
        "--check-config",
        "--ssl-certfile=c",
        directory=tmp_path,
        ASGISERVE_SSL_KEYFILE_PASSWORD="swordfish",
    )
    assert "swordfish" not in ended.stdout + ended.stderr
    assert re.search(r"^# ssl_keyfile_password = \*+ .*ASGISERVE_SSL_KEYFILE_PASSWORD", ended.stdout, re.M)


def test_checking_neither_imports_nor_binds(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("raise SystemExit(99)")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert check(tmp_path, "main:app", f"--port={port}")["port"] == (port, "flag --port")


# From Python


def test_a_program_gives_its_settings_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "asgiserve.toml").write_text('root_path = "/file"\nnonsense = 1')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASGISERVE_PORT", "1")
    assert (Config(app=hello).port, Config(app=hello).root_path) == (8000, "")
    code = "import asgiserve, sys; asgiserve.run(sys.argv[1], port=0)"
    environment = {"ASGISERVE_ROOT_PATH": "/variable"}
    command = (sys.executable, "-c", code)
    with Program(
        "program", port=None, directory=tmp_path, environment=environment, command=command
    ) as server:
        assert server.json()["root_path"] == ""
