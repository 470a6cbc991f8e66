"""The websocket: acceptance, messages of each kind, and its end from either side."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import pytest

from asgiweb import (
    Application,
    ClientDisconnected,
    HeaderError,
    HTTPNotFound,
    InvalidMessage,
    WebSocket,
    WebSocketDisconnect,
    WebSocketError,
)
from tests.asgiweb.scripted import ScriptedServer, data, disconnect, text, websocket_scope

WebSocketFunction = Callable[[WebSocket], Coroutine[Any, Any, None]]


def serving(handler: WebSocketFunction) -> Application[Any]:
    app: Application[Any] = Application()
    app.router.add_websocket("/", handler)
    return app


async def run(handler: WebSocketFunction, *received: Any, **scope: Any) -> ScriptedServer:
    """Let a handler talk to a client that sends this."""
    return await ScriptedServer(*received, scope=websocket_scope(**scope)).run(serving(handler))


class TestAcceptance:
    async def test_async_with_accepts_and_closes(self) -> None:
        async def handler(ws: WebSocket) -> None:
            assert not ws.accepted
            async with ws as entered:
                assert entered is ws
                assert ws.accepted

        server = await run(handler)
        assert server.sent == [
            {"type": "websocket.accept", "subprotocol": None, "headers": []},
            {"type": "websocket.close", "code": 1000, "reason": ""},
        ]

    async def test_async_with_does_not_accept_twice(self) -> None:
        async def handler(ws: WebSocket) -> None:
            await ws.accept()
            async with ws:
                pass

        server = await run(handler)
        assert server.types == ["accept", "close"]
        assert server.sent[-1]["code"] == 1000

    async def test_who_accepts_by_hand_need_not_close(self) -> None:
        async def handler(ws: WebSocket) -> None:
            await ws.accept()

        server = await run(handler)
        assert server.types == ["accept", "close"]
        assert server.sent[-1]["code"] == 1000

    async def test_it_does_not_come_after_a_refusal(self) -> None:
        async def handler(ws: WebSocket) -> None:
            await ws.close()
            with pytest.raises(WebSocketError, match="before close"):
                async with ws:
                    pytest.fail("it was accepted")

        assert (await run(handler)).types == ["close"]

    @pytest.mark.parametrize(
        ("offered", "supported", "chosen"),
        [
            (["a", "b"], ["b", "a"], "b"),
            (["a", "b"], ["c", "a"], "a"),
            (["a"], ["b"], None),
            ([], ["b"], None),
            (["a"], [], None),
            (["a", "A"], ["A"], "A"),
        ],
    )
    async def test_the_first_subprotocol_that_the_client_offers_is_chosen(
        self, offered: list[str], supported: list[str], chosen: str | None
    ) -> None:
        async def handler(ws: WebSocket) -> None:
            assert ws.subprotocols == tuple(offered)
            await ws.accept(subprotocols=supported)
            assert ws.subprotocol == chosen

        server = await run(handler, subprotocols=offered)
        assert server.sent[0]["subprotocol"] == chosen

    async def test_a_subprotocol_that_is_no_list_is_explained(self) -> None:
        async def handler(ws: WebSocket) -> None:
            with pytest.raises(WebSocketError, match="list of names"):
                await ws.accept(subprotocols="chat")
            raise HTTPNotFound

        assert (await run(handler)).types == ["close"]

    async def test_headers_are_sent(self) -> None:
        async def handler(ws: WebSocket) -> None:
            await ws.accept(headers=[("X-A", "1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])

        assert (await run(handler)).sent[0]["headers"] == [
            (b"x-a", b"1"),
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
        ]

    @pytest.mark.parametrize(
        ("name", "value"),
        [("x", "a\r\nb"), ("a b", "1"), ("Sec-WebSocket-Protocol", "chat"), ("sec-websocket-accept", "x")],
    )
    async def test_headers_that_must_not_be_sent_are_refused_before_anything_is(
        self, name: str, value: str
    ) -> None:
        async def handler(ws: WebSocket) -> None:
            with pytest.raises(HeaderError):
                await ws.accept(headers={name: value})
            async with ws:
                pass

        assert (await run(handler)).types == ["accept", "close"]

    async def test_a_second_acceptance_is_an_error(self) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                with pytest.raises(WebSocketError, match="once"):
                    await ws.accept()

        assert (await run(handler)).types == ["accept", "close"]

    async def test_a_client_that_has_left_is_a_disconnect(self) -> None:
        async def handler(ws: WebSocket) -> None:
            server.lost = True
            with pytest.raises(WebSocketDisconnect) as caught:
                await ws.accept()
            assert caught.value.code == 1006
            assert not ws.accepted
            raise caught.value

        server = ScriptedServer()
        await server.run(serving(handler))
        assert server.sent == []

    @pytest.mark.parametrize(
        "use",
        [
            lambda ws: ws.receive(),
            lambda ws: ws.receive_text(),
            lambda ws: ws.send_text("x"),
            lambda ws: ws.send_bytes(b"x"),
            lambda ws: ws.send_json(1),
            lambda ws: anext(ws),
        ],
    )
    async def test_messages_come_after_it(self, use: Callable[[WebSocket], Any]) -> None:
        async def handler(ws: WebSocket) -> None:
            with pytest.raises(WebSocketError, match="not accepted yet"):
                await use(ws)
            async with ws:
                pass

        assert (await run(handler, text("x"))).types == ["accept", "close"]


class TestReceiving:
    async def test_async_for_yields_text_and_bytes_until_the_client_leaves(self) -> None:
        messages = []

        async def handler(ws: WebSocket) -> None:
            async with ws:
                messages.extend([message async for message in ws])
                assert (ws.close_code, ws.close_reason) == (1001, "bye")
                messages.extend([message async for message in ws])

        server = await run(
            handler, text("a"), data(b"b"), text(""), data(b""), disconnect(code=1001, reason="bye")
        )
        assert messages == ["a", b"b", "", b""]
        assert server.types == ["accept"]

    @pytest.mark.parametrize("absent", [{}, {"bytes": None}])
    async def test_a_message_has_one_kind(self, absent: dict[str, Any]) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                assert await ws.receive() == "a"

        await run(handler, {**text("a"), **absent})

    async def test_text_and_bytes_can_be_asked_for(self) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                assert await ws.receive_text() == "a"
                assert await ws.receive_bytes() == b"b"

        assert (await run(handler, text("a"), data(b"b"))).sent[-1]["code"] == 1000

    async def test_the_other_kind_is_an_invalid_message(self) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                with pytest.raises(InvalidMessage) as caught:
                    await ws.receive_bytes()
                assert caught.value.code == 1003
                await ws.receive_text()

        server = await run(handler, text("a"), data(b"b"))
        assert server.sent[-1] == {
            "type": "websocket.close",
            "code": 1003,
            "reason": "text is expected here, not binary data",
        }

    @pytest.mark.parametrize("receive", ["receive", "receive_text", "receive_bytes", "receive_json"])
    @pytest.mark.parametrize(
        ("message", "code", "reason"),
        [
            (disconnect(code=4000, reason="why"), 4000, "why"),
            (disconnect(code=1001), 1001, ""),
            (disconnect(code=None, reason=None), 1005, ""),
            (disconnect(), 1005, ""),
        ],
    )
    async def test_the_end_is_a_disconnect_each_time(
        self, receive: str, message: Any, code: int, reason: str
    ) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                for _ in range(2):
                    with pytest.raises(WebSocketDisconnect) as caught:
                        await getattr(ws, receive)()
                    assert (caught.value.code, caught.value.reason) == (code, reason)
                    assert isinstance(caught.value, ClientDisconnected)
                with pytest.raises(WebSocketDisconnect):
                    await ws.send_text("x")
                raise caught.value

        assert (await run(handler, message)).types == ["accept"]


class Move(msgspec.Struct):
    x: int
    y: int = 0


@dataclass
class Point:
    x: int


class TestJSON:
    @pytest.mark.parametrize(
        ("message", "model", "value"),
        [
            (text('{"a":[1,null]}'), Any, {"a": [1, None]}),
            (data(b'"\xc3\xa9"'), Any, "é"),
            (text('{"x":1}'), Move, Move(1, 0)),
            (text('{"x":1}'), Point, Point(1)),
            (text("[1,2]"), list[int], [1, 2]),
            (text("7"), int | str, 7),
            (text('"a"'), Literal["a", "b"], "a"),
            (text("3"), Annotated[int, msgspec.Meta(ge=3, extra={"not": "hashable"})], 3),
        ],
    )
    async def test_a_message_becomes_a_model(self, message: Any, model: Any, value: object) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                assert await ws.receive_json(model) == value

        assert (await run(handler, message)).sent[-1]["code"] == 1000

    async def test_without_a_model_it_is_what_it_is(self) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                assert await ws.receive_json() == {"x": 1}

        assert (await run(handler, text('{"x": 1}'))).sent[-1]["code"] == 1000

    @pytest.mark.parametrize(
        ("message", "reason"),
        [
            (text("{"), "not JSON: Input data was truncated"),
            (text(""), "not JSON: Input data was truncated"),
            (data(b"\xff"), "not JSON: "),
            (data(b'"\xff"'), "not JSON: "),
            (text('"\ud800"'), "not JSON: "),
            (text('{"x":"1"}'), "Expected `int`, got `str` - at `$.x`"),
            (text("[" * 100_000), "JSON that is nested too deeply"),
        ],
    )
    async def test_what_does_not_fit_closes_with_1007_and_the_reason(self, message: Any, reason: str) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                await ws.receive_json(Move if "int" in reason else Any)

        server = await run(handler, message)
        assert server.sent[-1]["code"] == 1007
        assert server.sent[-1]["reason"].startswith(reason)

    async def test_it_can_be_handled(self) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                try:
                    await ws.receive_json(Move)
                except ValueError as error:
                    await ws.send_json({"error": str(error)})

        server = await run(handler, text("1"))
        assert server.sent[1:] == [
            {"type": "websocket.send", "text": '{"error":"Expected `object`, got `int`"}'},
            {"type": "websocket.close", "code": 1000, "reason": ""},
        ]

    async def test_a_handler_may_find_a_message_invalid(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)

        async def handler(ws: WebSocket) -> None:
            async with ws:
                raise InvalidMessage("no such command", code=4400)

        assert (await run(handler)).sent[-1] == {
            "type": "websocket.close",
            "code": 4400,
            "reason": "no such command",
        }
        assert not caplog.records


class TestIterating:
    async def test_over_messages_of_one_kind_until_the_client_leaves(self) -> None:
        received: list[object] = []

        async def handler(ws: WebSocket) -> None:
            async with ws:
                of = ws.request.query["of"]
                if of == "text":
                    received.extend([text async for text in ws.iter_text()])
                elif of == "bytes":
                    received.extend([data async for data in ws.iter_bytes()])
                elif of == "models":
                    received.extend([move async for move in ws.iter_json(Move)])
                else:
                    received.extend([value async for value in ws.iter_json()])

        end = disconnect(code=1000)
        await run(handler, text("a"), text(""), end, query_string=b"of=text")
        await run(handler, data(b"a"), data(b""), end, query_string=b"of=bytes")
        await run(handler, text('{"x":1}'), data(b'{"x":2}'), end, query_string=b"of=models")
        await run(handler, text("1"), end, query_string=b"of=json")
        assert received == ["a", "", b"a", b"", Move(1), Move(2), 1]

    @pytest.mark.parametrize(("of", "code"), [("text", 1003), ("bytes", 1003), ("json", 1007)])
    async def test_over_others_is_an_invalid_message(self, of: str, code: int) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                async for _ in getattr(ws, f"iter_{of}")():
                    pass

        message = text("x") if of == "bytes" else data(b"x")
        assert (await run(handler, message)).sent[-1]["code"] == code

    async def test_can_be_left_and_gone_on_with(self) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                received: list[object] = []
                for messages in (ws, ws.iter_text(), ws.iter_text()):
                    async for message in messages:
                        received.append(message)
                        break
                await ws.send_json(received)

        server = await run(handler, text("a"), text("b"), text("c"))
        assert server.sent[1]["text"] == '["a","b","c"]'

    async def test_a_disconnect_of_another_websocket_does_not_end_it(self) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                async for _ in ws.iter_text():
                    raise WebSocketDisconnect(4000, "of another")

        assert (await run(handler, text("a"))).sent[-1]["code"] == 1000


class TestSending:
    async def test_text_bytes_and_json(self) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                await ws.send_text("a")
                await ws.send_bytes(b"b")
                await ws.send_json(Move(1, 2))
                await ws.send_text("")
                await ws.send_bytes(b"")

        server = await run(handler)
        assert server.sent[1:-1] == [
            {"type": "websocket.send", "text": "a"},
            {"type": "websocket.send", "bytes": b"b"},
            {"type": "websocket.send", "text": '{"x":1,"y":2}'},
            {"type": "websocket.send", "text": ""},
            {"type": "websocket.send", "bytes": b""},
        ]

    @pytest.mark.parametrize("use", ["send_text", "send_bytes", "send_json"])
    async def test_to_a_client_that_has_left_is_a_disconnect(self, use: str) -> None:
        server = ScriptedServer(text("sent before"), disconnect(code=4000, reason="why"))

        async def handler(ws: WebSocket) -> None:
            async with ws:
                server.lost = True
                for _ in range(2):
                    with pytest.raises(WebSocketDisconnect) as caught:
                        await getattr(ws, use)(b"x" if use == "send_bytes" else "x")
                    assert caught.value.code == 1006
                # What has come before can be read, and then the code is known.
                assert await ws.receive_text() == "sent before"
                with pytest.raises(WebSocketDisconnect):
                    await ws.receive_text()
                assert (ws.close_code, ws.close_reason) == (4000, "why")
                with pytest.raises(WebSocketDisconnect) as caught:
                    await ws.send_text("x")
                assert caught.value.code == 4000

        await server.run(serving(handler))
        assert server.types == ["accept"]

    async def test_a_disconnect_is_no_error_of_the_handler(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        server = ScriptedServer()

        async def handler(ws: WebSocket) -> None:
            async with ws:
                server.lost = True
                await ws.send_text("x")

        await server.run(serving(handler))
        assert not caplog.records

    async def test_an_oserror_of_the_handler_is_a_fault(self, caplog: pytest.LogCaptureFixture) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                raise ConnectionRefusedError("the database")

        assert (await run(handler)).sent[-1]["code"] == 1011
        assert "ConnectionRefusedError: the database" in caplog.text

    async def test_one_task_receives_while_another_sends(self) -> None:
        server = ScriptedServer()
        received = []

        async def handler(ws: WebSocket) -> None:
            async def count() -> None:
                for number in range(3):
                    await ws.send_text(f"{number}")
                server.give(disconnect(code=1000))

            async with ws, asyncio.TaskGroup() as tasks:
                tasks.create_task(count())
                received.extend([message async for message in ws])

        server.give(text("a"))
        await server.run(serving(handler))
        assert received == ["a"]
        assert server.types == ["accept", "send", "send", "send"]


class TestClosing:
    async def test_with_code_and_reason_once(self) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                await ws.close(4000, "enough")
                await ws.close(4001, "once more")
                assert (ws.close_code, ws.close_reason) == (4000, "enough")

        assert (await run(handler)).sent[1:] == [
            {"type": "websocket.close", "code": 4000, "reason": "enough"}
        ]

    async def test_nothing_comes_or_goes_after_it(self) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                await ws.close(4000, "enough")
                for use in (ws.receive(), ws.receive_json(), ws.send_text("x"), ws.send_bytes(b"x")):
                    with pytest.raises(WebSocketDisconnect) as caught:
                        await use
                    assert (caught.value.code, caught.value.reason) == (4000, "enough")
                assert [message async for message in ws] == []

        assert (await run(handler, text("x"))).types == ["accept", "close"]

    async def test_it_ends_a_task_that_receives(self) -> None:
        server = ScriptedServer()
        ends = []

        async def handler(ws: WebSocket) -> None:
            async def reading() -> None:
                try:
                    await ws.receive()
                except WebSocketDisconnect as end:
                    ends.append(end.code)

            async with ws, asyncio.TaskGroup() as tasks:
                tasks.create_task(reading())
                await asyncio.sleep(0)
                await ws.close(4000)
                # The server answers with what comes back from the client, or with nothing but the end.
                server.give(disconnect(code=1006))

        await server.run(serving(handler))
        assert ends == [4000]

    async def test_after_the_client_it_does_nothing(self) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                assert [message async for message in ws] == []
                await ws.close(4000)
                assert ws.close_code == 1001

        assert (await run(handler, disconnect(code=1001))).types == ["accept"]

    async def test_that_the_client_was_faster_does_not_matter(self) -> None:
        server = ScriptedServer()

        async def handler(ws: WebSocket) -> None:
            async with ws:
                server.lost = True
                await ws.close(4000)

        await server.run(serving(handler))
        assert server.types == ["accept"]

    @pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, -1])
    async def test_codes_that_must_not_be_sent_are_refused(self, code: int) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                with pytest.raises(WebSocketError, match=f"{code}"):
                    await ws.close(code)

        assert (await run(handler)).sent[-1]["code"] == 1000

    @pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1014, 3000, 4999])
    async def test_the_other_codes_are_sent(self, code: int) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                await ws.close(code)

        assert (await run(handler)).sent[-1]["code"] == code

    @pytest.mark.parametrize(
        ("reason", "sent"),
        [
            ("x" * 200, "x" * 123),
            ("€" * 41, "€" * 41),
            ("€" * 42, "€" * 41),
            ("xx" + "€" * 41, "xx" + "€" * 40),
            ("\ud800", "?"),
        ],
    )
    async def test_a_reason_is_cut_to_what_a_frame_holds(self, reason: str, sent: str) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                await ws.close(reason=reason)

        assert (await run(handler)).sent[-1]["reason"] == sent


class TestLeaving:
    @pytest.mark.parametrize("by_hand", [False, True])
    async def test_a_fault_closes_with_1011_and_is_logged_once(
        self, by_hand: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def handler(ws: WebSocket) -> None:
            if by_hand:
                await ws.accept()
                raise KeyError("secret")
            async with ws:
                raise KeyError("secret")

        server = await run(handler)
        assert server.sent[-1] == {"type": "websocket.close", "code": 1011, "reason": ""}
        assert [record.getMessage() for record in caplog.records] == ["websocket '/' failed"]
        assert "KeyError: 'secret'" in caplog.text

    async def test_an_http_exception_is_no_answer_any_more(self, caplog: pytest.LogCaptureFixture) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                raise HTTPNotFound("no room")

        server = await run(handler)
        assert server.types == ["accept", "close"]
        assert server.sent[-1]["code"] == 1011
        assert len(caplog.records) == 1

    async def test_what_is_handled_outside_of_the_block_is_no_fault(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def handler(ws: WebSocket) -> None:
            with pytest.raises(KeyError):
                async with ws:
                    raise KeyError

        assert (await run(handler)).sent[-1]["code"] == 1011
        assert not caplog.records

    async def test_a_fault_after_the_end_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                assert [message async for message in ws] == []
                raise KeyError

        server = await run(handler, disconnect(code=1000))
        assert server.types == ["accept"]
        assert len(caplog.records) == 1

    async def test_a_cancellation_closes_with_1001_and_goes_on(self) -> None:
        async def handler(ws: WebSocket) -> None:
            async with ws:
                await ws.receive()

        server = ScriptedServer()
        task = asyncio.create_task(server.run(serving(handler)))
        while server.types != ["accept"] or not server.receiving:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert server.sent[-1]["code"] == 1001

    @pytest.mark.parametrize(
        ("errors", "code", "logged"),
        [
            ([WebSocketDisconnect(1001)], 1000, 0),
            ([WebSocketDisconnect(1001), ClientDisconnected()], 1000, 0),
            ([ExceptionGroup("", [WebSocketDisconnect(1001)])], 1000, 0),
            ([WebSocketDisconnect(1001), InvalidMessage("no", code=4400)], 4400, 0),
            ([InvalidMessage("no", code=4400), InvalidMessage("neither")], 4400, 0),
            ([WebSocketDisconnect(1001), KeyError()], 1011, 1),
            ([ExceptionGroup("", [KeyError(), InvalidMessage("no")])], 1011, 1),
            ([HTTPNotFound()], 1011, 1),
        ],
    )
    async def test_a_group_of_tasks_means_what_its_exceptions_do(
        self, errors: list[Exception], code: int, logged: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        app: Application[Any] = Application()

        @app.websocket("/")
        async def handler(ws: WebSocket) -> None:
            async with ws:
                raise ExceptionGroup("of a TaskGroup", errors)

        server = ScriptedServer()
        await app(server.scope, server.receive, server.send)
        assert server.sent[-1]["code"] == code
        assert len(caplog.records) == logged

    async def test_a_client_that_leaves_while_a_task_sends_is_no_fault(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        server = ScriptedServer()

        async def handler(ws: WebSocket) -> None:
            async def count() -> None:
                for number in range(3):
                    await ws.send_text(f"{number}")
                server.lost = True
                await ws.send_text("to nobody")

            async with ws, asyncio.TaskGroup() as tasks:
                tasks.create_task(count())
                async for _ in ws:
                    pass

        await server.run(serving(handler))
        assert server.types == ["accept", "send", "send", "send"]
        assert not caplog.records

    async def test_a_websocket_that_is_forgotten_closes_nothing(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A coroutine that is never finished is closed by the garbage collector, and must not await."""

        async def handler(ws: WebSocket) -> None:
            async with ws:
                await ws.receive()

        server = ScriptedServer()
        coroutine = server.run(serving(handler))
        while server.types != ["accept"] or not server.receiving:
            coroutine.send(None)
            await asyncio.sleep(0)
        coroutine.close()
        assert server.types == ["accept"]
        assert not caplog.records


class TestHandshake:
    async def test_it_is_a_request(self) -> None:
        app = Application[dict[str, int]]()
        app.state = {"a": 1}
        seen = []

        @app.websocket("/rooms/{number:int}", name="room")
        async def room(ws: WebSocket[dict[str, int]], number: int) -> None:
            request = ws.request
            seen.append(
                (
                    number,
                    ws.match_info,
                    ws.state is app.state,
                    request.websocket is ws,
                    request.method,
                    str(request.url),
                    request.headers["x"],
                    request.query["q"],
                    request.cookies["c"],
                    str(request.url_for("room", number=8)),
                    await request.body(),
                    repr(ws),
                )
            )
            await ws.accept()

        scope = websocket_scope(
            "/rooms/7",
            query_string=b"q=1",
            headers=[(b"host", b"example.org"), (b"x", b"y"), (b"cookie", b"c=d")],
        )
        await ScriptedServer(scope=scope).run(app)
        assert seen == [
            (
                7,
                {"number": 7},
                True,
                True,
                "GET",
                "ws://example.org/rooms/7?q=1",
                "y",
                "1",
                "d",
                "/rooms/8",
                b"",
                "<WebSocket '/rooms/7'>",
            )
        ]
