"""Any input, cut anywhere: in this process, on both parsers, held against the oracle (RFC 9112)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.asgiserve.fuzzing.behaviours import BEHAVIOURS, Recorder
from tests.asgiserve.fuzzing.case import Case
from tests.asgiserve.fuzzing.deviations import LENIENCIES
from tests.asgiserve.fuzzing.grammar import Stream, cases, mutated, streams
from tests.asgiserve.fuzzing.in_process import SETTINGS, Harness, Pace
from tests.asgiserve.fuzzing.known import FAULTS, is_known
from tests.asgiserve.fuzzing.oracle import STRICT, State, read
from tests.asgiserve.fuzzing.profiles import PATIENCE, examples
from tests.asgiserve.fuzzing.properties import check
from tests.asgiserve.fuzzing.responses import read_responses
from tests.asgiserve.fuzzing.seeds import seeds
from tests.asgiserve.fuzzing.tokens import SPLIT
from tests.asgiserve.raw import GET

pytestmark = pytest.mark.timeout(PATIENCE)

Parsers = tuple[Harness, Harness]

CORPUS = Path(__file__).with_name("corpus.txt")


@pytest.fixture(scope="module")
def parsers() -> Iterator[Parsers]:
    """Connections in this process, on each parser."""
    with Harness("httptools") as httptools, Harness("h11") as h11:
        yield httptools, h11


@given(streams())
@examples(150)
def test_grammar_and_oracle_agree(stream: Stream) -> None:
    """Two ways to know what a request means: what it was made from, and what its bytes say."""
    data, requests = stream
    assert read(data, SETTINGS) == requests
    assert read(data, SETTINGS, STRICT) == requests


@pytest.mark.parametrize("name", LENIENCIES)
def test_leniency_is_one(parsers: Parsers, name: str) -> None:
    """The grammar does not have the example, and the server answers it: or it need not be stated."""
    data = LENIENCIES[name].example
    assert [request.state for request in read(data, SETTINGS, STRICT)] != [State.COMPLETE]
    assert [request.state for request in read(data, SETTINGS)] == [State.COMPLETE]
    check(Case(data), *parsers)


@pytest.mark.parametrize("behaviour", ["reads", "streams"])
def test_9112_2_2_every_split_point_gives_the_same_result(parsers: Parsers, behaviour: str) -> None:
    for cut in range(1, len(SPLIT)):
        check(Case(SPLIT, behaviour, cut=cut), *parsers)
    for size in range(1, 20):
        check(Case(SPLIT, behaviour, size=size), *parsers)


def test_known_faults_are_still_there(parsers: Parsers) -> None:
    """One that is mended is to be taken out of `known`."""
    for fault in FAULTS.values():
        assert is_known(fault.example)
        with pytest.raises(AssertionError):
            check(fault.example, *parsers)


@given(cases(streams().map(lambda stream: stream[0])))
@examples(300)
def test_valid_requests(parsers: Parsers, case: Case) -> None:
    """Cut and answered in any way."""
    assume(not is_known(case))
    check(case, *parsers)


@given(cases(mutated()))
@examples(700)
def test_mutated_requests(parsers: Parsers, case: Case) -> None:
    """Answered by what is left of them, refused, or the connection ends; and never anything else."""
    assume(not is_known(case))
    check(case, *parsers)


@given(
    st.integers(0, 600_000),
    st.sampled_from([0, 1000, 65_536]),
    st.sampled_from(["ignores", "takes-one"]),
    st.sampled_from([1500, 65_536, 1_000_000]),
    st.sampled_from([Pace.FAST, Pace.SLOW]),
)
@examples(60)
def test_9112_9_3_unread_body_is_never_taken_for_requests(
    size: int, chunk: int, behaviour: str, piece: int, pace: Pace
) -> None:
    """A short rest is thrown away, and the connection kept; before a long one it is closed."""
    body = (b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n" * (size // 35 + 1))[:size]
    framing, body = (b"Content-Length: %d" % size, body) if not chunk else in_chunks(body, chunk)
    data = b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n" + body + GET
    pieces = [data[begin : begin + piece] for begin in range(0, len(data), piece)]
    app = Recorder(BEHAVIOURS[behaviour])
    with Harness("h11", max_body_size=1_000_000) as harness:
        outcome = harness.serve(app, pieces, pace=pace)
    assert not outcome.faults
    assert [call.scope["path"] for call in app.calls] in (["/"], ["/", "/"])
    responses = read_responses(outcome.sent, ["POST", "GET"])
    assert [response.status for response in responses] == [200] * len(app.calls)
    assert len(app.calls) == 2 or size > 200_000


def in_chunks(body: bytes, size: int) -> tuple[bytes, bytes]:
    """The field that announces chunks, and the body in chunks of this size."""
    pieces = [body[begin : begin + size] for begin in range(0, len(body), size)]
    encoded = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    return b"Transfer-Encoding: chunked", encoded


def test_seeds(parsers: Parsers) -> None:
    """What every search begins with."""
    for case in seeds():
        if not is_known(case):
            check(case, *parsers)


def test_corpus(parsers: Parsers) -> None:
    """What the coverage-guided search has found interesting so far."""
    for line in CORPUS.read_text().splitlines():
        if not line.startswith("#"):
            check(Case.from_line(line), *parsers)
