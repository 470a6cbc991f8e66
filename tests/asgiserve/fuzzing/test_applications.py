"""Whatever an application sends: what leaves is HTTP, exactly what was right of it, and it can go on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.asgiserve.fuzzing.applications import Model, Sender
from tests.asgiserve.fuzzing.events import WRONG, WRONG_FOR_LENGTH_2, programs
from tests.asgiserve.fuzzing.in_process import Harness, Outcome, Pace
from tests.asgiserve.fuzzing.profiles import PATIENCE, examples
from tests.asgiserve.fuzzing.responses import Response, read_responses

pytestmark = pytest.mark.timeout(PATIENCE)


class Kind(NamedTuple):
    """What is asked for."""

    method: str
    version: str
    trailers: bool

    @property
    def data(self) -> bytes:
        """The request."""
        fields = "Host: a\r\nConnection: keep-alive\r\n" + ("TE: trailers\r\n" if self.trailers else "")
        return f"{self.method} / HTTP/{self.version}\r\n{fields}\r\n".encode()


KINDS = st.builds(
    Kind, st.sampled_from(["GET", "GET", "HEAD"]), st.sampled_from(["1.1", "1.1", "1.0"]), st.booleans()
)
PROGRAMS = st.lists(st.tuples(KINDS, programs()), min_size=1, max_size=3)
Requests = list[tuple[Kind, list[Any]]]


@pytest.fixture(scope="module")
def harness() -> Iterator[Harness]:
    with Harness("httptools", response_timeout=60.0) as harness:
        yield harness


def check_response(model: Model, response: Response, kind: Kind) -> None:
    """It is what the application has sent, and nothing else."""
    assert response.status == model.status
    assert response.complete
    own = (b"content-length", b"transfer-encoding", b"connection")
    assert [field for field in response.headers if field[0] not in own] == model.fields
    assert response.body == (b"" if model.bodiless else model.body)
    if model.length is not None and model.status not in (204, 205):
        assert [int(value) for value in response.all(b"content-length")] == [model.length]
    chunked = kind.version == "1.1" and not model.bodiless and model.length is None
    assert response.trailers == (model.trailers if chunked and kind.trailers else [])
    assert response.interim == ([(103, links) for links in model.hints] if kind.version == "1.1" else [])


def check_sent(app: Sender, outcome: Outcome, kinds: list[Kind]) -> None:
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
    responses = read_responses(sent, [kind.method for kind in kinds])
    finals = [model for model in app.models if model.status >= 200]
    if responses and responses[-1].status == 103:
        del responses[-1]  # a hint before one that is not final
    assert len(responses) == len(finals)
    for kind, model, response in zip(kinds, finals, responses, strict=False):
        check_response(model, response, kind)
        assert response.closes or kind.version == "1.1" or response.all(b"connection") == [b"keep-alive"]
        streamed = kind.version == "1.0" and not model.bodiless and not response.all(b"content-length")
        ends = model.closes or streamed
        assert response.closes or not ends
        assert ends or not response.closes or model is app.models[-1]  # the client may have ended it
    assert len(app.models) == len(kinds) or app.models[-1].closes or responses[-1].closes


@given(PROGRAMS, st.sampled_from([Pace.FAST, Pace.SLOW]))
@examples(600)
def test_events(harness: Harness, requests: Requests, pace: Pace) -> None:
    app = Sender([program for _, program in requests])
    kinds = [kind for kind, _ in requests]
    check_sent(app, harness.serve(app, [b"".join(kind.data for kind in kinds)], pace=pace), kinds)


@pytest.mark.parametrize("trailers", [False, True])
@pytest.mark.parametrize("length", [False, True])
def test_each_wrong_event_in_each_state(harness: Harness, trailers: bool, length: bool) -> None:
    """Before a response, within it and behind it, and in the same way for the next one on the connection."""
    headers = [(b"content-length", b"2")] if length else []
    first = {"type": "http.response.start", "status": 200, "headers": headers, "trailers": trailers}
    more = {"type": "http.response.body", "body": b"b", "more_body": True}
    last = {"type": "http.response.body", "body": b"c"}
    kind = Kind("GET", "1.1", True)
    for wrong in (*WRONG, *(WRONG_FOR_LENGTH_2 if length else ())):
        app = Sender([[wrong, first, wrong, more, wrong, last, wrong]] * 3)
        check_sent(app, harness.serve(app, [kind.data * 3]), [kind] * 3)
        assert [model.body for model in app.models] == [b"bc"] * 3


def test_body_that_ends_short_of_its_length_is_rejected_before_trailers_too(harness: Harness) -> None:
    headers = [(b"content-length", b"2")]
    first = {"type": "http.response.start", "status": 200, "headers": headers, "trailers": True}
    app, kind = Sender([[first, {"type": "http.response.body", "body": b"b"}]]), Kind("GET", "1.1", False)
    check_sent(app, harness.serve(app, [kind.data]), [kind])


def test_field_is_checked_whatever_came_before(harness: Harness) -> None:
    """What is accepted does not depend on what was rendered before."""
    known = {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"b"), (b"x-a", None)]}
    buffer = {"type": "http.response.start", "status": 200, "headers": [(b"x-a", memoryview(b"b"))]}
    app, kind = Sender([[known, buffer]]), Kind("GET", "1.1", False)
    check_sent(app, harness.serve(app, [kind.data]), [kind])
