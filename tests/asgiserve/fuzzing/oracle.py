"""What a stream of bytes means: which requests it holds, in order, and how it ends.

An independent reading of RFC 9112, which knows where each message ends because it has all of the input at
once. It is as strict as the grammar, but for the server's stated leniencies.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.asgiserve.fuzzing.abnf import Grammar
from tests.asgiserve.fuzzing.deviations import LENIENCIES

STRICT: Final = Grammar({})
LENIENT: Final = Grammar({name: leniency.definition for name, leniency in LENIENCIES.items()})

#: For input that is malformed: which of its faults is found first, is the server's business.
REFUSALS: Final = frozenset(range(400, 600))

#: Registered methods (RFC 9110 §16.1.1), without CONNECT: there are no tunnels through an application.
METHODS: Final = frozenset(
    b"GET HEAD POST PUT DELETE OPTIONS PATCH TRACE QUERY ACL BIND CHECKOUT COPY LINK LOCK M-SEARCH MERGE "
    b"MKACTIVITY MKCALENDAR MKCOL MOVE NOTIFY PROPFIND PROPPATCH PURGE REBIND REPORT SEARCH SUBSCRIBE "
    b"UNBIND UNLINK UNLOCK UNSUBSCRIBE".split()
)


class State(enum.Enum):
    """How far a request has come at the end of the input."""

    COMPLETE = enum.auto()
    HEAD = enum.auto()  # its head is not complete
    BODY = enum.auto()  # its body is not complete
    REFUSED = enum.auto()  # its head is wrong: no application sees it
    BROKEN = enum.auto()  # its head is right, and its body wrong


@dataclass
class Request:
    """One request of the input, the last one perhaps incomplete or wrong."""

    state: State
    method: str = ""
    version: str = ""
    target: bytes = b""
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)  # as an application gets them
    body: bytes = b""  # what of it is there, and right
    refusals: frozenset[int] = frozenset()  # the statuses it may be refused with
    expects: bool = False  # 100 Continue
    persists: bool = True  # another request may follow
    perhaps_head: bool = False  # it is malformed, but its method can be read, and is HEAD

    @property
    def served(self) -> bool:
        """Whether an application may see it, or its beginning."""
        return self.state in (State.COMPLETE, State.BODY, State.BROKEN)

    @property
    def scope(self) -> dict[str, Any]:
        """What an application is told, as far as it depends on the request."""
        raw_path, _, query = self.target.partition(b"?")
        return {
            "method": self.method,
            "http_version": self.version,
            "path": _unquote(raw_path).decode("utf-8", "replace"),
            "raw_path": raw_path,
            "query_string": query,
            "headers": self.fields,
        }


def read(data: bytes, limits: Mapping[str, int], grammar: Grammar = LENIENT) -> list[Request]:
    """The requests that `data` holds; whatever follows one that is not complete is ignored."""
    requests: list[Request] = []
    while True:
        beginning = grammar["empty-lines"].match(data)
        assert beginning is not None
        data = data[beginning.end() :]
        if not data:
            return requests
        request, data = _read_request(data, limits, grammar)
        requests.append(request)
        if request.state is not State.COMPLETE or not request.persists:
            return requests


def _read_request(data: bytes, limits: Mapping[str, int], grammar: Grammar) -> tuple[Request, bytes]:
    head = grammar["head"].match(data)
    if head is None:
        state = State.REFUSED if b"\r\n\r\n" in data else State.HEAD
        return Request(state, refusals=REFUSALS, perhaps_head=data.startswith(b"HEAD ")), b""
    line, *lines = head[0][:-4].split(b"\r\n")
    method, target, version = line.split(b" ")
    request = Request(State.COMPLETE, method.decode(), version[5:].decode(), target)
    for name, _, value in (entry.partition(b":") for entry in lines):
        request.fields.append((name.lower(), value.strip(b" \t")))
    values = Values(request.fields)
    found = _check(request, values, grammar) | _check_limits(head[0], line, lines, limits)
    request.persists = _persists(request, values)
    request.expects = version == b"HTTP/1.1" and bool(values[b"expect"])
    length = int((values[b"content-length"] or [b"0"])[0]) if not found else 0
    if length > limits["max_body_size"]:
        found = {413}
    if found:
        request.state, request.refusals = State.REFUSED, frozenset(found)
        if 505 in found:  # what the method means in another version is not known
            request.method, request.perhaps_head = "", method == b"HEAD"
        return request, b""
    _set_target(request)
    rest = data[head.end() :]
    if values[b"transfer-encoding"]:
        return request, _read_chunks(request, rest, limits, grammar)
    request.body = rest[:length]
    if len(request.body) < length:
        _unfinished(request)
    return request, rest[length:]


class Values:
    """The values of each field, in order."""

    def __init__(self, fields: list[tuple[bytes, bytes]]) -> None:
        self._fields = fields

    def __getitem__(self, name: bytes) -> list[bytes]:
        return [value for key, value in self._fields if key == name]


def _check(request: Request, values: Values, grammar: Grammar) -> set[int]:
    """The statuses that a head which is right by its form is refused with; none if it is served."""
    found = set()
    if request.method.encode() not in METHODS:
        found.add(501)  # RFC 9110 §15.6.2
    if request.version not in ("1.0", "1.1"):
        found.add(505)  # RFC 9110 §15.6.6; other minor versions of HTTP/1 do not exist
    if request.target == b"*" and request.method != "OPTIONS":
        found.add(400)  # RFC 9112 §3.2.4
    hosts = values[b"host"]
    if len(hosts) > 1 or (not hosts and request.version != "1.0"):
        found.add(400)  # RFC 9112 §3.2
    for host in [*hosts, *_authority(request.target)]:
        if not grammar.matches("Host", host) or host[:2].lower() == b"[v" or not _is_port(host):
            found.add(400)  # RFC 9112 §3.2; nobody has implemented IPvFuture
    return found | _check_framing(request, values, grammar)


def _check_framing(request: Request, values: Values, grammar: Grammar) -> set[int]:
    found = set()
    lengths, codings = values[b"content-length"], values[b"transfer-encoding"]
    for length in lengths:
        if not grammar.matches("Content-Length", length) or len(length) > 18 or len(lengths) > 1:
            found.add(400)  # RFC 9112 §6.3: a list of equal ones may be refused; and no body is that long
    if codings:
        if lengths or request.version == "1.0" or len(codings) > 1:
            found.add(400)  # RFC 9112 §6.1: both could be an attempt at smuggling; 1.0 has no codings
        if not grammar.matches("Transfer-Encoding", b",".join(codings)):
            found |= {400, 501}  # RFC 9112 §6.1: unknown codings, or chunked before the last
    if request.version != "1.0":
        found |= {417 for value in values[b"expect"] if not grammar.matches("Expect", value)}
    return found


def _check_limits(head: bytes, line: bytes, lines: list[bytes], limits: Mapping[str, int]) -> set[int]:
    found = set()
    if len(line) > limits["max_request_line"]:
        found.add(414)
    if (
        len(head) - len(line) > limits["max_headers_size"]
        or max(map(len, lines), default=0) > limits["max_header_size"]
        or len(lines) > limits["max_headers"]
    ):
        found.add(431)
    return found


def _persists(request: Request, values: Values) -> bool:
    """RFC 9112 §9.3."""
    options = {
        option.strip(b" \t").lower() for value in values[b"connection"] for option in value.split(b",")
    }
    return b"close" not in options and (request.version == "1.1" or b"keep-alive" in options)


def _set_target(request: Request) -> None:
    """RFC 9112 §3.2.2: the authority of a target in absolute form replaces the Host field."""
    for authority in _authority(request.target):
        _, _, rest = request.target.partition(b"://")
        rest = rest[len(authority) :]
        request.target = rest if rest.startswith(b"/") else b"/" + rest
        fields = [(name, value) for name, value in request.fields if name != b"host"]
        request.fields = [(b"host", authority), *fields]


def _authority(target: bytes) -> list[bytes]:
    if target.startswith((b"/", b"*")):
        return []
    return re.findall(rb"://([^/?]*)", target)[:1]


def _is_port(host: bytes) -> bool:
    """At most five digits, and 65535."""
    port = host.rpartition(b"]")[2].rpartition(b":")[2] if b":" in host.rpartition(b"]")[2] else b""
    return len(port) <= 5 and int(port or b"0") <= 65535


def _read_chunks(request: Request, data: bytes, limits: Mapping[str, int], grammar: Grammar) -> bytes:
    """Read a chunked body (RFC 9112 §7.1); return what lies behind it."""
    while line := grammar["chunk-line"].match(data):
        digits = re.split(rb"[^0-9A-Fa-f]", line[0])[0]
        size = int(digits, 16)
        if len(digits) > 15 or len(request.body) + size > limits["max_body_size"]:
            return _broken(request)
        data = data[line.end() :]
        if not size:
            return _read_trailers(request, data, limits, grammar)
        request.body += data[:size]
        data = data[size:]
        if not data.startswith(b"\r\n"):
            return _unfinished(request) if b"\r\n".startswith(data) else _broken(request)
        data = data[2:]
    return _broken(request) if b"\r\n" in data else _unfinished(request)


def _read_trailers(request: Request, data: bytes, limits: Mapping[str, int], grammar: Grammar) -> bytes:
    trailers = grammar["trailer-section"].match(data)
    assert trailers is not None
    if sum(map(len, trailers[0].split(b"\r\n"))) > limits["max_headers_size"]:
        return _broken(request)
    rest = data[trailers.end() :]
    if rest.startswith(b"\r\n"):
        return rest[2:]
    return _broken(request) if b"\r\n" in rest else _unfinished(request)


def _broken(request: Request) -> bytes:
    request.state, request.refusals = State.BROKEN, REFUSALS
    return b""


def _unfinished(request: Request) -> bytes:
    request.state, request.refusals = State.BODY, REFUSALS
    return b""


def _unquote(path: bytes) -> bytes:
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), path)
