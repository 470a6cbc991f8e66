"""A request head, and the rules of RFC 9110 and RFC 9112 that decide what the connection makes of it.

Parsers deliver fields; everything that a field *means* to a server is decided here, once for all parsers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from ..errors import RequestRefused
from ..types import HeaderList

if TYPE_CHECKING:
    from ..config import Config

#: Methods by their bytes on the wire: the registered ones that an application may be asked to answer.
#: CONNECT is not among them: it asks for a tunnel, and an origin server has none (RFC 9110 §9.3.6).
METHODS: Final = {
    name.encode(): name
    for name in (
        "GET HEAD POST PUT DELETE OPTIONS PATCH TRACE QUERY ACL BIND CHECKOUT COPY LINK LOCK M-SEARCH MERGE "
        "MKACTIVITY MKCALENDAR MKCOL MOVE NOTIFY PROPFIND PROPPATCH PURGE REBIND REPORT SEARCH SUBSCRIBE "
        "UNBIND UNLINK UNLOCK UNSUBSCRIBE"
    ).split()
}

_VERSIONS: Final = {b"HTTP/1.1": "1.1", b"HTTP/1.0": "1.0"}

_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VERSION: Final = re.compile(rb"HTTP/[0-9]\.[0-9]")
#: uri-host [":" port] of RFC 3986 §3.2.2, no user information: a registered name, an IPv4 or [IPv6] address.
_HOST: Final = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*)(?::(?P<port>[0-9]{0,5}))?"
)

_ABSOLUTE: Final = re.compile(rb"(?i:https?)://([^/?#]+)([^#]*)")


#: Fields that carry a client's secrets, or are seldom the same twice.
_UNSHARED: Final = frozenset(
    b"authorization cookie forwarded proxy-authorization referer traceparent x-forwarded-for x-real-ip "
    b"x-request-id".split()
)

# What was seen before, so that what nearly all requests have in common is worked out once: field lines that
# have no rule and are shared by many requests; names; hosts. Bounded, and nothing long is kept.
_known_fields: dict[bytes, tuple[bytes, bytes]] = {}
_known_names: dict[bytes, tuple[bytes, Rule | None, bool]] = {}
_known_hosts: set[bytes] = set()
_KNOWN_FIELDS: Final = 1024
_KNOWN_NAMES: Final = 256
_KNOWN_HOSTS: Final = 64
_KNOWN_LENGTH: Final = 256

#: Whether the connection can persist, as a field of the response tells the client (RFC 9112 §9.3).
PERSIST: Final = b""
PERSIST_1_0: Final = b"connection: keep-alive\r\n"
CLOSE: Final = b"connection: close\r\n"

#: The longest fields that a connection keeps, to know them again in its next request.
KEPT_FIELDS: Final = 4096


class Fields:
    """The version and the header fields of a request, and what they say about body and connection."""

    __slots__ = (
        "accepts_trailers",
        "chunked",
        "connection_options",
        "content_length",
        "expect_continue",
        "has_body",
        "headers",
        "host",
        "http_version",
        "persistence",
        "raw",
        "upgrades",
    )

    def __init__(self, http_version: str, raw: bytes) -> None:
        self.http_version = http_version
        self.raw = raw  # as received, from the version up to and with the empty line
        self.headers: HeaderList = []
        self.host: bytes | None = None
        self.content_length: int | None = None
        self.chunked = False
        self.has_body = False
        self.expect_continue = False
        self.accepts_trailers = False
        self.connection_options: tuple[bytes, ...] = ()
        self.persistence = CLOSE  # PERSIST, PERSIST_1_0 or CLOSE: what the client wants
        self.upgrades = False  # to a WebSocket, which the client wants to speak on this connection


Rule = Callable[[Fields, bytes], None]

#: Method, target in origin form (or ``*``), and fields of one request.
RequestHead = tuple[str, str, Fields]

#: Stand for a request whose head could not be read.
NO_FIELDS: Final = Fields("1.1", b"")
NO_REQUEST: Final[RequestHead] = ("GET", "/", NO_FIELDS)


def read_head(data: bytes) -> RequestHead:
    """Read one complete head whose grammar a parser has checked, and apply the rules to it.

    Raises RequestRefused with 400, 417, 501 or 505 where the request cannot be served.
    """
    line, *lines = data[:-4].split(b"\r\n")
    try:
        method, target, version = line.split(b" ")
        name = METHODS[method]
        text = target.decode("ascii")
        fields = Fields(_VERSIONS[version], data[len(line) - len(version) :])
    except (KeyError, ValueError):
        check_request_line(line)
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "the request line is malformed") from None
    headers = fields.headers
    for field in lines:
        headers.append(_known_fields.get(field) or _read_field(fields, field))
    _check_fields(fields)
    if not text.startswith("/"):
        return name, *_normalize_target(name, target, fields)
    if "#" in text:
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "a fragment in the request target")
    return name, text, fields


def read_again(data: bytes, fields: Fields) -> tuple[str, str, int] | None:
    """Read a head that repeats, byte for byte, the `fields` of the last one on its connection.

    So it is with most heads of a connection, and then the grammar and the rules of the fields need not be
    checked again: it costs a quarter of reading them anew, whatever their number. Returns the method, the
    target and where the head ends; None if it is not sure that all is well.
    """
    try:
        method, target, rest = data.split(b" ", 2)
        name = METHODS[method]
        text = target.decode("ascii")
    except (KeyError, ValueError):
        return None
    raw = fields.raw
    if (rest != raw and not rest.startswith(raw)) or not text.isprintable() or "#" in text or text[:1] != "/":
        return None
    return name, text, len(data) - len(rest) + len(raw)


def _check_fields(fields: Fields) -> None:
    """Apply the rules that concern several fields."""
    if fields.http_version == "1.1":
        if fields.host is None:
            raise RequestRefused(HTTPStatus.BAD_REQUEST, "the Host field is missing")  # RFC 9112 §3.2
        if b"close" not in fields.connection_options:
            fields.persistence = PERSIST
        if fields.upgrades and b"upgrade" not in fields.connection_options:
            fields.upgrades = False  # RFC 9110 §7.8: somebody has passed it on without thinking
    elif b"keep-alive" in fields.connection_options and b"close" not in fields.connection_options:
        fields.persistence = PERSIST_1_0
    if fields.chunked and fields.content_length is not None:  # RFC 9112 §6.1: request smuggling
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "both Content-Length and Transfer-Encoding")
    fields.has_body = fields.chunked or bool(fields.content_length)


def _read_field(fields: Fields, line: bytes) -> tuple[bytes, bytes]:
    """Split a field line, and apply its rule if it has one; remember it if it may come again."""
    name, _, value = line.partition(b":")
    lower, rule, shared = _known_names.get(name) or _read_name(name)
    field = (lower, value.strip(b" \t"))  # RFC 9112 §5.1: white space around a value is not of it
    if rule is not None:
        rule(fields, field[1])
    elif shared and len(line) <= _KNOWN_LENGTH:
        if len(_known_fields) >= _KNOWN_FIELDS:
            _known_fields.clear()
        _known_fields[line] = field
    return field


def _read_name(name: bytes) -> tuple[bytes, Rule | None, bool]:
    """A field's name in lower case, the rule for it, and whether many requests share its value."""
    lower = name.lower()
    known = (lower, RULES.get(lower), lower not in _UNSHARED)
    if len(_known_names) < _KNOWN_NAMES and len(name) <= _KNOWN_LENGTH:
        _known_names[name] = known
    return known


def check_size(head: bytes, config: Config) -> None:
    """Hold a head, or the beginning of one, against the limits: 414 for its first line, 431 for the rest."""
    line, *fields = head.split(b"\r\n")
    if 0 < config.max_request_line < len(line):
        raise RequestRefused(HTTPStatus.REQUEST_URI_TOO_LONG, "the request line is too long")
    check_fields_size(fields, len(head) - len(line), config)


def check_fields_size(fields: list[bytes], size: int, config: Config) -> None:
    """Hold field lines, and the size of all of them, against the limits."""
    if 0 < config.max_headers_size < size:
        raise RequestRefused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the header fields are too large")
    if 0 < config.max_header_size < max(map(len, fields), default=0):
        raise RequestRefused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "a header field is too large")


def check_partial(head: bytes, checked: int, config: Config) -> int:
    """Refuse the beginning of a head as soon as it is clear that it cannot be served.

    Lines before `checked` were looked at before; returns where the last line begins, which has no end yet:
    so a head that comes byte by byte costs what its last line costs, not what all of them do.
    """
    new = head[checked:]
    if new.count(b"\n") != new.count(b"\r\n"):
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "a line does not end in CRLF")  # RFC 9112 §2.2
    new = new.removesuffix(b"\r")  # the first half of the end of a line
    if checked:
        check_fields_size(new.split(b"\r\n"), len(head) - head.find(b"\r\n"), config)
    else:
        check_size(new, config)
        line, end, _ = new.lstrip(b"\r\n").partition(b"\r\n")
        if end or (line and not _TOKEN.match(line)):
            check_request_line(line)
    return head.rfind(b"\n") + 1


def check_request_line(line: bytes) -> None:
    """Refuse a request line that cannot be served, with the reason (RFC 9112 §3)."""
    parts = line.split(b" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]) or not parts[1] or not _VERSION.fullmatch(parts[2]):
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "the request line is malformed")
    if parts[2] not in _VERSIONS:
        raise RequestRefused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "only HTTP/1.0 and HTTP/1.1 are spoken")
    if parts[0] not in METHODS:
        raise RequestRefused(HTTPStatus.NOT_IMPLEMENTED, "the method is not known")


def is_authority(value: bytes) -> bool:
    """Whether `value` is a host with an optional port (RFC 3986 §3.2)."""
    match = _HOST.fullmatch(value)
    return match is not None and int(match["port"] or 0) <= 65535


def _normalize_target(method: str, target: bytes, fields: Fields) -> tuple[str, Fields]:
    """Bring the absolute form into origin form; leave ``*`` of OPTIONS; refuse the rest (RFC 9112 §3.2)."""
    if target == b"*" and method == "OPTIONS":
        return "*", fields
    match = _ABSOLUTE.fullmatch(target)
    if match is None or not is_authority(match[1]) or match[1].startswith(b":"):  # RFC 9110 §4.2.1
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "the request target is malformed")
    # RFC 9112 §3.2.2: the authority of the target replaces the Host field that was received.
    fields.headers[:] = [(name, value) for name, value in fields.headers if name != b"host"]
    fields.headers.insert(0, (b"host", match[1]))
    fields.raw = b""  # no other head has these fields
    path = match[2].decode("ascii")
    return path if path.startswith("/") else "/" + path, fields


def _host(fields: Fields, value: bytes) -> None:
    if fields.host is not None:
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "the Host field is repeated")  # RFC 9112 §3.2
    if value not in _known_hosts:
        if not is_authority(value):
            raise RequestRefused(HTTPStatus.BAD_REQUEST, "the Host field is malformed")
        # A server has few names; those that a client makes up are not remembered once there are many.
        if len(_known_hosts) < _KNOWN_HOSTS and len(value) <= _KNOWN_LENGTH:
            _known_hosts.add(value)
    fields.host = value


def _content_length(fields: Fields, value: bytes) -> None:
    """RFC 9112 §6.3: digits only, once; a list of equal numbers may be refused, and is."""
    if fields.content_length is not None or not value.isdigit() or len(value) > 18:
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "the Content-Length field is malformed or repeated")
    fields.content_length = int(value)


def _transfer_encoding(fields: Fields, value: bytes) -> None:
    """RFC 9112 §6.1: chunked, alone and once; 501 for codings that we do not know."""
    if fields.http_version == "1.0":
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "Transfer-Encoding in HTTP/1.0")
    if value.lower() != b"chunked" or fields.chunked:
        codings = [coding.strip(b" \t").lower() for coding in value.split(b",")]
        if fields.chunked or b"chunked" in codings[:-1] or not all(map(_TOKEN.match, codings)):
            raise RequestRefused(HTTPStatus.BAD_REQUEST, "the Transfer-Encoding field is malformed")
        raise RequestRefused(HTTPStatus.NOT_IMPLEMENTED, "no transfer coding but chunked is known")
    fields.chunked = True


def _connection(fields: Fields, value: bytes) -> None:
    if value in (b"keep-alive", b"close"):  # what nearly every client sends, if any
        fields.connection_options += (value,)
        return
    fields.connection_options += tuple(option.strip(b" \t") for option in value.lower().split(b","))


def _expect(fields: Fields, value: bytes) -> None:
    """RFC 9110 §10.1.1: 100-continue is the only expectation there is; HTTP/1.0 has none."""
    if fields.http_version == "1.0":
        return
    if value.lower() != b"100-continue":
        raise RequestRefused(HTTPStatus.EXPECTATION_FAILED, "only 100-continue can be expected")
    fields.expect_continue = True


def _te(fields: Fields, value: bytes) -> None:
    """RFC 9110 §10.1.4: whether the client wants trailers."""
    if b"trailers" in [option.strip(b" \t") for option in value.lower().split(b",")]:
        fields.accepts_trailers = True


def _upgrade(fields: Fields, value: bytes) -> None:
    """RFC 9110 §7.8: the protocols that the client would rather speak; HTTP/1.0 has no upgrades."""
    protocols = [protocol.strip(b" \t") for protocol in value.lower().split(b",")]
    fields.upgrades = fields.upgrades or (fields.http_version == "1.1" and b"websocket" in protocols)


#: The fields that a server has to understand itself, and the rule for each.
RULES: Final[dict[bytes, Rule]] = {
    b"host": _host,
    b"content-length": _content_length,
    b"transfer-encoding": _transfer_encoding,
    b"connection": _connection,
    b"expect": _expect,
    b"te": _te,
    b"upgrade": _upgrade,
}
