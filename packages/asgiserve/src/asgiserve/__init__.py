"""asgiserve: an ASGI server that is correct to the letter, safe by default, and fast."""

from ._version import __version__
from .config import Config
from .embedding import ServerThread
from .errors import (
    AsgiserveError,
    BindError,
    ClientDisconnected,
    ConfigError,
    LoadError,
    StartupFailed,
)
from .launch import run
from .server import Server

__all__ = [
    "AsgiserveError",
    "BindError",
    "ClientDisconnected",
    "Config",
    "ConfigError",
    "LoadError",
    "Server",
    "ServerThread",
    "StartupFailed",
    "__version__",
    "run",
]
