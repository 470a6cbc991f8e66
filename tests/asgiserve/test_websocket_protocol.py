"""Frames, messages and the end of a WebSocket, rule by rule: RFC 6455, Sections 5 to 8.

Rows of tables are a name that begins with its section, and the bytes that a client sends. The application
sends every message back.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.asgiserve.applications import Message, Receive, Send
from tests.asgiserve.conftest import COMBINATIONS
from tests.asgiserve.serving import Moment, Serve, Serving, serve_on
from tests.asgiserve.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    NO_CODE,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    Frame,
    WebSocket,
    binary,
    close,
    echo,
    fragments,
    frame,
    on_websocket,
    text,
)

NORMAL, PROTOCOL_ERROR, INVALID_DATA, TOO_BIG = 1000, 1002, 1007, 1009

#: The masking keys of frames are theirs alone: Section 5.3.
OTHER_MASK = b"\xff\x00\x80\x01"

#: Both sides of each border between the forms of a length: Section 5.2.
LENGTHS = [0, 1, 124, 125, 126, 127, 128, 255, 256, 65535, 65536, 65537]

#: What is sent, and what comes back.
ANSWERED: dict[str, tuple[bytes, list[Frame]]] = {
    "6455-5.3-mask-of-zeros": (binary(b"abc", mask=b"\0\0\0\0"), [Frame(BINARY, b"abc")]),
    "6455-5.3-each-frame-has-its-mask": (
        frame(TEXT, b"abcde", fin=False) + frame(CONTINUATION, b"fghij", mask=OTHER_MASK),
        [Frame(TEXT, b"abcdefghij")],
    ),
    "6455-5.4-two-fragments": (b"".join(fragments(TEXT, b"ab", b"cd")), [Frame(TEXT, b"abcd")]),
    "6455-5.4-fragments-of-bytes": (
        b"".join(fragments(BINARY, b"\xff", b"\xfe")),
        [Frame(BINARY, b"\xff\xfe")],
    ),
    "6455-5.4-many-fragments": (b"".join(fragments(TEXT, *[b"a"] * 200)), [Frame(TEXT, b"a" * 200)]),
    "6455-5.4-empty-fragments": (b"".join(fragments(TEXT, b"", b"", b"")), [Frame(TEXT, b"")]),
    "6455-5.4-empty-first-fragment": (b"".join(fragments(TEXT, b"", b"ab")), [Frame(TEXT, b"ab")]),
    "6455-5.4-empty-fragment-between": (b"".join(fragments(TEXT, b"a", b"", b"b")), [Frame(TEXT, b"ab")]),
    "6455-5.4-empty-last-fragment": (b"".join(fragments(TEXT, b"ab", b"")), [Frame(TEXT, b"ab")]),
    "6455-5.4-large-fragments": (
        b"".join(fragments(BINARY, b"a" * 65536, b"b" * 126)),
        [Frame(BINARY, b"a" * 65536 + b"b" * 126)],
    ),
    "6455-5.4-ping-between-fragments": (
        frame(PING, b"?").join(fragments(TEXT, b"a", b"b", b"c")),
        [Frame(PONG, b"?"), Frame(PONG, b"?"), Frame(TEXT, b"abc")],
    ),
    "6455-5.4-pong-between-fragments": (
        frame(PONG, b"?").join(fragments(TEXT, b"a", b"b")),
        [Frame(TEXT, b"ab")],
    ),
    "6455-5.4-fragmented-messages-in-a-row": (
        b"".join(fragments(TEXT, b"a", b"b") + fragments(BINARY, b"c", b"d")) + text("e"),
        [Frame(TEXT, b"ab"), Frame(BINARY, b"cd"), Frame(TEXT, b"e")],
    ),
    "6455-5.5.2-ping": (frame(PING), [Frame(PONG)]),
    "6455-5.5.2-ping-with-text": (frame(PING, b"Hello"), [Frame(PONG, b"Hello")]),
    "6455-5.5.2-ping-with-bytes-that-are-no-text": (
        frame(PING, b"\x00\xff\xfe\xfd"),
        [Frame(PONG, b"\x00\xff\xfe\xfd")],
    ),
    "6455-5.5.2-longest-ping": (frame(PING, b"\xfe" * 125), [Frame(PONG, b"\xfe" * 125)]),
    "6455-5.5.3-each-ping-is-answered": (
        b"".join(frame(PING, b"%d" % number) for number in range(10)),
        [Frame(PONG, b"%d" % number) for number in range(10)],
    ),
    "6455-5.5.3-unsolicited-pong": (frame(PONG) + text("a"), [Frame(TEXT, b"a")]),
    "6455-5.5.3-unsolicited-pong-with-payload": (
        frame(PONG, b"\xfe" * 125) + frame(PING, b"?"),
        [Frame(PONG, b"?")],
    ),
    "6455-5.6-bytes-in-a-row": (
        b"".join(binary(bytes([number])) for number in range(40)),
        [Frame(BINARY, bytes([number])) for number in range(40)],
    ),
}

#: The beginning of a message, behind which a rule can be broken.
BEGUN = frame(TEXT, b"a", fin=False)

#: What fails the connection, and with which code.
FAILED: dict[str, tuple[int, bytes]] = {
    **{
        f"6455-5.2-reserved-bits-{rsv >> 4:03b}": (PROTOCOL_ERROR, text("Hello", rsv=rsv))
        for rsv in range(RSV3, RSV1 | RSV2 | RSV3 | 1, RSV3)
    },
    "6455-5.2-reserved-bit-of-an-empty-frame": (PROTOCOL_ERROR, binary(b"", rsv=RSV1)),
    "6455-5.2-reserved-bit-of-a-continuation": (PROTOCOL_ERROR, BEGUN + frame(CONTINUATION, b"b", rsv=RSV3)),
    "6455-5.2-reserved-bit-of-a-ping": (PROTOCOL_ERROR, frame(PING, b"?", rsv=RSV2)),
    "6455-5.2-reserved-bits-of-a-pong": (PROTOCOL_ERROR, frame(PONG, rsv=RSV1 | RSV2)),
    "6455-5.2-reserved-bits-of-a-close": (PROTOCOL_ERROR, close(rsv=RSV1 | RSV2 | RSV3)),
    **{
        f"6455-5.2-opcode-{opcode}{name}": (PROTOCOL_ERROR, frame(opcode, payload))
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
        for name, payload in {"": b"", "-with-payload": b"Hello"}.items()
    },
    "6455-5.2-opcode-3-within-a-message": (PROTOCOL_ERROR, BEGUN + frame(3, b"b")),
    "6455-5.1-text-is-not-masked": (PROTOCOL_ERROR, text("Hello", mask=None)),
    "6455-5.1-empty-bytes-are-not-masked": (PROTOCOL_ERROR, binary(b"", mask=None)),
    "6455-5.1-continuation-is-not-masked": (PROTOCOL_ERROR, BEGUN + frame(CONTINUATION, b"b", mask=None)),
    "6455-5.1-ping-is-not-masked": (PROTOCOL_ERROR, frame(PING, mask=None)),
    "6455-5.1-close-is-not-masked": (PROTOCOL_ERROR, close(mask=None)),
    **{
        f"6455-5.2-{size}-as-{bits}-bits": (PROTOCOL_ERROR, binary(b"a" * size, length_bits=bits))
        for size, bits in [(0, 16), (1, 16), (125, 16), (0, 64), (125, 64), (126, 64), (65535, 64)]
    },
    "6455-5.2-length-in-16-bits-of-a-ping": (PROTOCOL_ERROR, frame(PING, b"?", length_bits=16)),
    "6455-5.2-length-with-its-first-bit-set": (PROTOCOL_ERROR, frame(BINARY, length=1 << 63)),
    "6455-5.4-nothing-to-continue": (PROTOCOL_ERROR, frame(CONTINUATION, b"a")),
    "6455-5.4-nothing-to-continue-with-more": (PROTOCOL_ERROR, frame(CONTINUATION, b"a", fin=False)),
    "6455-5.4-text-within-text": (PROTOCOL_ERROR, BEGUN + text("b")),
    "6455-5.4-bytes-within-text": (PROTOCOL_ERROR, BEGUN + binary(b"b")),
    "6455-5.4-text-within-bytes": (PROTOCOL_ERROR, frame(BINARY, b"a", fin=False) + text("b")),
    "6455-5.4-beginning-within-a-beginning": (PROTOCOL_ERROR, BEGUN + BEGUN),
    "6455-5.5-fragmented-ping": (PROTOCOL_ERROR, frame(PING, b"a", fin=False) + frame(CONTINUATION, b"b")),
    "6455-5.5-fragmented-pong": (PROTOCOL_ERROR, frame(PONG, fin=False)),
    "6455-5.5-fragmented-close": (PROTOCOL_ERROR, close(fin=False)),
    "6455-5.5-fragmented-ping-within-a-message": (PROTOCOL_ERROR, BEGUN + frame(PING, fin=False)),
    "6455-5.5-ping-of-126-bytes": (PROTOCOL_ERROR, frame(PING, b"\xfe" * 126)),
    "6455-5.5-pong-of-126-bytes": (PROTOCOL_ERROR, frame(PONG, b"\xfe" * 126)),
    "6455-5.5-close-of-126-bytes": (PROTOCOL_ERROR, close(reason=b"*" * 124)),
    "6455-5.5-ping-of-65536-bytes": (PROTOCOL_ERROR, frame(PING, length=65536)),
    "6455-5.5.1-close-of-one-byte": (PROTOCOL_ERROR, frame(CLOSE, b"\x03")),
    **{
        f"6455-7.4-code-{code}": (PROTOCOL_ERROR, close(code))
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999)
    },
    "6455-5.5.1-reason-is-not-utf-8": (INVALID_DATA, close(reason=b"Hell\xff")),
    "6455-5.5.1-reason-with-a-surrogate": (INVALID_DATA, close(reason=b"\xed\xa0\x80")),
    "6455-5.5.1-reason-is-cut": (INVALID_DATA, close(reason=b"\xe2\x82")),
}

#: Characters at the borders between the lengths of UTF-8, and those that are no characters: RFC 3629.
CHARACTERS = [
    *"\x00\x7f\x80\u07ff\u0800\ud7ff\ue000\ufdd0\ufeff\ufff9\ufffd\ufffe\uffff",
    *"\U00010000\U0001ffff\U00024b62\U000fffff\U0010ffff",
]

#: The beginnings of what is not UTF-8: all of the bytes might begin a character, but for the last one.
INVALID = {
    "6455-8.1-unexpected-continuation": b"\x80",
    "6455-8.1-last-continuation-byte": b"\xbf",
    "6455-8.1-continuation-behind-a-character": b"\xce\xba\x80",
    "6455-8.1-two-bytes-are-interrupted": b"\xc3 ",
    "6455-8.1-three-bytes-are-interrupted": b"\xe2\x82 ",
    "6455-8.1-three-bytes-are-interrupted-by-a-start": b"\xe2\xe2",
    "6455-8.1-four-bytes-are-interrupted": b"\xf0\x9f\x98\xf0",
    "6455-8.1-overlong-slash": b"\xc0",
    "6455-8.1-overlong-two-bytes": b"\xc1",
    "6455-8.1-overlong-three-bytes": b"\xe0\x80",
    "6455-8.1-longest-overlong-three-bytes": b"\xe0\x9f",
    "6455-8.1-overlong-four-bytes": b"\xf0\x80",
    "6455-8.1-longest-overlong-four-bytes": b"\xf0\x8f",
    "6455-8.1-first-surrogate": b"\xed\xa0",
    "6455-8.1-last-surrogate": b"\xed\xbf",
    "6455-8.1-beyond-the-last-character": b"\xf4\x90",
    "6455-8.1-beyond-the-last-plane": b"\xf5",
    "6455-8.1-last-four-bytes": b"\xf7",
    "6455-8.1-five-bytes": b"\xf8",
    "6455-8.1-six-bytes": b"\xfc",
    "6455-8.1-impossible-fe": b"\xfe",
    "6455-8.1-impossible-ff": b"\xff",
}

#: What lacks the end of a character.
CUT = {
    "6455-8.1-cut-two-bytes": b"a\xc3",
    "6455-8.1-cut-three-bytes-after-one": b"\xe2",
    "6455-8.1-cut-three-bytes-after-two": b"a\xe2\x82",
    "6455-8.1-cut-four-bytes-after-one": b"\xf0",
    "6455-8.1-cut-four-bytes-after-three": b"a\xf0\x9f\x98",
}

#: A beginning of text, of characters of several bytes, before what is not.
KOSME = "κόσμε".encode()

MAX_SIZE = 100_000


@pytest.fixture(scope="module", params=[COMBINATIONS[0], COMBINATIONS[-1]], ids="-".join)
def server(request: pytest.FixtureRequest) -> Iterator[Serving]:
    """A server for all rows, on each parser and each loop."""
    with serve_on(*request.param)(echo, ws_max_size=MAX_SIZE) as serving:
        yield serving


@pytest.fixture
def client(server: Serving) -> Iterator[WebSocket]:
    """A WebSocket without extensions."""
    with WebSocket(server.address) as websocket:
        websocket.open()
        yield websocket


# Messages and control frames that keep the rules


@pytest.mark.parametrize("size", LENGTHS)
@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_6455_5_2_every_form_of_a_length(client: WebSocket, opcode: int, size: int) -> None:
    payload = (b"0123456789abcdefghijklmnopqrstuvwxyz." * (size // 37 + 1))[:size]
    client.send(frame(opcode, payload))
    assert client.frame() == Frame(opcode, payload)
    client.send_chopped(frame(opcode, payload), 997)
    assert client.frame() == Frame(opcode, payload)
    client.say_goodbye()


def test_6455_5_3_bytes_of_every_value(client: WebSocket) -> None:
    payload = bytes(range(256)) * 16
    client.send(binary(payload, mask=OTHER_MASK))
    assert client.message() == payload


@pytest.mark.parametrize(("data", "expected"), ANSWERED.values(), ids=ANSWERED)
def test_answered(client: WebSocket, data: bytes, expected: list[Frame]) -> None:
    """It is, as a whole and byte by byte, and the connection goes on."""
    client.send(data)
    assert [client.frame() for _ in expected] == expected
    client.send_chopped(data, max(1, len(data) // 500))
    assert [client.frame() for _ in expected] == expected
    client.say_goodbye()


def test_6455_5_2_every_split_in_two_gives_the_same_answer(client: WebSocket) -> None:
    message = "κόσμε" * 30
    payload = message.encode()
    data = (
        b"".join(fragments(TEXT, payload[:150], payload[150:152], payload[152:])) + binary(b"ab") + text("c")
    )
    for place in range(1, len(data)):
        client.send(data[:place])
        client.send(data[place:])
        assert [client.message() for _ in range(3)] == [message, b"ab", "c"]


def test_6455_5_5_2_ping_is_answered_before_the_message_around_it_ends(client: WebSocket) -> None:
    first, second, third = fragments(TEXT, b"a", b"b", b"c")
    client.send(first + frame(PING, b"1"))
    assert client.frame() == Frame(PONG, b"1")
    client.send(second + frame(PING, b"2"))
    assert client.frame() == Frame(PONG, b"2")
    client.send(third)
    assert client.message() == "abc"


# What fails the connection


@pytest.mark.parametrize(("code", "data"), FAILED.values(), ids=FAILED)
def test_failed(client: WebSocket, code: int, data: bytes) -> None:
    """The server says why, and closes; what comes behind is not looked at (Section 7.1.7)."""
    client.send(data + text("behind") + frame(PING, b"behind"))
    assert client.failed() == code


@pytest.mark.parametrize(("code", "data"), FAILED.values(), ids=FAILED)
def test_failed_behind_a_message(client: WebSocket, code: int, data: bytes) -> None:
    """An application that answers at once gets to answer what came before."""
    client.send(text("before") + data)
    assert client.message() == "before"
    assert client.failed() == code


@pytest.mark.parametrize(
    "head",
    [text("Hello", rsv=RSV2)[:2], frame(3)[:2], text("Hello", mask=None)[:2], frame(PING, length=126)[:4]],
    ids=["5.2-reserved-bit", "5.2-opcode", "5.1-not-masked", "5.5-long-ping"],
)
def test_6455_7_1_7_failed_by_a_head_alone(client: WebSocket, head: bytes) -> None:
    """What breaks a rule already is not waited for."""
    client.send(head)
    assert client.failed() == PROTOCOL_ERROR


def test_6455_7_1_7_what_came_before_the_fault_is_received(serve_twice: Serve) -> None:
    received: Moment[list[Message]] = Moment()

    async def app(receive: Receive, send: Send) -> None:
        received.happen([await receive() for _ in range(3)])

    with serve_twice(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open()
        client.send(text("a") + text("b") + text("c", rsv=RSV2) + text("d"))
        assert client.failed() == PROTOCOL_ERROR
        *messages, last = received.wait()
        assert [message["text"] for message in messages] == ["a", "b"]
        assert last["type"] == "websocket.disconnect"


# Text is UTF-8


@pytest.mark.parametrize("character", CHARACTERS, ids=[f"6455-8.1-u+{ord(each):04x}" for each in CHARACTERS])
def test_utf_8(client: WebSocket, character: str) -> None:
    """It is delivered, however it is cut."""
    data = f"a{character}b{character}".encode()
    octets = [data[place : place + 1] for place in range(len(data))]
    client.send(frame(TEXT, data) + b"".join(fragments(TEXT, *octets)))
    assert [client.frame(), client.frame()] == [Frame(TEXT, data)] * 2
    client.send_chopped(frame(TEXT, data))
    assert client.frame() == Frame(TEXT, data)


def test_6455_5_6_bytes_need_not_be_utf_8(client: WebSocket) -> None:
    client.send(b"".join(binary(data) for data in INVALID.values()))
    for data in INVALID.values():
        assert client.message() == data


@pytest.mark.parametrize("data", [*INVALID.values(), *CUT.values()], ids=[*INVALID, *CUT])
def test_not_utf_8(client: WebSocket, data: bytes) -> None:
    client.send(frame(TEXT, KOSME + data))
    assert client.failed() == INVALID_DATA


@pytest.mark.parametrize("data", [*INVALID.values(), *CUT.values()], ids=[*INVALID, *CUT])
def test_not_utf_8_in_fragments(client: WebSocket, data: bytes) -> None:
    octets = [data[place : place + 1] for place in range(len(data))]
    client.send(b"".join(fragments(TEXT, KOSME, *octets, b"")))
    assert client.failed() == INVALID_DATA


@pytest.mark.parametrize("data", INVALID.values(), ids=INVALID)
def test_not_utf_8_fails_at_once_within_a_frame(client: WebSocket, data: bytes) -> None:
    """The last byte is enough: nothing of what its frame promises besides is waited for."""
    head_and_payload = frame(TEXT, KOSME + data, length=len(KOSME + data) + 1000)
    client.send(head_and_payload[:-1])
    client.send(head_and_payload[-1:])
    assert client.failed() == INVALID_DATA


@pytest.mark.parametrize("data", INVALID.values(), ids=INVALID)
def test_not_utf_8_fails_at_once_across_fragments(client: WebSocket, data: bytes) -> None:
    """Not before the last byte, and not after it."""
    client.send(frame(TEXT, KOSME + data[:-1], fin=False) + frame(PING, b"?"))
    assert client.frame() == Frame(PONG, b"?")
    client.send(frame(CONTINUATION, data[-1:], fin=False))
    assert client.failed() == INVALID_DATA


# Closing


@pytest.mark.parametrize("code", [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999])
def test_6455_7_4_code_is_sent_back(client: WebSocket, code: int) -> None:
    client.send(close(code))
    assert client.closing()[0] == code
    assert client.closed()


@pytest.mark.parametrize("reason", [b"", b"Hello", "κόσμε".encode(), b"*" * 123], ids=len)
def test_6455_5_5_1_close_with_a_reason(client: WebSocket, reason: bytes) -> None:
    client.send(close(reason=reason))
    assert client.closing()[0] == NORMAL
    assert client.closed()


def test_6455_5_5_1_close_without_a_code(client: WebSocket) -> None:
    client.send(frame(CLOSE))
    assert client.closing()[0] in (NORMAL, NO_CODE)
    assert client.closed()


@pytest.mark.parametrize(
    "behind",
    [text("Hello"), frame(PING), close(3000), frame(3), b"\xff" * 100],
    ids=["text", "ping", "close", "fault", "garbage"],
)
def test_6455_5_5_1_nothing_counts_behind_a_close(client: WebSocket, behind: bytes) -> None:
    client.send(close() + behind)
    assert client.closing()[0] == NORMAL
    assert client.ended()


def test_6455_5_5_1_close_within_a_fragmented_message(client: WebSocket) -> None:
    first, second = fragments(TEXT, b"a", b"b")
    client.send(first + close() + second)
    assert client.closing()[0] == NORMAL
    assert client.ended()


def test_6455_5_5_1_close_byte_by_byte(client: WebSocket) -> None:
    client.send_chopped(close(3000, b"Hello"))
    assert client.closing()[0] == 3000
    assert client.closed()


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        (close(), 1000, ""),
        (close(4000, "κόσμε".encode()), 4000, "κόσμε"),
        (frame(CLOSE), 1005, ""),
        (b"", 1006, ""),
        (BEGUN, 1006, ""),
        (text("Hello")[:3], 1006, ""),
    ],
    ids=["code", "reason", "no-code", "no-close", "within-a-message", "within-a-head"],
)
def test_6455_7_1_5_code_that_the_application_gets(
    serve_twice: Serve, data: bytes, code: int, reason: str
) -> None:
    received: Moment[Message] = Moment()

    async def app(receive: Receive, send: Send) -> None:
        received.happen(await receive())

    with serve_twice(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open()
        client.send(data)
        client.end()
        assert client.ended()
        message = received.wait()
        assert message["type"] == "websocket.disconnect"
        assert (message["code"], message.get("reason") or "") == (code, reason)


def test_6455_7_1_2_server_closes(serve_twice: Serve) -> None:
    """What the client sends until it answers is not an error, and is not answered."""

    async def app(receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 4000, "reason": "κόσμε"})

    with serve_twice(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open()
        client.send(text("Hello"))
        assert client.closing() == (4000, "κόσμε")
        client.send(text("too late") + frame(PING) + BEGUN)
        client.send(close(4000))
        assert client.closed()


def test_6455_7_1_1_server_closes_the_connection_first(client: WebSocket) -> None:
    client.send(close())
    assert client.closing() == (NORMAL, "")
    assert client.closed()  # while this side is still open


# Limits


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_6455_10_4_largest_message(client: WebSocket, opcode: int) -> None:
    payload = b"a" * MAX_SIZE
    client.send(frame(opcode, payload) + b"".join(fragments(opcode, payload[:1], payload[1:])))
    assert [client.frame(), client.frame()] == [Frame(opcode, payload)] * 2


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_6455_10_4_message_is_too_large_by_its_length(client: WebSocket, opcode: int) -> None:
    """Nothing of it is waited for."""
    client.send(frame(opcode, length=MAX_SIZE + 1))
    assert client.failed() == TOO_BIG


@pytest.mark.parametrize("limit", [100, 125, 1000, 65535])
def test_6455_10_4_message_that_came_as_a_whole_is_too_large(serve_twice: Serve, limit: int) -> None:
    with serve_twice(echo, ws_max_size=limit) as server, WebSocket(server.address) as client:
        client.open()
        client.send(binary(b"a" * limit))
        assert client.message() == b"a" * limit
        client.send(binary(b"a" * (limit + 1)))
        assert client.failed() == TOO_BIG


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_6455_10_4_fragments_are_too_large_together(client: WebSocket, opcode: int) -> None:
    client.send(frame(opcode, b"a" * MAX_SIZE, fin=False) + frame(PING))
    assert client.frame() == Frame(PONG)
    client.send(frame(CONTINUATION, length=1))
    assert client.failed() == TOO_BIG


def test_6455_10_4_too_many_fragments(serve_twice: Serve) -> None:
    with serve_twice(echo, ws_max_fragments=3) as server, WebSocket(server.address) as client:
        client.open()
        client.send(b"".join(fragments(TEXT, b"a", b"", b"b")))
        assert client.message() == "ab"
        client.send(BEGUN + 2 * frame(CONTINUATION, fin=False) + frame(PING))
        assert client.frame() == Frame(PONG)
        client.send(frame(CONTINUATION))
        assert client.failed() == TOO_BIG
