"""Logging: who writes where, by the server's own rules or by a file.

The server's own lines go to the logger ``asgiserve.error`` and on to standard error; a line for each
request goes to ``asgiserve.access`` and on to standard output. The root logger is the application's.
"""

from __future__ import annotations

import json
import logging
import logging.config
import select
import sys
import tomllib
from pathlib import Path
from typing import Any, Final, TextIO

from ..config import Config
from ..errors import ConfigError
from . import colors

access_logger: Final = logging.getLogger("asgiserve.access")

#: What a line of the server begins with: the time, and the process, which tells workers apart.
_BEGINNING: Final = "%(asctime)s [%(process)d] "

#: How to read a file of each suffix; what cannot be read raises a ValueError.
_READERS: Final = {".toml": tomllib.loads, ".json": json.loads}

#: The keys of `logging.config.dictConfig`, which ignores those that it does not know.
_KEYS: Final = "version formatters filters handlers loggers root incremental disable_existing_loggers".split()


def configure_logging(config: Config) -> None:
    """Give the server's loggers their streams, in place of any that were set before, or do what a file says.

    Raises ConfigError if that file is wrong.
    """
    if config.log_config is not None:
        _obey_file(Path(config.log_config), config.log_level)
        return
    # The other formats of the access log have the time themselves, and are read by programs.
    access = _BEGINNING if config.access_log_format == "default" else ""
    for name, stream, form in (
        ("asgiserve", sys.stderr, f"{_BEGINNING}%(levelname)s: %(message)s"),
        ("asgiserve.access", sys.stdout, f"{access}%(message)s"),
    ):
        handler = TurnHandler(stream, colored=colors.are_wanted(config.log_colors, stream))
        if config.supervised:
            handler.longest = select.PIPE_BUF
        formatter = colors.ColorFormatter if handler.colored else logging.Formatter
        handler.setFormatter(formatter(form, "%Y-%m-%d %H:%M:%S"))
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(config.log_level.upper())
        logger.propagate = False


class TurnHandler(logging.StreamHandler[TextIO]):
    """A handler that takes the access log of one turn of the event loop at once."""

    #: Bytes of a write that holds several lines. Workers share the stream, and if it is a pipe that is full,
    #: the kernel may put the line of another one into what is longer than PIPE_BUF.
    longest = sys.maxsize

    def __init__(self, stream: TextIO, *, colored: bool) -> None:
        super().__init__(stream)
        self.colored = colored

    def write_lines(self, lines: list[str]) -> None:
        """Write a record whose message has several lines, each of which looks like a record of its own."""
        record = access_logger.makeRecord(access_logger.name, logging.INFO, "", 0, "", (), None)
        beginning = self.format(record)
        record.msg = f"\n{beginning}".join(lines)
        if len(record.msg) + len(beginning) >= self.longest and len(lines) > 1:
            middle = len(lines) // 2
            self.write_lines(lines[:middle])
            self.write_lines(lines[middle:])
        else:
            self.handle(record)


def _obey_file(path: Path, level: str) -> None:
    """Configure logging as a file says, and leave to it all that it does not say, but for the level."""
    settings = _read(path)
    for name in ("asgiserve", "asgiserve.error", "asgiserve.access"):
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.setLevel(logging.NOTSET)
        logger.propagate = True
    logging.getLogger("asgiserve").setLevel(level.upper())
    try:
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, **settings})
    except Exception as error:  # whatever the classes raise that it names
        raise ConfigError(f"log_config: {path}: {_reason(error)}") from error


def _read(path: Path) -> dict[str, Any]:
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise ConfigError(f"log_config: {path}: the name of the file must end in .toml or .json")
    try:
        settings = reader(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"log_config: {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"log_config: {path}: it is not {path.suffix[1:].upper()}: {error}") from None
    if not isinstance(settings, dict):
        raise ConfigError(f"log_config: {path}: it must hold an object")
    for key in settings:
        if key not in _KEYS:
            raise ConfigError(f"log_config: {path}: there is no key {key!r}; there are: {', '.join(_KEYS)}")
    return settings


def _reason(error: BaseException) -> str:
    """What an error says, and what the error says that it came from."""
    said = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return f"{said}: {_reason(error.__cause__)}" if error.__cause__ is not None else said
