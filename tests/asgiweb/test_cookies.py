"""Cookies: read leniently, written only as browsers take them (RFC 6265)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from asgiweb import HeaderError
from asgiweb.cookies import format_cookie, parse_cookies


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a=1; b=2", {"a": "1", "b": "2"}),
        ("a=1;b=2", {"a": "1", "b": "2"}),
        ("a=", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ('a="quoted"', {"a": "quoted"}),
        ('a="', {"a": '"'}),
        ("nothing", {}),
        ("; ;a=1;", {"a": "1"}),
        ("  a = 1 ", {"a": "1"}),
    ],
)
def test_cookies_are_read(header: str, expected: dict[str, str]) -> None:
    assert parse_cookies([header]) == expected


def test_several_headers_are_read_as_one() -> None:
    assert parse_cookies(["a=1", "b=2"]) == {"a": "1", "b": "2"}


def test_of_two_cookies_of_a_name_the_first_counts() -> None:
    assert parse_cookies(["a=near; a=far", "a=further"]) == {"a": "near"}


def test_a_cookie_is_hidden_from_scripts_and_from_other_sites_by_default() -> None:
    assert format_cookie("a", "1") == "a=1; Path=/; SameSite=Lax; HttpOnly"


def test_every_attribute_is_written() -> None:
    cookie = format_cookie(
        "a",
        "1",
        max_age=60,
        expires=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
        path="/x",
        domain="example.org",
        secure=True,
        httponly=True,
        samesite="none",
        partitioned=True,
    )
    assert cookie == (
        "a=1; Max-Age=60; Expires=Wed, 02 Jan 2030 03:04:05 GMT; Domain=example.org; Path=/x; "
        "SameSite=None; Secure; HttpOnly; Partitioned"
    )


def test_every_attribute_can_be_left_out() -> None:
    assert format_cookie("a", "1", path=None, httponly=False, samesite=None) == "a=1"


def test_expiry_is_written_in_gmt() -> None:
    moment = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    assert "Expires=Wed, 02 Jan 2030 01:04:05 GMT" in format_cookie("a", "1", expires=moment)


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a;b", "caf\xe9", "a\n"])
def test_names_are_tokens(name: str) -> None:
    with pytest.raises(HeaderError, match="not a name"):
        format_cookie(name, "1")


@pytest.mark.parametrize("value", ["a b", "a;b", "a,b", 'a"b', "a\\b", "caf\xe9", "a\r\nb", "a\n"])
def test_values_that_browsers_would_cut_are_refused_with_advice(value: str) -> None:
    with pytest.raises(HeaderError, match="urllib"):
        format_cookie("a", value)


@pytest.mark.parametrize("value", [5, None, b"a"])
def test_a_value_is_text(value: Any) -> None:
    with pytest.raises(HeaderError, match=f"'a'.*{type(value).__name__}"):
        format_cookie("a", value)


@pytest.mark.parametrize("text", ["/;secure", "/\r\nx", "caf\xe9"])
def test_path_and_domain_cannot_smuggle_attributes(text: str) -> None:
    with pytest.raises(HeaderError, match="path"):
        format_cookie("a", "1", path=text)
    with pytest.raises(HeaderError, match="domain"):
        format_cookie("a", "1", domain=text)


def test_rfc_6265bis_5_6_what_is_too_long_is_refused() -> None:
    format_cookie("name", "x" * 4092)
    with pytest.raises(HeaderError, match="4097 bytes"):
        format_cookie("name", "x" * 4093)


def test_what_browsers_take_only_over_https_needs_secure() -> None:
    with pytest.raises(HeaderError, match="secure"):
        format_cookie("a", "1", samesite="none")
    with pytest.raises(HeaderError, match="secure"):
        format_cookie("a", "1", partitioned=True)


@pytest.mark.parametrize(
    ("name", "attributes", "taken"),
    [
        ("__Host-a", {"secure": True}, True),
        ("__Host-a", {}, False),
        ("__host-a", {}, False),
        ("__Host-a", {"secure": True, "domain": "example.org"}, False),
        ("__Host-a", {"secure": True, "path": "/a"}, False),
        ("__Host-a", {"secure": True, "path": None}, False),
        ("__Secure-a", {"secure": True, "path": "/a", "domain": "example.org"}, True),
        ("__Secure-a", {}, False),
        ("__SECURE-a", {}, False),
        ("__Hosts", {}, True),
    ],
)
def test_a_prefix_is_a_promise(name: str, attributes: Any, taken: bool) -> None:
    # RFC 6265bis, 4.1.3.
    if taken:
        assert format_cookie(name, "1", **attributes).startswith(f"{name}=1")
        return
    with pytest.raises(HeaderError, match="browsers take"):
        format_cookie(name, "1", **attributes)


def test_what_is_written_is_read_back() -> None:
    cookie = format_cookie("session", "!#$%&'()*+-./:<=>?@[]^_`{|}~")
    assert parse_cookies([cookie.partition(";")[0]]) == {"session": "!#$%&'()*+-./:<=>?@[]^_`{|}~"}
