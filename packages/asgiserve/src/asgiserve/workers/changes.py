"""Changes of an application's files, for reload: which to watch, and when they change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ..config import Config
from ..errors import ConfigError


def code_changes(config: Config) -> AsyncIterator[str]:
    """The names of files that have changed, each time that some have.

    Raises ConfigError if watchfiles is not installed, or a directory is not there.
    """
    try:
        from watchfiles import awatch
    except ImportError:
        raise ConfigError("reload: watchfiles is not installed; pip install 'asgiserve[reload]'") from None
    directories = watched_directories(config)

    def is_watched(change: Any, path: str) -> bool:
        return watches(config, directories, Path(path))

    async def names() -> AsyncIterator[str]:
        async for changes in awatch(*directories, watch_filter=is_watched):
            yield _in_words(sorted({Path(path).name for _, path in changes}))

    return names()


def _in_words(names: list[str]) -> str:
    """A few of many names."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def watched_directories(config: Config) -> list[Path]:
    """Where changes are looked for; raises ConfigError if one is not there."""
    directories = [Path(name).resolve() for name in config.reload_dir or (config.app_dir or ".",)]
    for directory in directories:
        if not directory.is_dir():
            raise ConfigError(f"reload_dir: there is no directory {directory}")
    return directories


def watches(config: Config, directories: list[Path], path: Path) -> bool:
    """Whether a change of the file `path` matters: its name is included, and no part of it excluded."""
    for directory in directories:
        if path.is_relative_to(directory):
            parts = path.relative_to(directory).parts
            break
    else:
        parts = path.parts
    excluded = any(fnmatch(part, pattern) for part in parts for pattern in config.reload_exclude)
    return not excluded and any(fnmatch(path.name, pattern) for pattern in config.reload_include)
