"""The configuration file, in TOML: where it lies, what stands in it, and settings written as one."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from .config import SETTINGS, Config
from .errors import ConfigError

#: The files that are looked for in the current directory. Only the first one that is there counts.
OWN: Final = "asgiserve.toml"
PROJECT: Final = "pyproject.toml"

#: Where the comments of a written file begin, unless a value is longer.
_COMMENTS: Final = 40


def read(chosen: str) -> tuple[str, dict[str, Any]]:
    """The path of the configuration file, and the settings in it; no path if there is none.

    `chosen` names it; if that is empty it is looked for. Raises ConfigError.
    """
    if chosen:
        return chosen, _settings_in(chosen, _load(chosen))
    if os.path.isfile(OWN):
        return OWN, _load(OWN)
    if os.path.isfile(PROJECT):
        document = _load(PROJECT)
        tools = document.get("tool")
        if isinstance(tools, dict) and "asgiserve" in tools:
            return PROJECT, _settings_in(PROJECT, document)
    return "", {}


def _load(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:  # TOMLDecodeError, UnicodeDecodeError
        raise ConfigError(f"{path}: it is not TOML: {error}") from None


def _settings_in(path: str, document: dict[str, Any]) -> dict[str, Any]:
    """The table of settings: [tool.asgiserve] of pyproject.toml, the whole of any other file."""
    if Path(path).name != PROJECT:
        return document
    tools = document.get("tool")
    table = tools.get("asgiserve") if isinstance(tools, dict) else None
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: it has no table [tool.asgiserve]")
    return table


def write(config: Config, origins: Mapping[str, str]) -> str:
    """All settings of `config` as a configuration file, with where each comes from as a comment.

    What has its default is a comment as a whole, and so is a secret, which is not shown.
    """
    lines = []
    group = ""
    for name, setting in SETTINGS.items():
        if setting.about.group != group:
            group = setting.about.group
            lines += ["", f"# {group}"]
        value = getattr(config, name)
        shown = "********" if setting.about.secret and value else toml(value)
        line = f"{name} = {shown}"
        if name not in origins or setting.about.secret:
            line = f"# {line}"
        lines.append(f"{line:<{_COMMENTS}}  # {origins.get(name, 'default')}")
    return "\n".join(lines[1:])


def toml(value: str | float | tuple[str, ...] | None) -> str:
    """A value as TOML writes it; TOML has no None, for which this is `none`."""
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, str):
        # JSON's escapes are TOML's, except that TOML also wants one for DEL.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if type(value) is int and value >= 100_000:
        return f"{value:_}"
    return json.dumps(value)
