"""What a setting is: what there is to say about it, which values it takes, and the check of one.

The command line, the variables, the configuration file, the help page and the reference are derived from it.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from dataclasses import dataclass
from typing import Any, Final, Literal

from .errors import ConfigError

APPLICATION: Final = "Application"
LISTENING: Final = "Listening"
TLS: Final = "TLS"
PROXIES: Final = "Behind proxies"
PROCESSES: Final = "Processes"
TIMEOUTS: Final = "Timeouts (0 turns one off)"
LIMITS: Final = "Limits (0 turns one off)"
RESPONSES: Final = "Responses"
LOGGING: Final = "Logging and metrics"


@dataclass(frozen=True, slots=True)
class About:
    """What there is to say about a setting beside its name, type and default."""

    group: str
    help: str
    unit: str = ""
    aliases: tuple[str, ...] = ()  # further flags: what other servers call it
    flag: str = ""  # where it is not the name with dashes
    minimum: float | None = None
    maximum: float | None = None


def setting(default: Any, group: str, help: str, **more: Any) -> Any:
    """A field of Config, and what there is to say about it."""
    return dataclasses.field(default=default, metadata={"about": About(group, help, **more)})


def about(field: dataclasses.Field[Any]) -> About:
    """What there is to say about a field of Config."""
    return typing.cast(About, field.metadata["about"])


def choices(hint: Any) -> tuple[str, ...]:
    """The values of a Literal; none for other types."""
    return typing.get_args(hint) if typing.get_origin(hint) is Literal else ()


def words(hint: Any) -> tuple[str, ...]:
    """What a setting may be beside a value of its type: `auto` of ``int | Literal["auto"]``."""
    if typing.get_origin(hint) not in (types.UnionType, typing.Union):
        return ()
    return tuple(word for member in typing.get_args(hint) for word in choices(member))


def plain_type(hint: Any) -> type:
    """The class that values of a setting have: `int` of `int | None`, `str` of a Literal, `tuple` of many."""
    if typing.get_origin(hint) is Literal:
        return str
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        hint = typing.get_args(hint)[0]
    found: type = typing.get_origin(hint) or hint
    return found


def check(name: str, value: Any, hint: Any, about: About) -> None:
    """Raise ConfigError, naming the setting, for a value of the wrong type or out of its range."""
    if value is None and type(None) in typing.get_args(hint):
        return
    if isinstance(value, str) and value in words(hint):
        return
    expected = plain_type(hint)
    fits = isinstance(value, (int, float) if expected is float else expected)
    if not fits or (isinstance(value, bool) and expected is not bool):
        raise ConfigError(f"{name}: it must be {expected.__name__}, not {value!r}")
    if expected is tuple and not all(isinstance(item, str) for item in value):
        raise ConfigError(f"{name}: it must hold texts alone, not {value!r}")
    if expected is float and not math.isfinite(value):
        raise ConfigError(f"{name}: it must be a number of seconds, not {value!r}")
    if choices(hint) and value not in choices(hint):
        raise ConfigError(f"{name}: it must be one of {', '.join(choices(hint))}, not {value!r}")
    if about.minimum is not None and value < about.minimum:
        raise ConfigError(f"{name}: it must be at least {about.minimum:g}, not {value!r}")
    if about.maximum is not None and value > about.maximum:
        raise ConfigError(f"{name}: it must be at most {about.maximum:g}, not {value!r}")
