"""The URL that a request asks for: the target URI (RFC 9110, 7.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from .asgi import Scope
from .exceptions import HTTPBadRequest

if TYPE_CHECKING:
    from yarl import URL

# RFC 9110, 7.2, with RFC 3986, 3.2.2. What passes here cannot make yarl fail when it takes the URL apart.
_HOST = re.compile(r"([0-9A-Za-z\-._~%!$&'()*+,;=]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{0,5}))?")


# What is left as it was sent (RFC 3986, 2.2 and 2.3); some clients send other bytes, too, which are quoted
# here. Not the backslash: who looks for one has to see it.
_SENT = "%/:?#[]@!$&'()*+,;=~\\"


def target_uri(scope: Scope, host: str | None) -> URL:
    """Build it from a scope and the Host header. HTTPBadRequest if that is none."""
    from yarl import URL  # a tenth of an import of this package, and many applications never ask for a URL

    if host is None:
        server = scope.get("server")
        # A UNIX socket has a path and no port: no client could ask for it by this name.
        host = f"{server[0]}:{server[1]}" if server is not None and server[1] is not None else "localhost"
    path = quoted_path(scope)
    query = quoted_query(scope)
    scheme = scope.get("scheme", "http")
    match = _HOST.fullmatch(host)
    if match is None or not path.startswith("/") or int(match["port"] or 0) > 65535:
        raise HTTPBadRequest("there is no URL: the Host header names no host, or the target is no path")
    return URL.build(scheme=scheme, authority=host, path=path, query_string=query, encoded=True)


def quoted_path(scope: Scope) -> str:
    """Return the path as it was quoted, with the prefix of the mount.

    Some servers put the prefix into ``path`` alone, and some, behind a proxy that takes it off, nowhere.
    """
    path = scope["path"]
    root_path = scope.get("root_path", "").rstrip("/")
    raw_path = scope.get("raw_path")
    quoted = quote(path) if raw_path is None else quote(raw_path.partition(b"?")[0], safe=_SENT)
    if not root_path:
        return quoted
    if not f"{path}/".startswith(f"{root_path}/"):
        return quote(root_path) + quoted
    prefix = path.removesuffix(unquote(quoted))
    return quote(prefix) + quoted if prefix != path and root_path.startswith(prefix) else quoted


def quoted_query(scope: Scope) -> str:
    """Return the query as it was quoted, empty if there is none."""
    return quote(scope.get("query_string", b""), safe=_SENT)
