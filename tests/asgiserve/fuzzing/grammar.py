"""Hypothesis strategies: valid requests with what they mean, ways to cut them, and to break them."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Final

from hypothesis import strategies as st

from tests.asgiserve.fuzzing.behaviours import BEHAVIOURS
from tests.asgiserve.fuzzing.case import Case
from tests.asgiserve.fuzzing.in_process import Ending, Pace
from tests.asgiserve.fuzzing.oracle import METHODS, Request, State
from tests.asgiserve.fuzzing.tokens import TOKENS

Field = tuple[bytes, bytes]
Stream = tuple[bytes, list[Request]]

_TCHAR: Final = "!#$%&'*+-.^_`|~" + "0123456789" + "abcdefghijklmnopqrstuvwxyz" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_VCHAR: Final = "".join(map(chr, [*range(0x21, 0x7F), *range(0x80, 0x100)]))
_FRAMING: Final = {b"host", b"content-length", b"transfer-encoding", b"connection", b"expect"}

#: Seldom made up character by character, because each character is a decision that takes its time.
_METHODS: Final = st.sampled_from([b"GET", b"HEAD", b"POST", *sorted(METHODS)])
_PATHS: Final = st.sampled_from(
    [b"/", b"/a/b", b"//", b"/-._~/:@!$&'()*+,;=", b"/%41", b"/caf%c3%a9", b"/%ff%00"]
)
_QUERIES: Final = st.sampled_from([b"", b"", b"?", b"?a=b&c", b"?/?"])
_HOSTS: Final = st.sampled_from(
    [b"a", b"EXAMPLE.com", b"127.0.0.1", b"[::1]", b"[2001:db8::7]", b"my_host", b"caf%c3%a9"]
)
_PORTS: Final = st.sampled_from([b"", b"", b":", b":80", b":65535"])
_SPACES: Final = st.sampled_from([(b"", b""), (b" ", b""), (b"\t", b" "), (b"  ", b"\t")])
_NAMES: Final = st.sampled_from(
    [b"X-A", b"x-a", b"Accept", b"Cookie", b"upgrade", b"TE", b"!#$%&'*+-.^_`|~0"]
)
_VALUES: Final = st.sampled_from(
    [b"", b"b", b"b, c", b"caf\xc3\xa9", b'"b: c"', b"b\tc", b"chunked", b"h2c", b"100-continue"]
)
_MADE_UP_NAMES: Final = (
    st.text(_TCHAR, min_size=1, max_size=6).map(str.encode).filter(lambda name: name.lower() not in _FRAMING)
)
_MADE_UP_VALUES: Final = st.text(_VCHAR + " \t", max_size=6).map(
    lambda value: value.strip(" \t").encode("latin-1")
)

#: Fields without meaning to a server.
_FIELDS: Final = st.tuples(_NAMES | _MADE_UP_NAMES, _VALUES | _MADE_UP_VALUES)
_FIELD_LISTS: Final = st.lists(_FIELDS, max_size=3)
_DIGITS: Final = st.sampled_from([b"%x", b"%X", b"00%x"])
_EXTENSIONS: Final = st.sampled_from([b"", b"", b";a", b";a=b", b' ; a = "b;\\"c"', b";a;b=c"])
_BEHAVIOURS: Final = st.sampled_from(list(BEHAVIOURS))
_ENDINGS: Final = st.sampled_from(Ending)
_PACES: Final = st.sampled_from(Pace)
_ODDS: Final = st.integers(0, 3)

#: What bodies are made of: also what must never be taken for a request, or for the end of a body.
_CONTENT: Final = st.lists(
    st.sampled_from(
        b"|\r\n|0\r\n\r\n|\r\n\r\n|GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n|\x00|5\r\n12345".split(b"|")
    )
    | st.binary(max_size=20),
    max_size=4,
).map(b"".join)
_DELIMITERS: Final = re.compile(rb"\r\n|[ :;,/?]|^")
_INSERTED: Final = st.sampled_from([b"", *TOKENS]) | st.binary(max_size=3)


def hosts() -> st.SearchStrategy[bytes]:
    """Host and port; not empty, as an absolute target needs it."""
    return st.builds(bytes.__add__, _HOSTS, _PORTS)


@st.composite
def chunked(draw: st.DrawFn, body: bytes) -> bytes:
    """The body, in chunks of any size, with extensions and trailers."""
    encoded = b""
    ends = sorted(draw(st.sets(st.integers(0, len(body)), max_size=3)))
    for begin, end in zip([0, *ends], [*ends, len(body)], strict=True):
        if begin < end:
            encoded += draw(_DIGITS) % (end - begin) + draw(_EXTENSIONS) + b"\r\n" + body[begin:end] + b"\r\n"
    trailers = b"".join(b"%b: %b\r\n" % field for field in draw(_FIELD_LISTS))
    return encoded + draw(_DIGITS) % 0 + draw(_EXTENSIONS) + b"\r\n" + trailers + b"\r\n"


@dataclass
class Made:
    """A request and what it was made of."""

    start: bytes  # white space, method and target
    rest: bytes
    lines: list[Field]
    request: Request


@st.composite
def requests(draw: st.DrawFn, persist: bool) -> Made:
    """A request within the limits, and what it means."""
    version = "1.0" if draw(_ODDS) == 3 else "1.1"
    method, target = draw(_METHODS), draw(_PATHS) + draw(_QUERIES)
    request = Request(State.COMPLETE, method.decode(), version, target, persists=persist)
    lines = draw(_FIELD_LISTS)
    host = b""
    if draw(_ODDS) == 3:
        host = draw(hosts())
        target = draw(st.sampled_from([b"http://", b"HTTPS://"])) + host + target
    if version == "1.1" or draw(st.booleans()):
        lines.insert(draw(st.integers(0, len(lines))), (b"hOST", draw(hosts() | st.just(b""))))
    if not persist:
        lines.append((b"Connection", draw(st.sampled_from([b"close", b"x, CLOSE", b"close,keep-alive"]))))
    elif version == "1.0":
        lines.append((b"connection", b"Keep-Alive"))
    encoded = draw(_body(request, lines))
    request.fields = [(name.lower(), value) for name, value in lines]
    if host:
        request.fields = [(b"host", host), *(field for field in request.fields if field[0] != b"host")]
    before, behind = draw(_SPACES)
    head = b"".join(b"%b:%b%b%b\r\n" % (name, before, value, behind) for name, value in lines)
    start = draw(st.sampled_from([b"", b"\r\n"])) + method + b" " + target
    return Made(start, b" HTTP/%b\r\n%b\r\n%b" % (version.encode(), head, encoded), lines, request)


@st.composite
def again(draw: st.DrawFn, made: Made) -> Made:
    """Another request with the fields and body of one before it, as most requests of a client have them."""
    method, target = draw(_METHODS), draw(_PATHS) + draw(_QUERIES)
    fields = [(name.lower(), value) for name, value in made.lines]
    request = dataclasses.replace(made.request, method=method.decode(), target=target, fields=fields)
    return Made(method + b" " + target, made.rest, made.lines, request)


@st.composite
def _body(draw: st.DrawFn, request: Request, lines: list[Field]) -> bytes:
    """Give a request a body, and the fields that go with it; return it as it is sent."""
    framings = ["none", "length", "chunked"] if request.version == "1.1" else ["none", "length"]
    framing = draw(st.sampled_from(framings))
    if request.version == "1.1" and draw(_ODDS) == 3:
        lines.append((b"Expect", draw(st.sampled_from([b"100-continue", b"100-Continue"]))))
        request.expects = True
    if framing == "none":
        return b""
    request.body = draw(_CONTENT)
    if framing == "length":
        lines.append((b"Content-Length", draw(st.sampled_from([b"%d", b"0%d"])) % len(request.body)))
        return request.body
    lines.append((b"Transfer-Encoding", draw(st.sampled_from([b"chunked", b"Chunked"]))))
    return draw(chunked(request.body))


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """Pipelined requests; the last one may end the connection."""
    found: list[Made] = []
    count: int = draw(st.integers(0, 2))
    for _ in range(count):
        found.append(draw(again(found[-1]) if draw(_ODDS) and found else requests(persist=True)))
    found.append(draw(requests(persist=draw(st.booleans()))))
    return b"".join(made.start + made.rest for made in found), [made.request for made in found]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid stream in which one to three places were changed, most of them where something begins."""
    data, _ = draw(streams())
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(st.sampled_from([match.end() for match in _DELIMITERS.finditer(data)] or [0]))
        if draw(_ODDS) == 3:
            begin = draw(st.integers(0, len(data)))
        size = draw(st.sampled_from([0, 0, 1, 2, 8]))
        kept = draw(st.sampled_from([b"", data[begin : begin + size] * 2]))
        data = data[:begin] + kept + draw(_INSERTED) + data[begin + size :]
    return data[: draw(st.integers(0, len(data)))] if draw(_ODDS) == 3 else data


@st.composite
def cases(draw: st.DrawFn, inputs: st.SearchStrategy[bytes]) -> Case:
    """Input, with anything that a client or an application can do about it."""
    return Case(
        draw(inputs),
        draw(_BEHAVIOURS),
        draw(_ENDINGS),
        draw(_PACES),
        draw(st.integers(0, 255)),
        draw(st.sampled_from([0, 1, 2, 3, 5, 10, 20, 50, 100])),
    )
