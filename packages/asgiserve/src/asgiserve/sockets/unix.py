"""UNIX sockets: who may connect to one, and the file that stands for it."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ConfigError

if TYPE_CHECKING:
    from ..config import Config


@dataclass(frozen=True, slots=True)
class Permissions:
    """Mode and owner of a socket's file; None and -1 leave what the process and its umask give."""

    mode: int | None
    user: int
    group: int


@dataclass(frozen=True, slots=True)
class SocketFile:
    """The file of a socket, told from another one that somebody has put in its place since."""

    path: str
    identity: tuple[int, int, int]

    @classmethod
    def at(cls, path: str) -> SocketFile:
        """The file that is there now."""
        path = os.path.abspath(path)  # the application may change the directory
        about = os.lstat(path)
        # Numbers of files are used again; the last change, which no chmod touches, is the bind.
        return cls(path, (about.st_dev, about.st_ino, about.st_mtime_ns))

    def remove(self) -> None:
        """Remove it, if it is still there."""
        with contextlib.suppress(OSError):
            if SocketFile.at(self.path) == self:
                os.unlink(self.path)


def permissions(config: Config) -> Permissions:
    """The permissions that `config` asks for; raises ConfigError."""
    return Permissions(_mode(config.uds_mode), *_owner(config.uds_owner))


def open_unix(path: str, allowed: Permissions, backlog: int, at_end: contextlib.ExitStack) -> socket.socket:
    """Listen at a path, or without a file if it begins with ``@``; raises OSError.

    It listens at once: a socket that did not would look to another server like that of a dead one.
    """
    sock = at_end.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    if path.startswith("@"):
        sock.bind("\0" + path[1:])
    else:
        _remove_dead(path)
        sock.bind(path)
        at_end.callback(SocketFile.at(path).remove)
        # Before it listens: until then, nobody can connect.
        if (allowed.user, allowed.group) != (-1, -1):
            _give(path, allowed)
        if allowed.mode is not None:
            os.chmod(path, allowed.mode)
    sock.listen(backlog)
    return sock


def _give(path: str, allowed: Permissions) -> None:
    try:
        os.chown(path, allowed.user, allowed.group, follow_symlinks=False)
    except PermissionError as error:
        raise PermissionError(f"uds_owner: {error.strerror}") from error


def _remove_dead(path: str) -> None:
    """Remove a socket that nobody listens on; raises FileExistsError where something else is."""
    try:
        is_socket = stat.S_ISSOCK(os.lstat(path).st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise FileExistsError("something is there that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a living server may have a full queue
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except (BlockingIOError, FileNotFoundError):
            pass


def _mode(text: str) -> int | None:
    if not text:
        return None
    if re.fullmatch("0?[0-7]{3}", text) is None:
        raise ConfigError(f"uds_mode: write octal digits, such as 660, instead of {text!r}")
    return int(text, 8)


def _owner(text: str) -> tuple[int, int]:
    if not text:
        return -1, -1
    match = re.fullmatch(r"(?P<user>[^:]+)?(?::(?P<group>[^:]+))?", text)
    if match is None:
        raise ConfigError(f"uds_owner: write USER, USER:GROUP or :GROUP instead of {text!r}")
    return (
        _number("user", match["user"], lambda name: pwd.getpwnam(name).pw_uid),
        _number("group", match["group"], lambda name: grp.getgrnam(name).gr_gid),
    )


def _number(kind: str, name: str | None, look_up: Callable[[str], int]) -> int:
    """The number of a user or group, by its name or itself; -1 for none."""
    if name is None:
        return -1
    try:
        return look_up(name)
    except KeyError:
        if re.fullmatch("[0-9]{1,9}", name):
            return int(name)
        raise ConfigError(f"uds_owner: there is no {kind} {name!r}") from None
