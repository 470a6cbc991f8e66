"""From an ASGI scope to the path that routes are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from ..asgi import Scope


def path_below_root(path: str, root_path: str) -> str:
    """Take off the prefix that the application is mounted at, which ASGI's ``path`` includes.

    A path outside of the prefix is left as it is: some servers take the prefix off themselves.
    """
    root_path = root_path.rstrip("/")
    below = path.removeprefix(root_path)
    if below == path or below.startswith("/"):
        return below
    return path if below else "/"


def split_raw(raw_path: bytes) -> list[str]:
    """Split a path that is still percent-encoded, so that "%2F" is a character and no separator.

    What is no UTF-8 becomes U+FFFD, which servers make of it as well.
    """
    path = raw_path.partition(b"?")[0]
    return [unquote_to_bytes(segment).decode("utf-8", "replace") for segment in path.split(b"/")]


def segments_of(scope: Scope) -> list[str]:
    """Return the segments that a route has to match; the first is empty, before the leading slash.

    ``path`` says which path that is, on every server; ``raw_path`` only where its segments end.
    """
    path: str = scope["path"]
    root_path: str = scope.get("root_path", "").rstrip("/")
    if root_path:
        path = path_below_root(path, root_path)
    raw_path: bytes | None = scope.get("raw_path")
    if raw_path is not None and b"%2f" in raw_path.lower():
        # Some servers have the prefix in raw_path, others have there what the client has sent.
        segments = _last_segments(split_raw(raw_path), len(path))
        if "/".join(segments) == path:
            return segments
    return path.split("/")


def _last_segments(segments: list[str], length: int) -> list[str]:
    """Return the end of a path that is so long: a prefix with encoded slashes cannot be counted off."""
    for index in range(len(segments) - 1, 0, -1):
        length -= 1 + len(segments[index])
        if length <= 0:
            return ["", *segments[index:]]
    return segments
