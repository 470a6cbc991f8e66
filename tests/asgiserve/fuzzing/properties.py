"""What has to hold for every input, and for every way to cut it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.asgiserve.fuzzing.behaviours import BEHAVIOURS, Behaviour, Recorder
from tests.asgiserve.fuzzing.case import Case
from tests.asgiserve.fuzzing.in_process import SETTINGS, Ending, Harness, Outcome, Pace
from tests.asgiserve.fuzzing.oracle import Request, State, read
from tests.asgiserve.fuzzing.responses import NotHTTP, Response, read_responses

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

#: After these the client may be told anything or nothing.
RESETS = (Ending.RESET, Ending.RESET_AT_ONCE)
#: After these what is answered depends on how far the server has come.
AT_ONCE = (Ending.END_AT_ONCE, Ending.RESET_AT_ONCE)


@dataclass
class Run:
    """How one parser has served a case."""

    recorder: Recorder
    outcome: Outcome
    responses: list[Response] = field(default_factory=list)  # once they are judged

    @property
    def without_interim(self) -> bytes:
        """What was sent, without what depends on when the body came."""
        return self.outcome.sent.replace(CONTINUE, b"")

    def differences(self, other: Run) -> list[str]:
        """What another run of the same pieces did otherwise."""
        pairs = {
            "sent": (self.outcome.sent, other.outcome.sent),
            "logged": (self.outcome.errors, other.outcome.errors),
            "the application saw": (self.recorder.calls, other.recorder.calls),
        }
        return [f"{name} {one!r}, and {two!r}" for name, (one, two) in pairs.items() if one != two]


def run(harness: Harness, case: Case, whole: bool = False) -> Run:
    """Let one parser serve a case, cut as it says or `whole`."""
    recorder = Recorder(BEHAVIOURS[case.behaviour])
    pieces = [case.data] if whole and case.data else case.pieces
    return Run(recorder, harness.serve(recorder, pieces, case.ending, case.pace))


def check(case: Case, httptools: Harness, h11: Harness) -> None:
    """Hold both parsers against each other and the oracle, and the cut input against the whole one.

    Raises AssertionError.
    """
    requests = read(case.data, SETTINGS)
    whole = check_parsers(case, requests, httptools, h11, whole=True)
    if len(case.pieces) < 2:
        return
    cut = check_parsers(case, requests, httptools, h11, whole=False)
    if _is_the_same_however_it_is_cut(case, requests):
        message = f"{case}\n{whole}\ncut: {cut}"
        assert comparable(whole.responses) == comparable(cut.responses), message
        if cut.recorder.behaviour.waits:
            assert whole.without_interim == cut.without_interim, message
            assert whole.recorder.calls == cut.recorder.calls, message


def check_parsers(case: Case, requests: list[Request], httptools: Harness, h11: Harness, whole: bool) -> Run:
    """Hold both parsers against each other and the oracle; return what they did."""
    one, other = run(httptools, case, whole), run(h11, case, whole)
    assert not (found := one.differences(other)), f"{case}\nhttptools and h11 differ: {found}"
    try:
        one.responses = judge(requests, one, case.ending, case.pace)
    except (AssertionError, NotHTTP) as error:
        raise AssertionError(f"{case}\n{'whole' if whole else 'cut'}: {error}\n{one}") from None
    return one


def _is_the_same_however_it_is_cut(case: Case, requests: list[Request]) -> bool:
    """Not where it depends on what has come when the application answers, or the client ends."""
    timely = BEHAVIOURS[case.behaviour].waits or not any(request.expects for request in requests)
    valid = all(request.state is State.COMPLETE for request in requests)
    return valid and timely and case.ending not in AT_ONCE and case.pace is not Pace.NEVER


def comparable(responses: list[Response]) -> list[object]:
    """What responses say, without what depends on when the body came."""
    return [(response.status, response.headers, response.body, response.complete) for response in responses]


def judge(requests: list[Request], run: Run, ending: Ending, pace: Pace = Pace.FAST) -> list[Response]:
    """Hold a run against what the input means; returns the responses. Raises AssertionError, or NotHTTP."""
    behaviour = run.recorder.behaviour
    assert not run.outcome.faults, run.outcome.faults
    for line in run.outcome.errors:
        assert behaviour.logs, f"logged: {line}"
        assert behaviour.logs in line, f"logged: {line}"
    check_calls(requests, run.recorder)
    methods = [method_of(request, run.outcome.sent) for request in requests]
    responses = read_responses(run.outcome.sent, methods, run.outcome.cut or ending in RESETS)
    for number, (request, response) in enumerate(zip(requests, responses, strict=False)):
        if not response.complete and (ending in RESETS or pace is Pace.NEVER):
            break
        if response.status == behaviour.status and request.served:
            check_answer(number, request, response, behaviour)
        else:
            check_refusal(request, response, ending)
        assert len(response.interim) <= request.expects or ending in (Ending.END, Ending.END_AT_ONCE)
        assert all(interim == (100, []) for interim in response.interim)
    at_least = required(requests, behaviour, ending) if pace is not Pace.NEVER else 0
    assert len(responses) >= at_least, f"{len(responses)} responses instead of {at_least}"
    return responses


def method_of(request: Request, sent: bytes) -> str:
    """The method that a response is for; a malformed HEAD may be answered as what it is, or as malformed."""
    without_content = request.perhaps_head and sent.endswith(b"\r\n\r\n")
    return request.method or ("HEAD" if without_content else "GET")


def check_calls(requests: list[Request], recorder: Recorder) -> None:
    """The application saw requests of the input, in order, and nothing else."""
    assert len(recorder.calls) <= len(requests), "the application saw a request that nobody sent"
    for call, request in zip(recorder.calls, requests, strict=False):
        assert request.served, f"the application saw a request that is to be refused: {call}"
        assert call.scope == request.scope, f"the application saw {call}, and not {request}"
        if call.complete:
            assert request.state is State.COMPLETE, f"the application saw the end of a body: {call}"
            assert call.body == request.body, f"the application saw {call}, and not {request}"
        assert request.body.startswith(call.body), f"the application saw {call}, and not {request}"


def check_answer(number: int, request: Request, response: Response, behaviour: Behaviour) -> None:
    """It is the application's answer to this request."""
    if behaviour.waits:
        assert request.state is State.COMPLETE, f"{response} for a request that is not: {request}"
        assert response.complete, f"{response} is incomplete"
    if behaviour.status == 200 and request.method != "HEAD":
        text = b"%d %b" % (number, request.method.encode())
        assert response.body.startswith(text), f"{response} is for another request than {request}"
        if behaviour.echoes and response.complete:
            assert request.state is State.COMPLETE, f"{response} for a request that is not: {request}"
            assert response.body == text + request.body, f"{response} is not the whole answer to {request}"


def check_refusal(request: Request, response: Response, ending: Ending) -> None:
    """It is the server's own answer to this request."""
    if response.status == 100:
        assert ending is not Ending.SILENCE, f"{response} is not followed by a final one"
    else:
        assert response.status in request.refusals, f"{response} for {request}"
        assert response.complete, f"{response} is incomplete"
        assert response.closes, f"{response} does not close"
        assert response.status != 408 or ending in (Ending.SILENCE, Ending.DRAIN), (
            f"{response} waits for nothing"
        )


def required(requests: list[Request], behaviour: Behaviour, ending: Ending) -> int:
    """How many responses there have to be at least."""
    if ending in RESETS or (behaviour.status == 503 and ending is not Ending.SILENCE):
        return 0
    for number, request in enumerate(requests):
        if request.state is State.REFUSED or (request.state is State.BROKEN and behaviour.waits):
            return number + 1
        if request.state is State.BODY:
            return number + (behaviour.waits and ending is not Ending.DRAIN)
        if request.state is State.HEAD:
            return number + (ending is Ending.SILENCE)
        if behaviour.ends or request.version == "1.0" or (request.expects and not behaviour.waits):
            return number + 1  # or more
    return len(requests)
