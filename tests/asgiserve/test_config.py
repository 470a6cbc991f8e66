"""Settings: wrong types and values are refused with a message that names them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from asgiserve import AsgiserveError, Config, ConfigError
from tests.asgiserve.applications import hello

WRONG: list[tuple[str, Any]] = [
    ("app", 1),
    ("app", None),
    ("factory", "yes"),
    ("factory", 1),
    ("app_dir", 1),
    ("root_path", b"/api"),
    ("root_path", "api"),
    ("root_path", "/api/"),
    ("root_path", "/"),
    ("lifespan", "maybe"),
    ("lifespan", True),
    ("host", 1),
    ("host", None),
    ("port", "8000"),
    ("port", -1),
    ("port", 65536),
    ("port", True),
    ("port", 80.0),
    ("uds", 1),
    ("fd", "3"),
    ("fd", -1),
    ("backlog", 0),
    ("backlog", 2**31),
    ("fd", 2**31),
    ("headers", ("content-length: 5",)),
    ("headers", ("Transfer-Encoding: chunked",)),
    ("headers", ("connection: close",)),
    ("workers", 100_000),
    ("ssl_certfile", 1),
    ("ssl_keyfile", "key.pem"),  # without a certificate
    ("workers", 0),
    ("workers", -1),
    ("workers", "2"),
    ("workers", True),
    ("loop", "trio"),
    ("http", "uvicorn"),
    ("reload", 1),
    ("reload_dir", "src"),
    ("request_timeout", -1),
    ("request_timeout", "60"),
    ("request_timeout", None),
    ("request_timeout", True),
    ("response_timeout", -0.1),
    ("keep_alive_timeout", -1),
    ("write_timeout", -1),
    ("shutdown_timeout", -1),
    ("request_timeout", float("nan")),
    ("min_body_rate", -1),
    ("min_body_rate", 0.5),
    ("max_request_line", -1),
    ("max_header_size", "8k"),
    ("max_headers_size", -1),
    ("max_headers", -1),
    ("max_body_size", -1),
    ("max_body_size", 1e6),
    ("server_header", "no"),
    ("date_header", 0),
    ("headers", "x-a: b"),
    ("headers", ("x-a",)),
    ("headers", (": b",)),
    ("headers", ("x a: b",)),
    ("headers", ("x-a: b\r\nx-c: d",)),
    ("headers", ("x-a: €",)),
    ("headers", (1,)),
    ("reload_dir", (1,)),
    ("log_level", "loud"),
    ("log_level", 10),
    ("access_log", None),
]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=[f"{name}={value!r}" for name, value in WRONG])
def test_wrong_setting_is_refused_by_name(name: str, value: Any) -> None:
    settings: dict[str, Any] = {"app": hello, name: value}
    with pytest.raises(ConfigError) as caught:
        Config(**settings)
    assert name in str(caught.value)
    assert isinstance(caught.value, AsgiserveError)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("setting", [{"workers": 2}, {"reload": True}])
def test_several_processes_need_the_applications_name(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="module:attribute"):
        Config(app=hello, **setting)
    assert Config(app="main:app", **setting)


def test_defaults_of_timeouts_and_limits() -> None:
    config = Config(app=hello)
    assert {field.name: getattr(config, field.name) for field in dataclasses.fields(Config)}.items() >= {
        "host": "127.0.0.1",
        "port": 8000,
        "workers": 1,
        "request_timeout": 60.0,
        "response_timeout": 60.0,
        "keep_alive_timeout": 75.0,
        "write_timeout": 60.0,
        "shutdown_timeout": 30.0,
        "min_body_rate": 240,
        "max_request_line": 8192,
        "max_header_size": 8192,
        "max_headers_size": 65536,
        "max_headers": 100,
        "max_body_size": 100_000_000,
    }.items()


def test_settings_cannot_be_changed_afterwards() -> None:
    config = Config(app=hello)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.port = 1  # type: ignore[misc]  # that is the test


def test_whole_numbers_are_times_too() -> None:
    assert Config(app=hello, request_timeout=5).request_timeout == 5


def test_unknown_setting_is_a_typeerror() -> None:
    with pytest.raises(TypeError, match="prot"):
        Config(app=hello, prot=8000)  # type: ignore[call-arg]  # that is the test
