"""Generated input and generated applications over real sockets, on real servers with each parser.

The wire decides here how pieces arrive, so answers are compared for what they say, not byte by byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.asgiserve.applications import App, Receive, Scope, Send
from tests.asgiserve.fuzzing.applications import Sender
from tests.asgiserve.fuzzing.behaviours import BEHAVIOURS, Recorder
from tests.asgiserve.fuzzing.case import Case
from tests.asgiserve.fuzzing.events import PAUSE
from tests.asgiserve.fuzzing.grammar import Stream, mutated, streams
from tests.asgiserve.fuzzing.in_process import SETTINGS, Ending, Outcome
from tests.asgiserve.fuzzing.known import is_known
from tests.asgiserve.fuzzing.oracle import State, read
from tests.asgiserve.fuzzing.profiles import PATIENCE, examples
from tests.asgiserve.fuzzing.properties import Run, judge
from tests.asgiserve.fuzzing.responses import Response
from tests.asgiserve.fuzzing.test_applications import PROGRAMS, Requests, check_sent
from tests.asgiserve.serving import Serving, serve_on

pytestmark = pytest.mark.timeout(PATIENCE)

LIMITS = {name: value for name, value in SETTINGS.items() if name.startswith("max")}


class Changing:
    """An application that is another one for each example."""

    def __init__(self) -> None:
        self.current: App = Recorder(BEHAVIOURS["reads"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.current(scope, receive, send)


class Server:
    """A server, and its application."""

    def __init__(self, serving: Serving, app: Changing) -> None:
        self._serving = serving
        self._app = app

    def serve(self, app: App, pieces: list[bytes]) -> Outcome:
        """Let `app` serve a client that sends these pieces, then closes its sending half, and reads."""
        self._app.current = app
        outcome = Outcome()
        with self._serving.connect() as client:
            with suppress(OSError):  # the server may have closed before everything is sent
                for piece in pieces:
                    client.send(piece)
                client.end()
            try:
                while data := client.read():
                    outcome.sent += data
            except ConnectionResetError:
                outcome.cut = True
        return outcome


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Server]]:
    with ExitStack() as stack:
        found = []
        for http, loop in (("httptools", "uvloop"), ("h11", "asyncio")):
            app = Changing()
            serving = serve_on(http, loop)(app, date_header=False, server_header=False, **LIMITS)
            found.append(Server(stack.enter_context(serving), app))
        yield found


def answers(responses: list[Response]) -> list[tuple[int, bytes]]:
    """What responses say, without what depends on when the end of the client's half is noticed."""
    return [(response.status, response.body) for response in responses]


@given(streams(), st.lists(st.integers(0, 600), max_size=5), st.sampled_from(["reads", "streams"]))
@examples(300)
def test_valid_requests(servers: list[Server], stream: Stream, cuts: list[int], behaviour: str) -> None:
    """Both servers answer all requests, however they are cut."""
    data, requests = stream
    assume(not is_known(Case(data, behaviour, Ending.END)))
    places = [0, *sorted({cut for cut in cuts if 0 < cut < len(data)}), len(data)]
    pieces = [data[begin:end] for begin, end in pairwise(places)]
    found = []
    for server in servers:
        run = Run(Recorder(BEHAVIOURS[behaviour]), Outcome())
        run.outcome = server.serve(run.recorder, pieces)
        found.append((run.recorder.calls, answers(judge(requests, run, Ending.END))))
        if behaviour == "reads":  # a stream ends a connection of HTTP/1.0
            assert [call.body for call in run.recorder.calls] == [request.body for request in requests]
    assert found[0] == found[1]


@given(mutated(), st.integers(0, 300))
@examples(400)
def test_mutated_requests(servers: list[Server], data: bytes, cut: int) -> None:
    """Both servers do the same: they answer what is left, refuse it, or close; none hangs."""
    assume(not is_known(Case(data, ending=Ending.END)))
    requests = read(data, SETTINGS)
    found = []
    for server in servers:
        run = Run(Recorder(BEHAVIOURS["reads"]), Outcome())
        run.outcome = server.serve(run.recorder, [piece for piece in (data[:cut], data[cut:]) if piece])
        found.append(answers(judge(requests, run, Ending.END)))
    unsure = requests and requests[-1].state is not State.COMPLETE
    assert found[0] == found[1] or (unsure and found[0][:-1] == found[1][:-1])


@given(PROGRAMS)
@examples(300)
def test_events(servers: list[Server], requests: Requests) -> None:
    """Both servers send what was right of what the application sent."""
    kinds = [kind for kind, _ in requests]
    for server in servers:
        app = Sender([[message for message in program if message != PAUSE] for _, program in requests])
        check_sent(app, server.serve(app, [b"".join(kind.data for kind in kinds)]), kinds)
