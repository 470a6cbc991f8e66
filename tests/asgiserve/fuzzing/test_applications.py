"""Whatever an application sends: what leaves is HTTP, exactly what was right of it, and it can go on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.asgiserve.fuzzing.applications import Model, Sender
from tests.asgiserve.fuzzing.events import programs
from tests.asgiserve.fuzzing.in_process import Harness, Outcome, Pace
from tests.asgiserve.fuzzing.profiles import examples
from tests.asgiserve.fuzzing.responses import Response, read_responses

REQUESTS = {
    ("GET", "1.1"): b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ("HEAD", "1.1"): b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    ("GET", "1.0"): b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ("HEAD", "1.0"): b"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
}

KINDS = st.sampled_from(list(REQUESTS))


@pytest.fixture(scope="module")
def harness() -> Iterator[Harness]:
    with Harness("httptools", response_timeout=60.0) as harness:
        yield harness


def check_response(model: Model, response: Response) -> None:
    """It is what the application has sent, and nothing else."""
    assert response.status == model.status
    assert response.complete
    own = (b"content-length", b"transfer-encoding", b"connection")
    assert [field for field in response.headers if field[0] not in own] == model.fields
    assert response.body == (b"" if model.bodiless else model.body)
    if model.length is not None and model.status not in (204, 205):
        assert [int(value) for value in response.all(b"content-length")] == [model.length]


def check_sent(app: Sender, outcome: Outcome, kinds: list[tuple[str, str]]) -> None:
    """Hold what was sent against what the application wanted."""
    assert not app.faults
    assert not outcome.faults
    assert not outcome.errors
    assert len(app.models) >= 1
    sent = outcome.sent
    if app.models[-1].status < 200:  # no final response follows it, and the connection ends
        place = sent.rindex(b"HTTP/1.1 1")
        assert re.fullmatch(rb"HTTP/1\.1 1[0-9]{2} [^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n", sent[place:])
        sent = sent[:place]
    responses = read_responses(sent, [method for method, _ in kinds])
    for (_, version), model, response in zip(kinds, app.models, responses, strict=False):
        check_response(model, response)
        assert response.closes or version == "1.1" or response.all(b"connection") == [b"keep-alive"]
        streamed = version == "1.0" and not model.bodiless and not response.all(b"content-length")
        assert not response.closes or model.closes or streamed or model is app.models[-1]
    finals = [model for model in app.models if model.status >= 200]
    assert len(responses) == len(finals)
    assert len(app.models) == len(kinds) or app.models[-1].closes or responses[-1].closes


@given(
    st.lists(st.tuples(KINDS, programs()), min_size=1, max_size=3), st.sampled_from([Pace.FAST, Pace.SLOW])
)
@examples(600)
def test_events(harness: Harness, requests: list[tuple[tuple[str, str], list[Any]]], pace: Pace) -> None:
    app = Sender([program for _, program in requests])
    kinds = [kind for kind, _ in requests]
    outcome = harness.serve(app, [b"".join(REQUESTS[kind] for kind in kinds)], pace=pace)
    check_sent(app, outcome, kinds)


@pytest.mark.xfail(strict=True, reason="a memoryview equals the bytes that a rendered field is known by")
def test_field_is_checked_whatever_came_before(harness: Harness) -> None:
    """What is accepted does not depend on what was rendered before."""
    known = {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"b"), (b"x-a", None)]}
    buffer = {"type": "http.response.start", "status": 200, "headers": [(b"x-a", memoryview(b"b"))]}
    app = Sender([[known, buffer]])
    check_sent(app, harness.serve(app, [REQUESTS["GET", "1.1"]]), [("GET", "1.1")])
