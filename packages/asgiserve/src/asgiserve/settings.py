"""What a setting is: its definition, the names and forms that follow from it, and the check of a value.

Flags, variables, keys of the configuration file, the help page and the reference are made from it.
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
WEBSOCKETS: Final = "WebSockets"
RESPONSES: Final = "Responses"
LOGGING: Final = "Logging and metrics"

#: What the variables of all settings begin with.
PREFIX: Final = "ASGISERVE_"

#: The words for yes and no in a variable.
_BOOLEANS: Final = {"1": True, "true": True, "yes": True, "on": True} | dict.fromkeys(
    ("0", "false", "no", "off"), False
)

#: What stands for a value on the help page: by its unit, else by its type.
_METAVARS: Final[dict[str | type, str]] = {
    "s": "SECONDS",
    "bytes": "BYTES",
    "bytes/s": "BYTES/S",
    bool: "",
    int: "N",
    float: "NUMBER",
    str: "TEXT",
    tuple: "TEXT",
}


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
    metavar: str = ""  # what stands for a value on the help page, where unit and type say too little
    unset: str = ""  # what an empty default means
    secret: bool = False  # its value is never shown
    positional: bool = False  # on the command line it has no flag


def setting(default: Any, group: str, help: str, **more: Any) -> Any:
    """A field of Config, and what there is to say about it."""
    return dataclasses.field(default=default, metadata={"about": About(group, help, **more)})


@dataclass(frozen=True, slots=True)
class Setting:
    """A field of Config, and what follows from its definition."""

    name: str
    hint: Any
    default: Any
    about: About

    @property
    def flags(self) -> tuple[str, ...]:
        """What it is called on the command line: its own name, and those that other servers use."""
        if self.about.positional:
            return ()
        return (self.about.flag or "--" + self.name.replace("_", "-"), *self.about.aliases)

    @property
    def opposite(self) -> str:
        """The flag that turns it off."""
        return "--no-" + self.flags[0].removeprefix("--") if self.kind is bool else ""

    @property
    def keys(self) -> tuple[str, ...]:
        """What it is called in the configuration file: its name, and its flags without dashes."""
        return tuple(dict.fromkeys((self.name, *(flag[2:].replace("-", "_") for flag in self.flags))))

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables it is read from."""
        return tuple(PREFIX + key.upper() for key in self.keys)

    @property
    def kind(self) -> type:
        """The class of its values: `int` of ``int | None``, `str` of a Literal, `tuple` of many texts."""
        hint = self.hint
        if typing.get_origin(hint) in (types.UnionType, typing.Union):
            hint = typing.get_args(hint)[0]
        if typing.get_origin(hint) is Literal:
            return str
        found: type = typing.get_origin(hint) or hint
        return found

    @property
    def choices(self) -> tuple[str, ...]:
        """All values it may have, if it is a Literal."""
        return _choices(self.hint)

    @property
    def words(self) -> tuple[str, ...]:
        """What it may be beside a value of its type: `auto` of ``int | Literal["auto"]``."""
        if typing.get_origin(self.hint) not in (types.UnionType, typing.Union):
            return ()
        return tuple(word for member in typing.get_args(self.hint) for word in _choices(member))

    @property
    def metavar(self) -> str:
        """What stands for a value on the help page."""
        one = "|".join(self.choices) or _METAVARS[self.about.unit or self.kind]
        return self.about.metavar or "|".join((one, *self.words))

    def parse(self, text: str) -> Any:
        """The value that a text stands for in a flag or a variable.

        A text that stands for none is returned as it is: the check says what is wrong with it.
        """
        if self.kind is tuple:
            return tuple(line for line in text.splitlines() if line.strip())
        if self.kind is bool:
            return _BOOLEANS.get(text.strip().lower(), text)
        if self.kind in (int, float) and text not in self.words:
            try:
                return self.kind(text)
            except ValueError:
                pass
        return text

    def check(self, value: Any, written: str = "") -> None:
        """Raise ConfigError for a value of the wrong type or out of range; `written` is how it was named."""
        expected = self._expected_instead_of(value)
        if expected:
            shown = "that" if self.about.secret else repr(value)
            raise ConfigError(f"{written or self.name}: it must be {expected}, not {shown}")

    def _expected_instead_of(self, value: Any) -> str:
        """What a value has to be and is not; empty if it is right."""
        if value is None and type(None) in typing.get_args(self.hint):
            return ""
        if isinstance(value, str) and value in self.words:
            return ""
        kind, about = self.kind, self.about
        if self.choices:
            fits = isinstance(value, str) and value in self.choices
            return "" if fits else "one of " + ", ".join(map(repr, self.choices))
        if kind is tuple:
            fits = isinstance(value, tuple) and all(isinstance(item, str) for item in value)
            return "" if fits else "a tuple of texts"
        fits = isinstance(value, (int, float) if kind is float else kind)
        if not fits or (isinstance(value, bool) and kind is not bool):
            return " or ".join((kind.__name__, *map(repr, self.words)))
        if kind is float and not math.isfinite(value):
            return "a finite number"
        if about.minimum is not None and value < about.minimum:
            return f"at least {about.minimum:g}"
        if about.maximum is not None and value > about.maximum:
            return f"at most {about.maximum:g}"
        return ""


def definitions(config: type[Any]) -> dict[str, Setting]:
    """The settings that the fields of a dataclass define, by name."""
    hints = typing.get_type_hints(config)
    return {
        field.name: Setting(
            field.name,
            hints[field.name],
            None if field.default is dataclasses.MISSING else field.default,
            field.metadata["about"],
        )
        for field in dataclasses.fields(config)
    }


def _choices(hint: Any) -> tuple[str, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) is Literal else ()
