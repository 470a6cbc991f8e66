"""Reading a request's body: limits, disconnects, and who may read it when."""

from __future__ import annotations

import asyncio

import pytest

from asgiweb import BodyConsumed, ClientDisconnected, HTTPBadRequest, HTTPContentTooLarge
from asgiweb.asgi import Message
from asgiweb.body import BodyReader
from tests.asgiweb.exchange import Exchange


def reader(
    exchange: Exchange,
    limit: int = 0,
    content_length: str | None = None,
    *,
    chunked: bool = True,
    hold: bool = False,
) -> BodyReader:
    return BodyReader(exchange.receive, limit, content_length, chunked=chunked, hold=hold)


async def collect(body: BodyReader, pieces: list[bytes]) -> None:
    async for piece in body.stream():
        pieces.append(piece)  # noqa: PERF401 - what came before an exception is kept


async def test_the_pieces_are_joined() -> None:
    assert await reader(Exchange(body=[b"ab", b"", b"c"])).read() == b"abc"


async def test_a_missing_body_is_empty() -> None:
    assert await reader(Exchange(), chunked=False).read() == b""


async def test_a_body_is_read_once_and_kept() -> None:
    exchange = Exchange(body=[b"ab", b"c"])
    body = reader(exchange)
    first = await body.read()
    assert await body.read() is first
    assert exchange.received == 2


async def test_a_body_of_one_piece_is_not_copied() -> None:
    piece = b"x" * 1000
    assert await reader(Exchange(body=[piece])).read() is piece


async def test_messages_may_leave_out_body_and_more_body() -> None:
    async def receive() -> dict[str, str]:
        return {"type": "http.request"}

    assert await BodyReader(receive, 0, None, chunked=True, hold=False).read() == b""


async def test_a_stream_yields_the_pieces_as_they_come() -> None:
    body = reader(Exchange(body=[b"ab", b"", b"c"]))
    assert [piece async for piece in body.stream()] == [b"ab", b"c"]


async def test_a_body_that_was_read_can_still_be_streamed() -> None:
    body = reader(Exchange(body=[b"ab", b"c"]))
    await body.read()
    assert [piece async for piece in body.stream()] == [b"abc"]


async def test_a_body_that_was_streamed_cannot_be_read() -> None:
    body = reader(Exchange(body=[b"ab", b"c"]))
    async for _ in body.stream():
        break
    with pytest.raises(BodyConsumed, match=r"request\.body\(\)"):
        await body.read()


async def test_a_body_that_was_streamed_cannot_be_streamed_again() -> None:
    body = reader(Exchange(body=[b"ab", b"c"]))
    assert [piece async for piece in body.stream()] == [b"ab", b"c"]
    with pytest.raises(BodyConsumed):
        assert [piece async for piece in body.stream()] == []


async def test_a_declared_length_above_the_limit_is_refused_before_anything_is_read() -> None:
    exchange = Exchange(body=[b"x" * 11])
    with pytest.raises(HTTPContentTooLarge, match="10 bytes"):
        await reader(exchange, 10, "11", chunked=False).read()
    assert exchange.received == 0


async def test_a_declared_length_of_any_number_of_digits_is_one() -> None:
    exchange = Exchange(body=[b"x" * 5])
    with pytest.raises(HTTPContentTooLarge, match="10 bytes"):
        await reader(exchange, 10, "9" * 5000, chunked=False).read()
    assert await reader(exchange, 10, "0" * 5000 + "5", chunked=False).read() == b"x" * 5


async def test_a_body_that_grows_above_the_limit_is_refused_when_it_does() -> None:
    exchange = Exchange(body=[b"x" * 6, b"x" * 6, b"x" * 6])
    with pytest.raises(HTTPContentTooLarge):
        await reader(exchange, 10).read()
    assert exchange.received == 2


@pytest.mark.parametrize("content_length", ["12", None])
async def test_a_body_above_the_limit_is_refused_again_to_who_asks_again(content_length: str | None) -> None:
    body = reader(Exchange(body=[b"x" * 6, b"x" * 6]), 10, content_length)
    for _ in range(2):
        with pytest.raises(HTTPContentTooLarge):
            await body.read()


async def test_a_stream_is_limited_too() -> None:
    pieces: list[bytes] = []
    with pytest.raises(HTTPContentTooLarge):
        await collect(reader(Exchange(body=[b"x" * 6, b"x" * 6]), 10), pieces)
    assert pieces == [b"x" * 6]


async def test_a_body_as_large_as_the_limit_is_read() -> None:
    assert len(await reader(Exchange(body=[b"x" * 10]), 10, "10").read()) == 10


async def test_no_limit_is_no_limit() -> None:
    assert len(await reader(Exchange(body=[b"x" * 5_000_000]), 0, "5000000").read()) == 5_000_000


@pytest.mark.parametrize("length", ["", "-1", "+1", "1_0", "ten", "1.0", "\u0661"])
def test_a_length_that_is_no_number_is_a_bad_request(length: str) -> None:
    with pytest.raises(HTTPBadRequest, match="Content-Length"):
        reader(Exchange(), 10, length)


async def test_a_client_that_leaves_is_never_a_shorter_body() -> None:
    body = reader(Exchange(body=[b"half of"], leaves=True))
    with pytest.raises(ClientDisconnected):
        await body.read()


async def test_a_client_that_leaves_ends_a_stream_with_an_exception() -> None:
    pieces: list[bytes] = []
    with pytest.raises(ClientDisconnected):
        await collect(reader(Exchange(body=[b"half of"], leaves=True)), pieces)
    assert pieces == [b"half of"]


async def test_a_body_that_was_cut_short_cannot_be_read_later() -> None:
    body = reader(Exchange(body=[b"half of"], leaves=True))
    for _ in range(2):
        with pytest.raises(ClientDisconnected):
            await body.read()
    with pytest.raises(BodyConsumed):
        await collect(body, [])


async def test_a_body_that_was_too_large_stays_so() -> None:
    exchange = Exchange(body=[b"x" * 6, b"x" * 6, b"x"])
    body = reader(exchange, 10)
    for _ in range(2):
        with pytest.raises(HTTPContentTooLarge):
            await body.read()
    body.limit = 0
    with pytest.raises(BodyConsumed):
        await body.read()
    assert exchange.received == 2


async def test_waiting_for_the_disconnect_takes_no_piece_of_a_body_that_is_to_come() -> None:
    exchange = Exchange(body=[b"ab"])
    body = reader(exchange, content_length="2", chunked=False)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(body.receive_disconnect(), 0.01)
    assert await body.read() == b"ab"


async def test_the_disconnect_is_seen_once_the_body_was_read() -> None:
    exchange = Exchange(body=[b"ab"])
    body = reader(exchange)
    await body.read()
    exchange.leave()
    assert (await body.receive_disconnect())["type"] == "http.disconnect"


async def test_the_disconnect_is_seen_where_there_is_no_body() -> None:
    exchange = Exchange()
    exchange.leave()
    body = reader(exchange, chunked=False)
    assert (await body.receive_disconnect())["type"] == "http.request"
    assert (await body.receive_disconnect())["type"] == "http.disconnect"


async def test_the_disconnect_is_seen_after_a_body_that_nobody_reads() -> None:
    exchange = Exchange(body=[b"ab", b"c"])
    body = reader(exchange, hold=True)
    exchange.leave()
    assert (await body.receive_disconnect())["type"] == "http.disconnect"
    assert await body.read() == b"abc"


async def test_a_body_that_is_cut_short_while_nobody_reads_it_is_still_no_shorter_body() -> None:
    body = reader(Exchange(body=[b"half of"], leaves=True), hold=True)
    assert (await body.receive_disconnect())["type"] == "http.disconnect"
    with pytest.raises(ClientDisconnected):
        await body.read()


async def test_of_a_large_body_that_nobody_reads_no_more_than_a_little_is_held() -> None:
    exchange = Exchange(body=[b"x" * 50_000] * 4)
    body = reader(exchange, hold=True)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(body.receive_disconnect(), 0.01)
    assert exchange.received == 2
    assert len(await body.read()) == 200_000


async def test_who_reads_while_the_disconnect_is_waited_for_gets_every_piece_in_order() -> None:
    exchange = Exchange(body=[b"a", b"b", b"c", b"d"])

    async def receive() -> Message:
        await asyncio.sleep(0)
        return await exchange.receive()

    body = BodyReader(receive, 0, None, chunked=True, hold=True)
    waiting = asyncio.create_task(body.receive_disconnect())
    for _ in range(3):
        await asyncio.sleep(0)
    assert exchange.received > 0
    assert await body.read() == b"abcd"
    waiting.cancel()


async def test_two_tasks_may_read_a_body_at_once() -> None:
    async def receive() -> Message:
        await asyncio.sleep(0)
        return await exchange.receive()

    exchange = Exchange(body=[b"ab", b"c"])
    body = BodyReader(receive, 0, None, chunked=True, hold=False)
    first, second = await asyncio.gather(body.read(), body.read())
    assert first == second == b"abc"


@pytest.mark.parametrize("meanwhile", [True, False])
async def test_who_is_cancelled_while_reading_leaves_the_body_to_the_next(meanwhile: bool) -> None:
    messages: asyncio.Queue[Message] = asyncio.Queue()
    body = BodyReader(messages.get, 10, None, chunked=True, hold=False)
    messages.put_nowait({"type": "http.request", "body": b"ab", "more_body": True})
    first = asyncio.create_task(body.read())
    while not messages.empty():
        await asyncio.sleep(0)
    second = asyncio.create_task(body.read()) if meanwhile else None
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    messages.put_nowait({"type": "http.request", "body": b"c"})
    assert await (body.read() if second is None else second) == b"abc"
    assert await body.read() == b"abc"
