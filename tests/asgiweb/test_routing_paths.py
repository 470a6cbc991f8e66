"""From a scope to the segments that a route has to match: prefixes and encoded slashes."""

from __future__ import annotations

import pytest

from asgiweb.routing.paths import path_below_root, segments_of
from tests.asgiweb.exchange import http_scope


@pytest.mark.parametrize(
    ("path", "root_path", "below"),
    [
        ("/a", "", "/a"),
        ("/api/a", "/api", "/a"),
        ("/api/a", "/api/", "/a"),
        ("/api/", "/api", "/"),
        ("/api", "/api", "/"),
        ("/apian", "/api", "/apian"),
        ("/other", "/api", "/other"),
        ("/", "/api", "/"),
        ("/a", "/", "/a"),
    ],
)
def test_the_prefix_of_the_mount_is_taken_off(path: str, root_path: str, below: str) -> None:
    assert path_below_root(path, root_path) == below


@pytest.mark.parametrize(
    ("raw_path", "segments"),
    [
        (b"/a/b", ["", "a", "b"]),
        (b"/a%2Fb", ["", "a/b"]),
        (b"/a%2fb/c", ["", "a/b", "c"]),
        (b"/a%2Fb%20c", ["", "a/b c"]),
        (b"/%E2%82%AC%2F", ["", "\u20ac/"]),
        (b"/%ff%2F", ["", "\ufffd/"]),
        (b"/a%2Fb?c=%2F", ["", "a/b"]),
        (b"/a%252Fb", ["", "a%2Fb"]),
    ],
)
def test_an_encoded_slash_separates_nothing(raw_path: bytes, segments: list[str]) -> None:
    from urllib.parse import unquote

    path = unquote(raw_path.partition(b"?")[0].decode())
    assert segments_of(http_scope(path, raw_path=raw_path)) == segments


def test_without_a_raw_path_the_decoded_one_counts() -> None:
    scope = http_scope("/a/b", raw_path=None)
    assert segments_of(scope) == ["", "a", "b"]
    del scope["raw_path"]
    assert segments_of(scope) == ["", "a", "b"]


@pytest.mark.parametrize(
    ("path", "raw_path"),
    [
        # raw_path as the client sent it, through a proxy that has taken the prefix off; or with the prefix;
        # or no prefix in the path, because the server has taken it off, and in raw_path one or none.
        ("/api/v 1/a/b", b"/a%2Fb"),
        ("/api/v 1/a/b", b"/api/v%201/a%2Fb"),
        ("/a/b", b"/a%2Fb"),
        ("/a/b", b"/api/v%201/a%2Fb"),
    ],
)
def test_servers_may_leave_the_prefix_out_of_the_path_or_the_raw_path(path: str, raw_path: bytes) -> None:
    scope = http_scope(path, raw_path=raw_path, root_path="/api/v 1")
    assert segments_of(scope) == ["", "a/b"]


def test_a_prefix_may_have_encoded_slashes_too() -> None:
    scope = http_scope("/t/a/b/c/d", raw_path=b"/t/a%2Fb/c%2Fd", root_path="/t/a/b")
    assert segments_of(scope) == ["", "c/d"]


@pytest.mark.parametrize("raw_path", [b"/api/a%2Fb", b"/api/api/a%2Fb"])
def test_what_looks_like_the_prefix_may_be_below_it(raw_path: bytes) -> None:
    scope = http_scope("/api/api/a/b", raw_path=raw_path, root_path="/api")
    assert segments_of(scope) == ["", "api", "a/b"]


@pytest.mark.parametrize("root_path", ["", "/api", "/other"])
def test_a_path_that_was_rewritten_counts_more_than_the_raw_one(root_path: str) -> None:
    scope = http_scope(f"{root_path}/new/b", raw_path=b"/other/a%2Fb", root_path=root_path)
    assert segments_of(scope) == ["", "new", "b"]
