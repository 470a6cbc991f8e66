"""Every setting, once: name, type, default, unit and help.

The command line, the environment variables and the reference page are derived from the fields of `Config`.
"""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from dataclasses import dataclass
from typing import Any, Final, Literal

from .errors import ConfigError
from .types import ASGIApplication

#: A header field as a person writes it: a token, and a value without controls (RFC 9110 §5.1, §5.5).
_HEADER: Final = re.compile(r"\s*(?P<name>[!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s*:\s*(?P<value>[\x20-\x7e]*?)\s*")


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


def _setting(default: Any, group: str, help: str, **more: Any) -> Any:
    return dataclasses.field(default=default, metadata={"about": About(group, help, **more)})


APPLICATION: Final = "Application"
LISTENING: Final = "Listening"
PROCESSES: Final = "Processes"
TIMEOUTS: Final = "Timeouts (0 turns one off)"
LIMITS: Final = "Limits (0 turns one off)"
RESPONSES: Final = "Responses"
LOGGING: Final = "Logging"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of a server; raises ConfigError for a wrong type or an impossible value.

    Times are in seconds, sizes in bytes.
    """

    app: str | ASGIApplication = dataclasses.field(metadata={"about": About(APPLICATION, "The application.")})

    factory: bool = _setting(False, APPLICATION, "The attribute is a function that returns the application.")
    app_dir: str = _setting("", APPLICATION, "Look for the module in this directory first [the current one].")
    root_path: str = _setting("", APPLICATION, "The path under which a proxy has mounted the application.")
    lifespan: Literal["auto", "on", "off"] = _setting(
        "auto", APPLICATION, "Run the application's lifespan; `on`: refuse to start without one."
    )

    host: str = _setting("127.0.0.1", LISTENING, "Address to listen on; 0.0.0.0 or :: for all.")
    port: int = _setting(
        8000, LISTENING, "Port to listen on; 0 chooses a free one.", minimum=0, maximum=65535
    )
    uds: str | None = _setting(None, LISTENING, "Listen on a UNIX socket at this path instead.")
    fd: int | None = _setting(None, LISTENING, "Listen on this inherited file descriptor instead.", minimum=0)
    backlog: int = _setting(2048, LISTENING, "Connections that may wait to be accepted.", minimum=1)
    ssl_certfile: str | None = _setting(None, LISTENING, "Speak TLS, with this certificate chain (PEM).")
    ssl_keyfile: str | None = _setting(
        None, LISTENING, "The private key, where it is not in the certificate's file."
    )
    ssl_keyfile_password: str | None = _setting(None, LISTENING, "The password of the private key.")
    ssl_ca_certs: str | None = _setting(
        None, LISTENING, "Verify the certificates of clients with those in this file (PEM)."
    )
    ssl_cert_reqs: int = _setting(
        0,
        LISTENING,
        "Ask clients for a certificate: 0 no, 1 yes, 2 and refuse those without one.",
        minimum=0,
        maximum=2,
    )

    workers: int = _setting(1, PROCESSES, "Processes that serve.", minimum=1)
    loop: Literal["auto", "asyncio", "uvloop"] = _setting(
        "auto", PROCESSES, "Event loop; `auto`: uvloop where it is installed."
    )
    http: Literal["auto", "httptools", "h11"] = _setting(
        "auto", PROCESSES, "HTTP/1.1 parser; `auto`: httptools where it is installed."
    )
    reload: bool = _setting(False, PROCESSES, "Restart when a Python file changes: for development.")
    reload_dir: tuple[str, ...] = _setting(
        (), PROCESSES, "Directories to watch [the current one]; may be repeated."
    )

    request_timeout: float = _setting(
        60.0,
        TIMEOUTS,
        "For a request head, however slowly it comes; and for each next piece of a body. Then 408.",
        unit="s",
        minimum=0,
    )
    response_timeout: float = _setting(
        60.0,
        TIMEOUTS,
        "From the complete request until the application starts its response. Then 503, and it is cancelled.",
        unit="s",
        minimum=0,
    )
    keep_alive_timeout: float = _setting(
        75.0,
        TIMEOUTS,
        "For an idle connection between requests; keep it above that of a load balancer in front.",
        unit="s",
        minimum=0,
        aliases=("--timeout-keep-alive",),
    )
    write_timeout: float = _setting(
        60.0,
        TIMEOUTS,
        "For a client that does not read its response. Then it is cut off.",
        unit="s",
        minimum=0,
    )
    shutdown_timeout: float = _setting(
        30.0,
        TIMEOUTS,
        "For requests in progress when the server is told to stop.",
        unit="s",
        minimum=0,
        aliases=("--timeout-graceful-shutdown",),
    )
    min_body_rate: int = _setting(
        240,
        TIMEOUTS,
        "Slowest upload, after 5 s of grace (then 408); and slowest reader (then a cut).",
        unit="bytes/s",
        minimum=0,
    )

    max_request_line: int = _setting(8192, LIMITS, "Request line. Then 414.", unit="bytes", minimum=0)
    max_header_size: int = _setting(8192, LIMITS, "One header field. Then 431.", unit="bytes", minimum=0)
    max_headers_size: int = _setting(
        65536, LIMITS, "All header fields together. Then 431.", unit="bytes", minimum=0
    )
    max_headers: int = _setting(100, LIMITS, "Number of header fields. Then 431.", minimum=0)
    max_body_size: int = _setting(100_000_000, LIMITS, "Request body. Then 413.", unit="bytes", minimum=0)

    server_header: bool = _setting(True, RESPONSES, "Send a Server header.")
    date_header: bool = _setting(True, RESPONSES, "Send a Date header.")
    headers: tuple[str, ...] = _setting(
        (), RESPONSES, "Add `name: value` to each response; may be repeated.", flag="--header"
    )

    log_level: Literal["critical", "error", "warning", "info", "debug"] = _setting(
        "info", LOGGING, "Least severity of what the server logs."
    )
    access_log: bool = _setting(True, LOGGING, "Log each request.")

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(Config)
        for field in dataclasses.fields(self):
            if field.name != "app":
                _check(field.name, getattr(self, field.name), hints[field.name], about(field))
        if not isinstance(self.app, str):
            if not callable(self.app):
                raise ConfigError(f"app: an ASGI application is callable, and {self.app!r} is not")
            if self.workers > 1 or self.reload:
                raise ConfigError(
                    "app: several workers and reload need the application's name, 'module:attribute'"
                )
        if self.root_path and (not self.root_path.startswith("/") or self.root_path.endswith("/")):
            raise ConfigError(
                f"root_path: it begins with a slash and does not end with one, unlike {self.root_path!r}"
            )
        if self.ssl_keyfile and not self.ssl_certfile:
            raise ConfigError("ssl_keyfile: it needs ssl_certfile beside it")
        if self.ssl_ca_certs and not self.ssl_certfile:
            raise ConfigError("ssl_ca_certs: it needs ssl_certfile beside it")
        if self.ssl_cert_reqs and not self.ssl_ca_certs:
            raise ConfigError("ssl_cert_reqs: it needs ssl_ca_certs beside it, with what to verify them")
        self.header_pairs()

    def header_pairs(self) -> list[tuple[bytes, bytes]]:
        """The setting `headers` as names and values."""
        pairs = []
        for header in self.headers:
            match = _HEADER.fullmatch(header)
            if match is None:
                raise ConfigError(f"headers: write 'name: value', in printable ASCII, instead of {header!r}")
            pairs.append((match["name"].lower().encode(), match["value"].encode()))
        return pairs


def about(field: dataclasses.Field[Any]) -> About:
    """What there is to say about a field of Config."""
    return typing.cast(About, field.metadata["about"])


def choices(hint: Any) -> tuple[str, ...]:
    """The values of a Literal; none for other types."""
    return typing.get_args(hint) if typing.get_origin(hint) is Literal else ()


def plain_type(hint: Any) -> type:
    """The class that values of a setting have: `int` of `int | None`, `str` of a Literal, `tuple` of many."""
    if typing.get_origin(hint) is Literal:
        return str
    if typing.get_origin(hint) is types.UnionType:
        hint = typing.get_args(hint)[0]
    found: type = typing.get_origin(hint) or hint
    return found


def _check(name: str, value: Any, hint: Any, about: About) -> None:
    if value is None and type(None) in typing.get_args(hint):
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
