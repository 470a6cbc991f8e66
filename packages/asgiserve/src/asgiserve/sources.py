"""Where settings come from: flags, variables, the configuration file; and which of them wins."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .config import SETTINGS, Config
from .errors import ConfigError
from .settings import PREFIX, Setting

#: The variable that names the configuration file, which is no setting itself.
CONFIG_VARIABLE: Final = PREFIX + "CONFIG"

#: Whoever says where to listen, by any of these, means it instead of what others say by the first three.
_ELSEWHERE: Final = ("bind", "uds", "fd")
_WHERE: Final = (*_ELSEWHERE, "host", "port")

_BY_KEY: Final = {key: setting for setting in SETTINGS.values() for key in setting.keys}
_BY_VARIABLE: Final = {name: setting for setting in SETTINGS.values() for name in setting.variables}


@dataclass(frozen=True, slots=True)
class Given:
    """A value that somebody gave to a setting."""

    value: Any
    origin: str  #: where: ``flag --port``, ``variable ASGISERVE_PORT``, ``asgiserve.toml``
    written: str  #: how messages name it: ``--port``, ``ASGISERVE_PORT``, ``asgiserve.toml: port``


#: Values by the names of their settings. Those that nobody gave are not in it.
GivenSettings = dict[str, Given]


def from_flags(values: Mapping[str, Any]) -> GivenSettings:
    """What the command line says: a text, texts, or whether a switch was turned on or off."""
    given: GivenSettings = {}
    for name, value in values.items():
        if value is None or value == ():
            continue
        setting = SETTINGS[name]
        if setting.about.positional:
            given[name] = _checked(setting, value, "argument", setting.metavar)
            continue
        flag = setting.opposite if value is False else setting.flags[0]
        value = setting.parse(value) if isinstance(value, str) else value
        given[name] = _checked(setting, value, f"flag {flag}", flag)
    return given


def from_variables(environment: Mapping[str, str]) -> GivenSettings:
    """What the variables say; one that is empty says nothing."""
    given: GivenSettings = {}
    for variable, setting in _BY_VARIABLE.items():
        text = environment.get(variable)
        if not text:
            continue
        if setting.name in given:
            raise ConfigError(f"{variable}: it is set as {given[setting.name].written} too; keep one of them")
        value = setting.parse(text)
        given[setting.name] = _checked(setting, value, f"variable {variable}", variable)
    return given


def from_file(path: str, table: Mapping[str, Any]) -> GivenSettings:
    """What the table of a configuration file says."""
    given: GivenSettings = {}
    for key, value in table.items():
        written = f"{path}: {key}"
        setting = _BY_KEY.get(key.replace("-", "_"))
        if setting is None:
            raise ConfigError(f"{path}: there is no setting {key!r}{_instead_of(key, value)}")
        if setting.name in given:
            other = given[setting.name].written.removeprefix(f"{path}: ")
            raise ConfigError(f"{written}: it is set as {other!r} too; keep one of them")
        if setting.kind is tuple:
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise ConfigError(f"{written}: it must be an array of texts, not {value!r}")
            value = tuple(value)
        given[setting.name] = _checked(setting, value, path, written)
    return given


def unknown_variables(environment: Iterable[str]) -> list[str]:
    """A sentence about each variable that looks like a setting's and is not."""
    return [
        f"there is no setting for the variable {name}{_nearest(name, PREFIX)}"
        for name in sorted(environment)
        if name.startswith(PREFIX) and name not in _BY_VARIABLE and name != CONFIG_VARIABLE
    ]


def merged(*places: GivenSettings) -> GivenSettings:
    """What counts of the settings that several places give, of which the last one wins."""
    result: GivenSettings = {}
    for given in places:
        if not given.keys().isdisjoint(_WHERE):
            result = {name: one for name, one in result.items() if name not in _ELSEWHERE}
        result |= given
    return result


def config_from(given: GivenSettings) -> Config:
    """The settings; raises ConfigError in the words of where the wrong one was given."""
    if "app" not in given:
        raise ConfigError("which application? Name it, as in: asgiserve main:app; --help says more")
    try:
        return Config(**{name: one.value for name, one in given.items()})
    except ConfigError as error:
        name, colon, wrong = str(error).partition(": ")
        if colon and name in given:
            raise ConfigError(f"{given[name].written}: {wrong}") from None
        raise


def _checked(setting: Setting, value: Any, origin: str, written: str) -> Given:
    setting.check(value, written)
    return Given(value, origin, written)


def _instead_of(key: str, value: Any) -> str:
    """What to write instead of a key that is none."""
    if isinstance(value, dict):
        return "; settings stand side by side, without tables"
    return _nearest(key)


def _nearest(name: str, prefix: str = "") -> str:
    """What was probably meant by the name of a key, or of a variable, that there is not."""
    found = difflib.get_close_matches(name.removeprefix(prefix).replace("-", "_").lower(), _BY_KEY, 1)
    if not found:
        return ""
    return f"; did you mean {prefix + found[0].upper() if prefix else repr(found[0])}?"
