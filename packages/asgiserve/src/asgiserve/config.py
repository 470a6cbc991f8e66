"""Every setting, once: name, type, default, unit and help."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from .errors import ConfigError
from .logs.formats import compile_format
from .proxies.trusted import TrustedProxies
from .settings import (
    APPLICATION,
    LIMITS,
    LISTENING,
    LOGGING,
    PROCESSES,
    PROXIES,
    RESPONSES,
    TIMEOUTS,
    TLS,
    WEBSOCKETS,
    About,
    Setting,
    definitions,
    setting,
)
from .sockets.bindings import bindings
from .types import ASGIApplication

#: The largest number that the system's calls take.
_INT_MAX: Final = 2**31 - 1

#: The settings that need a parent process, and what they are without one.
UNSUPERVISED: Final[dict[str, Any]] = {
    "workers": 1,
    "reload": False,
    "max_requests": 0,
    "max_worker_memory": 0,
    "worker_lifetime": 0,
}

#: A header field as a person writes it: a token, and a value without controls (RFC 9110 §5.1, §5.5).
_HEADER: Final = re.compile(r"\s*(?P<name>[!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s*:\s*(?P<value>[\x20-\x7e]*?)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of a server; raises ConfigError for a wrong type or an impossible value.

    Times are in seconds, sizes in bytes.
    """

    app: str | ASGIApplication = dataclasses.field(
        metadata={
            "about": About(
                APPLICATION,
                "The module and, in it, the attribute that is the application.",
                metavar="MODULE:ATTRIBUTE",
                unset="has to be given",
                positional=True,
            )
        }
    )

    factory: bool = setting(False, APPLICATION, "The attribute is a function that returns the application.")
    app_dir: str = setting(
        "",
        APPLICATION,
        "Look for the module in this directory first.",
        metavar="DIR",
        unset="the current one",
    )
    root_path: str = setting(
        "", APPLICATION, "The path under which a proxy has mounted the application.", metavar="PATH"
    )
    lifespan: Literal["auto", "on", "off"] = setting(
        "auto", APPLICATION, "Run the application's startup and shutdown. `on`: refuse to start without them."
    )

    bind: tuple[str, ...] = setting(
        (),
        LISTENING,
        "Listen here: `HOST:PORT`, `[::]:PORT` for IPv6 and IPv4, `unix:/PATH` or `fd://N`; with `http://` "
        "or `https://` before it to say whether TLS is spoken. May be repeated.",
        metavar="ADDRESS",
        unset="the host and the port below",
    )
    host: str = setting(
        "127.0.0.1", LISTENING, "Address to listen on; 0.0.0.0 is all of IPv4, :: is all.", metavar="HOST"
    )
    port: int = setting(
        8000, LISTENING, "Port to listen on; 0 chooses a free one.", minimum=0, maximum=65535, metavar="PORT"
    )
    uds: str | None = setting(
        None, LISTENING, "Listen on a UNIX socket at this path instead.", metavar="PATH"
    )
    uds_mode: str = setting(
        "", LISTENING, "Permissions of UNIX sockets, such as 660.", metavar="MODE", unset="those of the umask"
    )
    uds_owner: str = setting(
        "", LISTENING, "Owner of UNIX sockets: `USER`, `USER:GROUP` or `:GROUP`.", metavar="OWNER"
    )
    fd: int | None = setting(
        None, LISTENING, "Listen on this inherited file descriptor instead.", minimum=0, maximum=_INT_MAX
    )
    backlog: int = setting(
        2048, LISTENING, "Connections that may wait to be accepted.", minimum=1, maximum=_INT_MAX
    )
    reuse_port: Literal["auto", "on", "off"] = setting(
        "auto",
        LISTENING,
        "Give each worker its own queue of new connections. That shares them evenly, but those of a stuck "
        "worker wait. `auto`: off.",
    )

    ssl_certfile: str | None = setting(
        None, TLS, "Speak TLS, with this certificate chain (PEM).", metavar="FILE"
    )
    ssl_keyfile: str | None = setting(
        None, TLS, "The private key, where it is not in the certificate's file.", metavar="FILE"
    )
    ssl_keyfile_password: str | None = setting(
        None, TLS, "The password of the private key.", metavar="PASSWORD", secret=True
    )
    ssl_sni: tuple[str, ...] = setting(
        (),
        TLS,
        "Another certificate for clients that ask for a name: `NAME=CERTFILE` or `NAME=CERTFILE,KEYFILE`, "
        "where NAME may be `*.example.org`; may be repeated.",
        metavar="NAME=FILE",
    )
    ssl_minimum_version: Literal["1.2", "1.3"] = setting("1.2", TLS, "The oldest version of TLS.")
    ssl_ciphers: str | None = setting(
        None, TLS, "Ciphers of TLS 1.2, as OpenSSL's cipher list.", metavar="CIPHERS"
    )
    ssl_ca_certs: str | None = setting(
        None, TLS, "Verify the certificates of clients with those in this file (PEM).", metavar="FILE"
    )
    ssl_cert_reqs: int = setting(
        0,
        TLS,
        "Ask clients for a certificate: 0 no, 1 yes, 2 and refuse those without one.",
        minimum=0,
        maximum=2,
        metavar="0|1|2",
    )
    ssl_handshake_timeout: float = setting(
        30.0,
        TLS,
        "Time from accepting a connection to the end of its handshake; 0: no limit.",
        unit="s",
        minimum=0,
    )

    proxy_headers: Literal["off", "x-forwarded", "forwarded"] = setting(
        "off",
        PROXIES,
        "Which headers of trusted proxies to believe: X-Forwarded-For, -Proto, -Host, -Port and -Prefix, or "
        "Forwarded (RFC 7239).",
    )
    trusted_proxies: tuple[str, ...] = setting(
        ("127.0.0.0/8", "::1", "unix"),
        PROXIES,
        "Address or network of a proxy, `unix` for UNIX sockets, `*` for everybody; may be repeated.",
        flag="--trusted-proxy",
        aliases=("--forwarded-allow-ips",),
        metavar="ADDRESS",
    )
    proxy_protocol: bool = setting(
        False, PROXIES, "Trusted proxies begin each connection with a PROXY protocol header, v1 or v2."
    )

    workers: int | Literal["auto"] = setting(
        1, PROCESSES, "Processes that serve; `auto`: one for each processor.", minimum=1, maximum=1000
    )
    loop: Literal["auto", "asyncio", "uvloop"] = setting(
        "auto", PROCESSES, "Event loop; `auto`: uvloop where it is installed."
    )
    http: Literal["auto", "httptools", "h11"] = setting(
        "auto", PROCESSES, "HTTP/1.1 parser; `auto`: httptools where it is installed."
    )
    startup_timeout: float = setting(
        60.0, PROCESSES, "Time for a worker to start, with its lifespan; 0: no limit.", unit="s", minimum=0
    )
    worker_timeout: float = setting(
        30.0,
        PROCESSES,
        "Replace a worker whose event loop is blocked for so long, and log where; 0: never.",
        unit="s",
        minimum=0,
    )
    max_requests: int = setting(
        0,
        PROCESSES,
        "Replace a worker after so many requests; 0: never.",
        minimum=0,
        aliases=("--limit-max-requests",),
    )
    max_requests_jitter: int = setting(
        0,
        PROCESSES,
        "Up to so many requests more, at random, so that workers are not replaced together.",
        minimum=0,
        aliases=("--limit-max-requests-jitter",),
    )
    max_worker_memory: int = setting(
        0, PROCESSES, "Replace a worker that needs more memory than this; 0: never.", unit="bytes", minimum=0
    )
    worker_lifetime: float = setting(
        0.0, PROCESSES, "Replace a worker after this time; 0: never.", unit="s", minimum=0
    )
    reload: bool = setting(False, PROCESSES, "Replace the worker when a file changes: for development.")
    reload_dir: tuple[str, ...] = setting(
        (), PROCESSES, "Directory to watch; may be repeated.", metavar="DIR", unset="the current one"
    )
    reload_include: tuple[str, ...] = setting(
        ("*.py",), PROCESSES, "Names of files to watch; may be repeated.", metavar="PATTERN"
    )
    reload_exclude: tuple[str, ...] = setting(
        (".*", "__pycache__", "node_modules"),
        PROCESSES,
        "Names of files and directories not to watch; may be repeated.",
        metavar="PATTERN",
    )

    request_timeout: float = setting(
        60.0,
        TIMEOUTS,
        "Time for a request head to come, and for each next piece of a body. Then 408.",
        unit="s",
        minimum=0,
    )
    response_timeout: float = setting(
        60.0,
        TIMEOUTS,
        "Time from the complete request until the response starts. Then 503; the application is cancelled.",
        unit="s",
        minimum=0,
    )
    keep_alive_timeout: float = setting(
        75.0,
        TIMEOUTS,
        "Time between two requests on a connection. Keep it above that of a load balancer in front.",
        unit="s",
        minimum=0,
        aliases=("--timeout-keep-alive",),
    )
    write_timeout: float = setting(
        60.0,
        TIMEOUTS,
        "Time in which a client reads nothing of its response. Then it is cut off.",
        unit="s",
        minimum=0,
    )
    shutdown_timeout: float = setting(
        30.0,
        TIMEOUTS,
        "Time for requests in progress when the server is told to stop.",
        unit="s",
        minimum=0,
        aliases=("--timeout-graceful-shutdown",),
    )
    shutdown_delay: float = setting(
        0.0,
        TIMEOUTS,
        "Before that: to serve on, while /readyz says no and each response ends its connection, until load "
        "balancers have noticed.",
        unit="s",
        minimum=0,
    )
    min_body_rate: int = setting(
        240,
        TIMEOUTS,
        "Slowest upload, after 5 s of grace (then 408), and slowest reader (then a cut).",
        unit="bytes/s",
        minimum=0,
    )

    max_request_line: int = setting(
        8192, LIMITS, "Longest request line; above it 414.", unit="bytes", minimum=0
    )
    max_header_size: int = setting(
        8192, LIMITS, "Largest header field; above it 431.", unit="bytes", minimum=0
    )
    max_headers_size: int = setting(
        65536, LIMITS, "Size of all header fields; above it 431.", unit="bytes", minimum=0
    )
    max_headers: int = setting(100, LIMITS, "Number of header fields; above it 431.", minimum=0)
    max_body_size: int = setting(
        100_000_000, LIMITS, "Largest request body; above it 413.", unit="bytes", minimum=0
    )

    limit_connections: int = setting(
        0, LIMITS, "Connections of a process at once. More of them wait to be accepted.", minimum=0
    )
    limit_concurrency: int = setting(
        0, LIMITS, "Requests in progress in a process. More of them get 503 with Retry-After.", minimum=0
    )

    ws: Literal["auto", "none"] = setting(
        "auto", WEBSOCKETS, "`none`: answer requests to open a WebSocket as ordinary ones."
    )
    ws_max_size: int = setting(
        16_777_216,
        WEBSOCKETS,
        "Largest message, as the application gets it; above it the WebSocket is closed with 1009.",
        unit="bytes",
        minimum=0,
    )
    ws_max_fragments: int = setting(
        100_000, WEBSOCKETS, "Frames of one message; with more of them it is closed with 1009.", minimum=0
    )
    ws_max_queue: int = setting(
        32,
        WEBSOCKETS,
        "Messages, of at most 64 KiB together, that wait for the application before no more is read.",
        minimum=1,
    )
    ws_ping_interval: float = setting(
        20.0, WEBSOCKETS, "Time between two pings; 0: no pings.", unit="s", minimum=0
    )
    ws_ping_timeout: float = setting(
        20.0, WEBSOCKETS, "Time for the answer to a ping. Then the connection is closed.", unit="s", minimum=0
    )
    ws_per_message_deflate: bool = setting(
        True, WEBSOCKETS, "Compress messages from 256 bytes on, where the client can."
    )

    server_header: bool = setting(True, RESPONSES, "Send a Server header.")
    date_header: bool = setting(True, RESPONSES, "Send a Date header.")
    headers: tuple[str, ...] = setting(
        (),
        RESPONSES,
        "Add this field to each response; may be repeated.",
        flag="--header",
        metavar="NAME:VALUE",
    )

    log_level: Literal["critical", "error", "warning", "info", "debug"] = setting(
        "info",
        LOGGING,
        "Least severity of what the server logs: critical, error, warning, info or debug.",
        metavar="LEVEL",
    )
    log_config: str | None = setting(
        None,
        LOGGING,
        "Configure logging from this `.toml` or `.json` file (the schema of logging.config.dictConfig).",
        metavar="FILE",
    )
    log_colors: Literal["auto", "on", "off"] = setting(
        "auto", LOGGING, "Colour the log; `auto`: on a terminal, unless NO_COLOR is set."
    )
    access_log: bool = setting(True, LOGGING, "Log each request.")
    access_log_format: str = setting(
        "default",
        LOGGING,
        '`default`, `common`, `combined`, `json`, or a text with atoms such as `%(h)s "%(r)s" %(s)s %(M)s`.',
        metavar="FORMAT",
    )
    metrics: str | None = setting(
        None,
        LOGGING,
        "Serve metrics for Prometheus, /livez and /readyz at this address.",
        metavar="HOST:PORT",
    )

    def __post_init__(self) -> None:
        for one in SETTINGS.values():
            if one.name != "app":
                one.check(getattr(self, one.name))
        if not isinstance(self.app, str):
            if not callable(self.app):
                raise ConfigError(f"app: an ASGI application is callable, and {self.app!r} is not")
            if self.supervised:
                raise ConfigError("app: workers and reload need the application's name, 'module:attribute'")
        if self.root_path and (not self.root_path.startswith("/") or self.root_path.endswith("/")):
            raise ConfigError(
                f"root_path: it begins with a slash and does not end with one, unlike {self.root_path!r}"
            )
        if self.ssl_keyfile and not self.ssl_certfile:
            raise ConfigError("ssl_keyfile: it needs ssl_certfile beside it")
        if self.ssl_sni and not self.ssl_certfile:
            raise ConfigError(
                "ssl_sni: it needs ssl_certfile beside it, for clients that ask for no such name"
            )
        if self.ssl_ca_certs and not self.ssl_certfile:
            raise ConfigError("ssl_ca_certs: it needs ssl_certfile beside it")
        if self.ssl_cert_reqs and not self.ssl_ca_certs:
            raise ConfigError("ssl_cert_reqs: it needs ssl_ca_certs beside it, with what to verify them")
        bindings(self)
        TrustedProxies(self.trusted_proxies)
        self.header_pairs()
        compile_format(self.access_log_format)

    @property
    def supervised(self) -> bool:
        """Whether a parent process starts, watches and replaces workers; else this process serves itself."""
        return any(getattr(self, name) != alone for name, alone in UNSUPERVISED.items())

    def header_pairs(self) -> list[tuple[bytes, bytes]]:
        """The setting `headers` as names and values."""
        pairs = []
        for header in self.headers:
            match = _HEADER.fullmatch(header)
            if match is None:
                raise ConfigError(f"headers: write 'name: value', in printable ASCII, instead of {header!r}")
            name = match["name"].lower()
            if name in ("connection", "content-length", "transfer-encoding"):
                raise ConfigError(f"headers: {name} says where a response ends, which is the server's to say")
            pairs.append((name.encode(), match["value"].encode()))
        return pairs


#: The definition of each setting, by name.
SETTINGS: Final[dict[str, Setting]] = definitions(Config)
