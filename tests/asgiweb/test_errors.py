"""The tree of exceptions: what is caught by what."""

from __future__ import annotations

import pytest

from asgiweb import (
    AsgiwebError,
    BodyConsumed,
    ClientDisconnected,
    HeaderError,
    HTTPException,
    RegistrationError,
    StateError,
    UrlError,
)


@pytest.mark.parametrize("kind", [BodyConsumed, HeaderError, RegistrationError, StateError, UrlError])
def test_mistakes_in_using_the_package_have_one_base(kind: type[Exception]) -> None:
    assert issubclass(kind, AsgiwebError)
    assert not issubclass(kind, HTTPException)


def test_a_client_that_leaves_is_a_connection_error_and_no_mistake() -> None:
    assert issubclass(ClientDisconnected, OSError)
    assert not issubclass(ClientDisconnected, AsgiwebError)


def test_nothing_escapes_except_exception() -> None:
    assert issubclass(AsgiwebError, Exception)
    assert issubclass(HTTPException, Exception)
