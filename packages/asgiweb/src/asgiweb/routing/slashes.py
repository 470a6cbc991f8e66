"""What becomes of a request whose path is that of a route, but for the slash at its end.

The answer is a redirection by default, and not the route's own: one thing has one URL.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, TypeVar

from ..asgi import Scope
from ..target_uri import quoted_path, quoted_query
from .paths import segments_of

Text = TypeVar("Text", str, bytes)

TrailingSlash: TypeAlias = Literal["redirect", "strict", "ignore"]


def with_other_slash(scope: Scope) -> Scope:
    """Return the scope of the same path with a slash at its end, if it has none, and without otherwise.

    A "%2F" at the end is a character of the last segment, though it is a slash in ``path``.
    """
    segments = segments_of(scope)
    ends = len(segments) > 1 and not segments[-1]
    changed = {**scope, "path": _changed(scope["path"], "/", ends)}
    raw_path: bytes | None = scope.get("raw_path")
    if raw_path is not None:
        # Some servers leave the query in it.
        changed["raw_path"] = _changed(raw_path.partition(b"?")[0], b"/", ends)
    return changed


def _changed(path: Text, slash: Text, ends: bool) -> Text:
    return path.removesuffix(slash) if ends else path + slash


def location_of_other(scope: Scope) -> str | None:
    """Return that path as the client would ask for it, with its query; None if that would be another host's.

    "//host" is one (RFC 3986, 4.2), and browsers read a backslash as a slash.
    """
    path = quoted_path(scope)
    path = _changed(path, "/", path.endswith("/"))
    if not path.startswith("/") or path[1:2] in ("/", "\\"):
        return None
    query = quoted_query(scope)
    return f"{path}?{query}" if query else path
