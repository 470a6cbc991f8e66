"""What proxies say of a request in its header fields: X-Forwarded-For and its kin, or Forwarded (RFC 7239).

Each proxy adds, at the right end, who has spoken to it. So the fields are read from there, as long as what is
found is the address of a trusted proxy. The first one that is not is the client's, and what stands left of it
may be made up. What is malformed ends this walk, and has no effect.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from ..http1.request import is_authority
from ..types import HeaderList
from .trusted import TrustedProxies, pack, text_of

FieldTuple = tuple[tuple[bytes, bytes], ...]


class Claims(NamedTuple):
    """What trusted proxies say of a request; empty is what they do not say, or what is malformed."""

    name: str = ""  # of the client, for people; empty where nothing is said of it
    client: tuple[str, int] | None = None  # port 0 if that is not said; None for a client without an address
    scheme: str = ""
    host: bytes = b""  # with its port, as in a Host field
    port: int = 0  # that the client spoke to
    prefix: str = ""  # of the path, which a proxy has taken off


NOTHING: Final = Claims()


class Node(NamedTuple):
    """Who has spoken to a proxy."""

    address: bytes | None  # None where the proxy keeps it to itself
    end: tuple[str, int] | None
    name: str


class ClaimsReader:
    """Reads the claims of requests; those of many clients are remembered, because most come again soon."""

    def __init__(
        self,
        names: frozenset[bytes],
        read: Callable[[TrustedProxies, FieldTuple], Claims],
        trusted: TrustedProxies,
    ) -> None:
        self._names = names
        self._read = partial(read, trusted)
        self._recall = lru_cache(maxsize=1024)(self._read)

    def __call__(self, headers: HeaderList) -> Claims:
        """What the fields of a request say; it came from a trusted proxy."""
        names = self._names
        fields = tuple([field for field in headers if field[0] in names])
        if not fields:
            return NOTHING
        if max([len(value) for _, value in fields]) > 256:  # nothing long is kept
            return self._read(fields)
        return self._recall(fields)


def claims_reader(kind: str, trusted: TrustedProxies) -> ClaimsReader | None:
    """What reads the fields that the setting `proxy_headers` asks for; None for ``off``."""
    if kind == "x-forwarded":
        return ClaimsReader(X_FORWARDED, read_x_forwarded, trusted)
    return ClaimsReader(frozenset({b"forwarded"}), read_forwarded, trusted) if kind == "forwarded" else None


# X-Forwarded-For, -Proto, -Host, -Port, -Prefix

X_FORWARDED: Final = frozenset(
    b"x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port x-forwarded-prefix".split()
)


def read_x_forwarded(trusted: TrustedProxies, fields: FieldTuple) -> Claims:
    """What X-Forwarded-For and its kin say.

    Proxies add to some of these fields and replace others. So of several values the one counts that stands,
    from the right, where the client stands in X-Forwarded-For; or the last one, if there is none.
    """
    values: dict[bytes, str] = {}
    for name, value in fields:
        text = value.decode("latin-1")
        values[name] = f"{values[name]},{text}" if name in values else text
    client: Node | None = None
    hop = 0
    for place, item in enumerate(_from_the_right(values.get(b"x-forwarded-for", ""))):
        node = _read_address(item)
        if node is None:
            break
        client, hop = node, place
        if node.address is None or not trusted.trust(node.address):
            break

    def of_hop(name: bytes) -> str:
        items = _from_the_right(values.get(name, ""))
        return items[hop] if hop < len(items) else items[0] if items else ""

    port = of_hop(b"x-forwarded-port")
    prefixes = _from_the_right(values.get(b"x-forwarded-prefix", ""))  # not every proxy takes something off
    return Claims(
        name=client.name if client else "",
        client=client.end if client else None,
        scheme=_scheme(of_hop(b"x-forwarded-proto")),
        host=_host(of_hop(b"x-forwarded-host")),
        port=int(port) if _PORT.fullmatch(port) and int(port) <= 65535 else 0,
        prefix=_prefix(prefixes[0]) if prefixes else "",
    )


def _from_the_right(value: str) -> list[str]:
    """The members of a list, the last one first; empty ones do not count (RFC 9110 §5.6.1.2)."""
    return [item for piece in reversed(value.split(",")) if (item := piece.strip(" \t"))]


# Forwarded

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED: Final = r'"(?:[^"\\]|\\.)*+"'
_PAIR: Final = re.compile(rf"({_TOKEN})=({_TOKEN}|{_QUOTED})")
#: forwarded-element of RFC 7239 §4; and blanks around semicolons, which many write.
_ELEMENT: Final = re.compile(
    rf"[ \t]*+(?:{_PAIR.pattern})?+[ \t]*+(?:;[ \t]*+(?:{_PAIR.pattern})?+[ \t]*+)*+"
)
_QUOTED_PAIR: Final = re.compile(r"\\(.)")


def read_forwarded(trusted: TrustedProxies, fields: FieldTuple) -> Claims:
    """What Forwarded says. An element without ``for`` says nothing of the client, and so ends the walk."""
    claims = NOTHING
    for element in _elements(",".join([value.decode("latin-1") for _, value in fields])):
        parameters = _parameters(element)
        text = parameters.get("for")
        node = _read_node(text) if text is not None else None
        if not parameters or (text is not None and node is None):
            break
        claims = Claims(
            name=node.name if node else claims.name,
            client=node.end if node else claims.client,
            scheme=_scheme(parameters.get("proto", "")) or claims.scheme,
            host=_host(parameters.get("host", "")) or claims.host,
        )
        if node is None or node.address is None or not trusted.trust(node.address):
            break
    return claims


def _elements(value: str) -> Iterator[str]:
    """The elements of a list, the last one first, up to one that is malformed.

    What a client has sent stands left of what a proxy has added, with a comma between them, and may open a
    quoted string to swallow that. It does not, because from the right the shortest piece counts that is an
    element: one that begins within a quoted string has an odd number of quotes, and is none.
    """
    end = comma = len(value)
    quoted = False
    while comma >= 0:
        right, comma = comma, value.rfind(",", 0, comma)
        quoted = quoted or '"' in value[comma + 1 : right]
        if _ELEMENT.fullmatch(value, comma + 1, end):
            if element := value[comma + 1 : end].strip(" \t"):
                yield element
            end, quoted = comma, False
        elif not quoted:
            return


def _parameters(element: str) -> dict[str, str]:
    """The parameters of an element, with names in lower case; none if one is repeated (RFC 7239 §4)."""
    found: dict[str, str] = {}
    for name, value in _PAIR.findall(element):
        if name.lower() in found:
            return {}
        found[name.lower()] = _QUOTED_PAIR.sub(r"\1", value[1:-1]) if value[0] == '"' else value
    return found


# What the values mean

_PORT: Final = re.compile("[0-9]{1,5}")
_IPV6: Final = "[0-9A-Fa-f]*:[0-9A-Fa-f:.]*"
_ADDRESS: Final = re.compile(rf"(?:([0-9.]+)|\[({_IPV6})\])(?::([0-9]{{1,5}}))?")
_BARE_IPV6: Final = re.compile(_IPV6)
#: node of RFC 7239 §6: an address, "unknown" or a name that means nothing to others; with a port, or a name.
_NODE: Final = re.compile(
    rf"(?:([0-9.]+)|\[({_IPV6})\]|((?i:unknown)|_[0-9A-Za-z._\-]+))"
    r"(?::(?:([0-9]{1,5})|_[0-9A-Za-z._\-]+))?"
)

_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}

#: Segments of RFC 3986 §3.3, none of which is empty.
_SEGMENTS: Final = re.compile(r"(?:/(?:[0-9A-Za-z\-._~!$&'()*+;=:@]|%[0-9A-Fa-f]{2})+)+/?")


def _read_address(text: str) -> Node | None:
    """An address with or without a port, as X-Forwarded-For has it; None if it is malformed."""
    match = _ADDRESS.fullmatch(text)
    if match is not None:
        return _node(*match.groups())
    return _node(None, text, None) if _BARE_IPV6.fullmatch(text) else None


def _read_node(text: str) -> Node | None:
    """Who has spoken to a proxy, as Forwarded has it; None if it is malformed."""
    match = _NODE.fullmatch(text)
    if match is None:
        return None
    ipv4, ipv6, name, port = match.groups()
    return Node(None, None, name) if name else _node(ipv4, ipv6, port)


def _node(ipv4: str | None, ipv6: str | None, port: str | None) -> Node | None:
    try:
        address = pack(ipv4 or ipv6 or "")
    except ValueError:
        return None
    host = text_of(address)
    if port is None:
        return Node(address, (host, 0), host)
    number = int(port)
    return Node(address, (host, number), f"{host}:{number}") if number <= 65535 else None


def _scheme(text: str) -> str:
    """``http`` or ``https``, which WebSocket runs over, too; nothing for other schemes."""
    return _SCHEMES.get(text.lower(), "")


def _host(text: str) -> bytes:
    """A host with or without a port; nothing if that is malformed."""
    host = text.encode("latin-1")
    return host if host and not host.startswith(b":") and is_authority(host) else b""


def _prefix(text: str) -> str:
    """The beginning of a path, decoded and without a slash at its end; nothing if it is malformed.

    It becomes a part of redirects, so nothing may hide in it that a browser takes for more than a path.
    """
    if not _SEGMENTS.fullmatch(text):
        return ""
    try:
        path = unquote_to_bytes(text).decode().removesuffix("/")
    except UnicodeDecodeError:
        return ""
    segments = path.split("/")[1:]
    plain_text = path.isprintable() and "\\" not in path
    return path if plain_text and not {"", ".", ".."} & set(segments) else ""
