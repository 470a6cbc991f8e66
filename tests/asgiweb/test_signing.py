"""Signed values: nobody else makes them, for one purpose, for some time, through the change of a secret."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from asgiweb import Application, RegistrationError, Request, Response
from asgiweb.signing import InvalidSignature, Signer
from asgiweb.testing import TestClient

OLD = "an old secret of more than 32 characters"
NEW = "a newer secret of more than 32 characters"


@pytest.mark.parametrize("value", ["", "hello", 'a b;c=d, \\ " \n', "ü € 🙂", "a.b.c", "x" * 2900])
def test_any_text_comes_back_and_fits_into_cookies(value: str) -> None:
    signer = Signer(NEW, purpose="test")
    signed = signer.sign(value)
    assert signer.unsign(signed) == value
    Response().set_cookie("a", signed)


@pytest.mark.parametrize("change", ["x{}", "{}x", "", "é{}", "{}é", "a.b", "a.b.c", "..", ".", "=.=.="])
def test_what_was_not_signed_is_refused(change: str) -> None:
    signer = Signer(NEW, purpose="test")
    with pytest.raises(InvalidSignature, match="not signed here for 'test'"):
        signer.unsign(change.format(signer.sign("hello")))


def test_a_value_of_one_purpose_is_nothing_for_another() -> None:
    signed = Signer(NEW, purpose="one").sign("hello")
    with pytest.raises(InvalidSignature):
        Signer(NEW, purpose="other").unsign(signed)


def test_a_value_of_one_cookie_is_nothing_for_another() -> None:
    signer = Signer(NEW, purpose="test")
    assert signer.unsign_for("a", signer.sign_for("a", "hello")) == "hello"
    for signed in (signer.sign_for("a", "hello"), signer.sign("hello")):
        with pytest.raises(InvalidSignature):
            signer.unsign_for("b", signed)


def test_the_newest_secret_signs_and_the_old_one_is_still_accepted() -> None:
    both = Signer([NEW, OLD], purpose="test")
    assert both.unsign(Signer(OLD, purpose="test").sign("hello")) == "hello"
    assert Signer(NEW, purpose="test").unsign(both.sign("hello")) == "hello"
    with pytest.raises(InvalidSignature):
        Signer(OLD, purpose="test").unsign(both.sign("hello"))


def test_a_value_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = Signer(NEW, purpose="test")
    signed = signer.sign("hello")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 100)
    assert signer.unsign(signed) == signer.unsign(signed, max_age=102) == "hello"
    with pytest.raises(InvalidSignature, match="more than 98 seconds ago"):
        signer.unsign(signed, max_age=98)


def test_a_machine_whose_clock_is_ahead_signs_valid_values(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = Signer(NEW, purpose="test")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 5)
    signed = signer.sign("hello")
    monkeypatch.undo()
    assert signer.unsign(signed, max_age=60) == "hello"


@pytest.mark.parametrize("secrets", ["", "short", [], [NEW, "short"]])
def test_a_short_secret_is_refused_and_the_message_makes_a_better_one(secrets: str | list[str]) -> None:
    with pytest.raises(RegistrationError, match="a secret has 32 characters") as raised:
        Signer(secrets, purpose="test")
    code = str(raised.value).partition("python -c '")[2].partition("'")[0]
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    Signer(made.stdout.strip(), purpose="test")


async def test_cookies_are_signed_and_read_by_name() -> None:
    signer = Signer(NEW, purpose="test")
    app = Application()

    @app.get("/set")
    async def set_cookie(request: Request) -> Response:
        response = Response()
        signer.set_cookie(response, "theme", "dark & blue", max_age=60, secure=True)
        return response

    @app.get("/get")
    async def get_cookie(request: Request) -> Response:
        return Response(f"{signer.cookie(request, 'theme')} {signer.cookie(request, 'theme', max_age=-1)}")

    async with TestClient(app, base_url="https://test") as client:
        assert (await client.get("/get")).text == "None None"
        header = (await client.get("/set")).headers["set-cookie"]
        assert header.endswith("; Max-Age=60; Path=/; SameSite=Lax; Secure; HttpOnly")
        assert (await client.get("/get")).text == "dark & blue None"
        cut = client.cookies["theme"][:-1]
        client.cookies.clear()
        assert (await client.get("/get", headers={"cookie": f"theme={cut}"})).text == "None None"
