"""Compressed messages, rule by rule: RFC 7692, permessage-deflate.

The application sends every message back. Names begin with the section of the rule.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator

import pytest

from tests.asgiserve.conftest import COMBINATIONS
from tests.asgiserve.serving import Serve, Serving, serve_on
from tests.asgiserve.websocket import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    Deflate,
    Frame,
    WebSocket,
    binary,
    close,
    echo,
    fragments,
    frame,
    text,
)

PROTOCOL_ERROR, INVALID_DATA, TOO_BIG = 1002, 1007, 1009

OFFER = "Sec-WebSocket-Extensions: permessage-deflate"

#: What is offered, and parameters that the answer has to have, each with its largest value.
ACCEPTED: dict[str, tuple[list[str], dict[str, int | None]]] = {
    "7692-7-without-parameters": ([OFFER], {}),
    "7692-7.1.1.1-server-no-context-takeover": (
        [f"{OFFER}; server_no_context_takeover"],
        {"server_no_context_takeover": None},
    ),
    "7692-7.1.1.2-client-no-context-takeover": ([f"{OFFER}; client_no_context_takeover"], {}),
    **{
        f"7692-7.1.2.1-server-max-window-bits-{bits}": (
            [f"{OFFER}; server_max_window_bits={bits}"],
            {"server_max_window_bits": bits},
        )
        for bits in range(9, 16)
    },
    "7692-7.1.2.2-client-max-window-bits": ([f"{OFFER}; client_max_window_bits"], {}),
    **{
        f"7692-7.1.2.2-client-max-window-bits-{bits}": ([f"{OFFER}; client_max_window_bits={bits}"], {})
        for bits in range(9, 16)
    },
    "7692-7.1-all-parameters": (
        [
            f"{OFFER}; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10;"
            " client_max_window_bits=11"
        ],
        {"server_no_context_takeover": None, "server_max_window_bits": 10},
    ),
    "7692-5-value-in-quotes": ([f'{OFFER}; server_max_window_bits="10"'], {"server_max_window_bits": 10}),
    "7692-5-no-spaces": ([f"{OFFER};server_max_window_bits=10"], {"server_max_window_bits": 10}),
    "7692-5-spaces": ([f"{OFFER} ;\tserver_max_window_bits=10 "], {"server_max_window_bits": 10}),
    "7692-5-first-of-several": (
        [f"{OFFER}; server_max_window_bits=10, permessage-deflate"],
        {"server_max_window_bits": 10},
    ),
    "7692-5-first-that-can-be-met": (
        [f"{OFFER}; unheard_of, permessage-deflate; server_max_window_bits=10, permessage-deflate"],
        {"server_max_window_bits": 10},
    ),
    "7692-5-in-fields-of-their-own": (
        [f"{OFFER}; unheard_of", f"{OFFER}; server_max_window_bits=10"],
        {"server_max_window_bits": 10},
    ),
    "6455-9.1-behind-an-unknown-extension": (
        ["Sec-WebSocket-Extensions: x-unheard-of; a=1; b, permessage-deflate; server_max_window_bits=10"],
        {"server_max_window_bits": 10},
    ),
}

#: Offers that are not accepted: the WebSocket opens without compression.
DECLINED: dict[str, str] = {
    "6455-9.1-unknown-extension": "Sec-WebSocket-Extensions: x-webkit-deflate-frame",
    "6455-9.1-longer-name": f"{OFFER}s",
    "7692-7.1-unknown-parameter": f"{OFFER}; unheard_of",
    "7692-7.1-unknown-parameter-with-value": f"{OFFER}; client_max_window_bits; level=9",
    **{
        f"7692-7.1-repeated-{each}": f"{OFFER}; {each}; {each}"
        for each in (
            "server_no_context_takeover",
            "client_no_context_takeover",
            "server_max_window_bits=10",
            "client_max_window_bits",
        )
    },
    "7692-7.1-repeated-with-another-value": f"{OFFER}; client_max_window_bits; client_max_window_bits=10",
    "7692-7.1.1.1-value-of-server-no-context-takeover": f"{OFFER}; server_no_context_takeover=1",
    "7692-7.1.1.2-value-of-client-no-context-takeover": f"{OFFER}; client_no_context_takeover=true",
    "7692-7.1.2.1-server-max-window-bits-without-value": f"{OFFER}; server_max_window_bits",
    **{
        f"7692-7.1.2-{side}-max-window-bits-{value}": f"{OFFER}; {side}_max_window_bits={value}"
        for side in ("server", "client")
        for value in ("0", "7", "16", "010", "1O", "+10", "10.0", '"16"')
    },
}

#: Messages as the RFC has them: the payloads of their frames, and what they say.
EXAMPLES: dict[str, tuple[list[bytes], bytes]] = {
    "7692-7.2.3.1-one-block": ([bytes.fromhex("f248cdc9c90700")], b"Hello"),
    "7692-7.2.3.1-two-fragments": ([bytes.fromhex("f248cd"), bytes.fromhex("c9c90700")], b"Hello"),
    "7692-7.2.3.3-block-without-compression": ([bytes.fromhex("000500faff48656c6c6f00")], b"Hello"),
    "7692-7.2.3.4-last-block": ([bytes.fromhex("f348cdc9c9070000")], b"Hello"),
    "7692-7.2.3.5-two-blocks": ([bytes.fromhex("f248050000 00ffffcac9c90700")], b"Hello"),
    "7692-7.2.3.6-empty-message": ([b"\0"], b""),
    "7692-7.2.3.6-empty-message-in-fragments": ([b"", b"\0", b""], b""),
    "7692-6.1-empty-fragments": (
        [b"", bytes.fromhex("f248cd"), b"", bytes.fromhex("c9c90700"), b""],
        b"Hello",
    ),
}

HELLO = bytes.fromhex("f248cdc9c90700")

#: The beginning of a compressed message.
BEGUN = frame(TEXT, HELLO[:3], fin=False, rsv=RSV1)

#: What fails a connection that compresses, and with which code.
FAILED: dict[str, tuple[int, bytes]] = {
    "7692-6-rsv1-of-a-continuation": (PROTOCOL_ERROR, BEGUN + frame(CONTINUATION, HELLO[3:], rsv=RSV1)),
    "7692-6-rsv1-of-a-continuation-of-plain-text": (
        PROTOCOL_ERROR,
        frame(TEXT, b"a", fin=False) + frame(CONTINUATION, HELLO, rsv=RSV1),
    ),
    "7692-6-rsv1-of-a-ping": (PROTOCOL_ERROR, frame(PING, HELLO, rsv=RSV1)),
    "7692-6-rsv1-of-a-pong": (PROTOCOL_ERROR, frame(PONG, rsv=RSV1)),
    "7692-6-rsv1-of-a-close": (PROTOCOL_ERROR, close(rsv=RSV1)),
    "7692-6-rsv1-of-a-ping-within-a-message": (PROTOCOL_ERROR, BEGUN + frame(PING, rsv=RSV1)),
    "6455-5.2-rsv2": (PROTOCOL_ERROR, frame(TEXT, HELLO, rsv=RSV1 | RSV2)),
    "6455-5.2-rsv3": (PROTOCOL_ERROR, frame(TEXT, HELLO, rsv=RSV1 | RSV3)),
    "7692-7.2.2-block-of-no-type": (INVALID_DATA, frame(BINARY, b"\x06\x00", rsv=RSV1)),
    "7692-7.2.2-stored-block-contradicts-itself": (INVALID_DATA, frame(BINARY, b"\0\5\0\0\0Hello", rsv=RSV1)),
    "7692-7.2.2-reference-to-nothing": (
        INVALID_DATA,
        # What stands for "Hello" behind a first "Hello": Section 7.2.3.2.
        frame(BINARY, bytes.fromhex("f200110000"), rsv=RSV1),
    ),
    "7692-7.2.2-not-compressed-at-all": (INVALID_DATA, frame(TEXT, b"\xff" * 16, rsv=RSV1)),
    "7692-7.2.2-within-a-later-fragment": (
        INVALID_DATA,
        BEGUN + frame(CONTINUATION, b"\xff" * 16, fin=False),
    ),
}

#: What compresses well, and not at all; the last ones repeat what lies farther back than small windows.
NOISE = random.Random(7692).randbytes(3000)
MESSAGES = {
    "short": b"Hello",
    "lines": b"The quick brown fox jumps over the lazy dog.\n" * 2000,
    "noise": NOISE,
    "far-references": (NOISE[:700] + NOISE[700:1000] * 3) * 10,
    "farther-references": NOISE * 4,
}

MAX_SIZE = 200_000


@pytest.fixture(scope="module", params=[COMBINATIONS[0], COMBINATIONS[-1]], ids="-".join)
def server(request: pytest.FixtureRequest) -> Iterator[Serving]:
    """A server for all rows, on each parser and each loop."""
    with serve_on(*request.param)(echo, ws_max_size=MAX_SIZE) as serving:
        yield serving


@pytest.fixture
def client(server: Serving) -> Iterator[WebSocket]:
    """A WebSocket that compresses."""
    with WebSocket(server.address) as websocket:
        websocket.open("/", OFFER)
        yield websocket


def compressing(client: WebSocket) -> Deflate:
    """What the server has agreed to."""
    assert client.deflate is not None
    return client.deflate


def exchange(client: WebSocket, message: bytes) -> int:
    """Send a compressed message, and get it back; returns the size of its payload on the way back."""
    deflate = compressing(client)
    client.send(frame(BINARY, deflate.compress(message), rsv=RSV1))
    found = client.frame()
    assert found.opcode == BINARY
    assert (deflate.decompress(found.payload) if found.rsv else found.payload) == message
    return len(found.payload)


# Negotiation


@pytest.mark.parametrize(("offers", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(server: Serving, offers: list[str], expected: dict[str, int | None]) -> None:
    """The answer keeps what the offer demands, and messages keep what the answer says."""
    with WebSocket(server.address) as client:
        client.open("/", *offers)
        agreed = compressing(client).parameters
        assert agreed.keys() >= expected.keys()
        for name, value in agreed.items():
            if name.endswith("_takeover"):
                assert value == ""
            else:
                assert 8 <= int(value) <= (expected.get(name) or 15)
        for message in (*MESSAGES.values(), *MESSAGES.values()):
            exchange(client, message)
        client.say_goodbye()


@pytest.mark.parametrize("offer", DECLINED.values(), ids=DECLINED)
def test_declined(server: Serving, offer: str) -> None:
    with WebSocket(server.address) as client:
        assert "sec-websocket-extensions" not in client.open("/", offer)
        client.send(text("Hello"))
        assert client.message() == "Hello"
        client.send(frame(TEXT, HELLO, rsv=RSV1))
        assert client.failed() == PROTOCOL_ERROR


def test_7692_5_not_offered_is_not_answered(server: Serving) -> None:
    with WebSocket(server.address) as client:
        assert "sec-websocket-extensions" not in client.open()


def test_7692_7_1_2_1_window_that_zlib_does_not_have(server: Serving) -> None:
    """A window of 256 bytes is kept, or the offer declined: Section 7.1.2.1."""
    with WebSocket(server.address) as client:
        response = client.open("/", f"{OFFER}; server_max_window_bits=8")
        if client.deflate is not None:
            assert client.deflate.parameters["server_max_window_bits"] == "8"
        assert ("sec-websocket-extensions" in response) == (client.deflate is not None)


@pytest.mark.parametrize("offer", [OFFER, f"{OFFER}; server_max_window_bits=10"], ids=["none", "others"])
def test_7692_7_1_2_2_client_that_cannot_limit_its_window_is_not_told_to(server: Serving, offer: str) -> None:
    with WebSocket(server.address) as client:
        client.open("/", offer)
        assert "client_max_window_bits" not in compressing(client).parameters


def test_7692_7_1_2_2_client_limits_its_window_no_less_than_it_said(server: Serving) -> None:
    with WebSocket(server.address) as client:
        client.open("/", f"{OFFER}; client_max_window_bits=9")
        assert int(compressing(client).parameters.get("client_max_window_bits", "9")) <= 9


def test_7692_7_1_2_2_smallest_window_of_a_client(server: Serving) -> None:
    with WebSocket(server.address) as client:
        client.open("/", f"{OFFER}; client_max_window_bits=8")
        client.send(frame(TEXT, HELLO, rsv=RSV1))
        assert client.message() == "Hello"


def test_compression_turned_off(serve_twice: Serve) -> None:
    with serve_twice(echo, ws_per_message_deflate=False) as server, WebSocket(server.address) as client:
        assert "sec-websocket-extensions" not in client.open("/", OFFER)


# Messages


@pytest.mark.parametrize(("payloads", "message"), EXAMPLES.values(), ids=EXAMPLES)
def test_example(client: WebSocket, payloads: list[bytes], message: bytes) -> None:
    """It is understood, as a whole and byte by byte, and so is what comes behind it."""
    data = b"".join(fragments(TEXT, *payloads, rsv=RSV1))
    client.send(data)
    client.send_chopped(data)
    client.send(text("plain") + frame(TEXT, HELLO, rsv=RSV1))
    assert [client.message() for _ in range(4)] == [message.decode(), message.decode(), "plain", "Hello"]
    client.say_goodbye()


def test_7692_7_2_3_2_reference_to_an_earlier_message(client: WebSocket) -> None:
    second = frame(TEXT, bytes.fromhex("f200110000"), rsv=RSV1)
    client.send(frame(TEXT, HELLO, rsv=RSV1) + second + text("plain") + second)
    assert [client.message() for _ in range(4)] == ["Hello", "Hello", "plain", "Hello"]


def test_7692_7_1_1_2_reference_to_an_earlier_message_although_not_agreed(server: Serving) -> None:
    """Once the server has agreed that each message stands alone, there is nothing to refer to."""
    with WebSocket(server.address) as client:
        client.open("/", f"{OFFER}; client_no_context_takeover")
        assert "client_no_context_takeover" in compressing(client).parameters
        client.send(frame(TEXT, HELLO, rsv=RSV1))
        assert client.message() == "Hello"
        client.send(frame(TEXT, bytes.fromhex("f200110000"), rsv=RSV1))
        assert client.failed() == INVALID_DATA


def test_7692_6_1_server_compresses(client: WebSocket) -> None:
    message = MESSAGES["lines"]
    assert exchange(client, message) < len(message) / 20


def test_7692_7_1_1_1_server_refers_to_earlier_messages_unless_asked_not_to(server: Serving) -> None:
    sizes = {}
    for offer in (OFFER, f"{OFFER}; server_no_context_takeover"):
        with WebSocket(server.address) as client:
            client.open("/", offer)
            exchange(client, NOISE[:1000])
            sizes[offer] = exchange(client, NOISE[:1000])
    kept, forgotten = sizes.values()
    assert kept < 100
    assert forgotten > 900


def test_7692_6_1_many_fragments(client: WebSocket) -> None:
    message = MESSAGES["lines"]
    payload = compressing(client).compress(message)
    octets = [payload[place : place + 1] for place in range(len(payload))]
    client.send(b"".join(fragments(TEXT, *octets, rsv=RSV1)))
    assert client.message() == message.decode()


def test_7692_6_1_control_frames_between_fragments(client: WebSocket) -> None:
    client.send(frame(PING, b"?").join(fragments(TEXT, HELLO[:3], HELLO[3:5], HELLO[5:], rsv=RSV1)))
    assert [client.frame(), client.frame()] == [Frame(PONG, b"?")] * 2
    assert client.message() == "Hello"


# What fails the connection


@pytest.mark.parametrize(("code", "data"), FAILED.values(), ids=FAILED)
def test_failed(client: WebSocket, code: int, data: bytes) -> None:
    client.send(data + text("behind"))
    assert client.failed() == code


@pytest.mark.parametrize("data", [b"\x80", b"a\xc3", b"\xed\xa0\x80", b"\xf4\x90"], ids=bytes.hex)
def test_6455_8_1_compressed_text_is_not_utf_8(client: WebSocket, data: bytes) -> None:
    client.send(frame(TEXT, compressing(client).compress(data), rsv=RSV1))
    assert client.failed() == INVALID_DATA


def test_6455_8_1_compressed_text_fails_at_once(client: WebSocket) -> None:
    """What was compressed can be read so far: its message is not waited for."""
    deflate = zlib.compressobj(wbits=-15)
    payload = deflate.compress("κόσμε".encode()) + deflate.flush(zlib.Z_SYNC_FLUSH)
    client.send(frame(TEXT, payload, fin=False, rsv=RSV1) + frame(PING, b"?"))
    assert client.frame() == Frame(PONG, b"?")
    payload = deflate.compress(b"\xff") + deflate.flush(zlib.Z_SYNC_FLUSH)
    client.send(frame(CONTINUATION, payload, length=len(payload) + 1000))
    assert client.failed() == INVALID_DATA


# Limits


def zeros(size: int) -> bytes:
    """The payload of a message of so many zeros."""
    return Deflate("permessage-deflate").compress(bytes(size))


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_7692_8_largest_message(client: WebSocket, opcode: int) -> None:
    client.send(frame(opcode, zeros(MAX_SIZE), rsv=RSV1))
    message = client.message()
    assert len(message) == MAX_SIZE


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
@pytest.mark.parametrize("size", [MAX_SIZE + 1, 100 * MAX_SIZE], ids=["one-byte", "bomb"])
def test_7692_8_message_is_too_large(client: WebSocket, opcode: int, size: int) -> None:
    """Its size counts as the application would get it."""
    client.send(frame(opcode, zeros(size), rsv=RSV1))
    assert client.failed() == TOO_BIG


def test_7692_8_fragments_are_too_large_together(client: WebSocket) -> None:
    """Nothing behind that point is waited for."""
    payload = zeros(2 * MAX_SIZE)
    pieces = [payload[place : place + 10] for place in range(0, len(payload), 10)]
    client.send(b"".join(fragments(BINARY, *pieces, b"", rsv=RSV1)[:-2]))
    assert client.failed() == TOO_BIG


def test_7692_8_uncompressed_message_is_too_large(client: WebSocket) -> None:
    client.send(binary(b"", length=MAX_SIZE + 1))
    assert client.failed() == TOO_BIG
