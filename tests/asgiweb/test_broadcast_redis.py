"""A broadcast over a real Redis server: for several processes, and while that server comes and goes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar

import msgspec
import pytest
from redis.asyncio import Redis

from asgiweb import Broadcast, BroadcastError, BroadcastUnavailable, MessagesLost, Subscription
from asgiweb.broadcast.redis import Codec, RedisBroadcast
from tests.redis_server import RedisServer, needs_redis, redis_server

pytestmark = needs_redis

T = TypeVar("T")

#: Seconds for what the event loop or Redis does at once, on a busy machine.
PATIENCE = 30.0


@pytest.fixture(scope="module")
def shared_server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
async def server(shared_server: RedisServer) -> RedisServer:
    """A server that runs, and has no connections any more from the test before."""
    if not shared_server.running:
        shared_server.start()
    await eventually(lambda: unconnected(shared_server))
    return shared_server


@pytest.fixture(autouse=True)
def no_faults(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing fails out of sight, to be made good by a new connection."""
    yield
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.fixture
async def broadcast(server: RedisServer) -> AsyncIterator[RedisBroadcast[str]]:
    async with RedisBroadcast.from_url(server.url, str) as broadcast:
        yield broadcast


async def eventually(condition: Callable[[], Awaitable[bool] | bool]) -> None:
    """Wait until it is true."""
    async with asyncio.timeout(PATIENCE):
        while True:
            result = condition()
            if result if isinstance(result, bool) else await result:
                return
            await asyncio.sleep(0.01)


async def channels(server: RedisServer) -> set[str]:
    """What anybody is subscribed to."""
    return set((await asyncio.to_thread(server.command, "PUBSUB", "CHANNELS")).split())


async def connections(server: RedisServer, kind: str) -> list[str]:
    """The ids of its connections, "normal" or "pubsub", without that which asks."""
    listed = await asyncio.to_thread(server.command, "CLIENT", "LIST", "TYPE", kind)
    return [line.split()[0] for line in listed.splitlines() if "cmd=client" not in line]


async def unconnected(server: RedisServer) -> bool:
    """Whether nobody is connected."""
    return not await connections(server, "pubsub") and not await connections(server, "normal")


async def subscribed(server: RedisServer, *names: str) -> bool:
    """Whether these are all the channels that anybody is subscribed to."""
    return await channels(server) == set(names)


async def publishable(broadcast: Broadcast[str], topic: str, messages: Subscription[str]) -> None:
    """Publish until a message comes back: Redis is there again, and the subscription, too."""

    async def came_back() -> bool:
        try:
            await broadcast.publish(topic, "ping")
        except BroadcastUnavailable:
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                return await anext(messages) == "ping"
        return False

    await eventually(came_back)


class TestDelivery:
    async def test_all_processes_get_each_message_in_one_order(self, server: RedisServer) -> None:
        async with (
            RedisBroadcast.from_url(server.url, str) as one,
            RedisBroadcast.from_url(server.unix_url, str) as other,
            one.subscribe("a") as first,
            one.subscribe("a", "b") as second,
            other.subscribe("a") as third,
        ):
            publishing = (
                broadcast.publish("a", f"{name} {number}")
                for number in range(20)
                for name, broadcast in (("one", one), ("other", other))
            )
            await asyncio.gather(*publishing)
            got = [[await anext(messages) for _ in range(40)] for messages in (first, second, third)]
            assert got[0] == got[1] == got[2]
            for name in ("one", "other"):  # and what a process publishes keeps its order
                assert [text for text in got[0] if text.startswith(name + " ")] == [
                    f"{name} {number}" for number in range(20)
                ]

    async def test_another_process_publishes_and_hears(self, server: RedisServer) -> None:
        program = f"""
import asyncio
from asgiweb.broadcast.redis import RedisBroadcast

async def main():
    async with RedisBroadcast.from_url({server.url!r}, str) as broadcast:
        async with broadcast.subscribe("questions") as questions:
            await broadcast.publish("answers", "ready")
            async for question in questions:
                await broadcast.publish("answers", question.upper())
                break

asyncio.run(main())
"""
        async with (
            RedisBroadcast.from_url(server.url, str) as broadcast,
            broadcast.subscribe("answers") as answers,
        ):
            process = subprocess.Popen([sys.executable, "-c", program])
            try:
                assert await anext(answers) == "ready"
                await broadcast.publish("questions", "what?")
                assert await anext(answers) == "WHAT?"
                assert await asyncio.to_thread(process.wait, PATIENCE) == 0
            finally:
                process.kill()
                process.wait()

    async def test_a_burst_is_not_too_much_for_who_keeps_up(self, server: RedisServer) -> None:
        async with (
            RedisBroadcast.from_url(server.url, str, limit=1) as broadcast,
            broadcast.subscribe("a") as messages,
        ):
            numbers = [str(number) for number in range(500)]

            async def read() -> list[str]:
                found: list[str] = []
                async for message in messages:
                    found.append(message)
                    if len(found) == len(numbers):
                        break
                return found

            reading = asyncio.create_task(read())
            await asyncio.gather(*(broadcast.publish("a", number) for number in numbers))
            assert await reading == numbers

    @pytest.mark.parametrize("overflow", ["drop", "disconnect"])
    async def test_slow_subscribers_are_bounded_as_in_one_process(
        self, server: RedisServer, overflow: Any
    ) -> None:
        async with (
            RedisBroadcast.from_url(server.url, str, limit=2, overflow=overflow) as broadcast,
            broadcast.subscribe("a") as slow,
            broadcast.subscribe("b") as other,
        ):
            for number in range(5):
                await broadcast.publish("a", str(number))
            await broadcast.publish("b", "the end")
            assert await anext(other) == "the end"
            if overflow == "drop":
                assert [await anext(slow), await anext(slow), slow.dropped] == ["3", "4", 3]
            else:
                with pytest.raises(MessagesLost):
                    await anext(slow)

    async def test_a_subscription_is_confirmed_when_it_begins(self, server: RedisServer) -> None:
        async with (
            RedisBroadcast.from_url(server.url, str) as here,
            RedisBroadcast.from_url(server.url, str) as there,
        ):
            for number in range(100):  # also right after the last one has left the topic
                async with here.subscribe("a") as messages, asyncio.timeout(PATIENCE):
                    await there.publish("a", str(number))
                    assert await anext(messages) == str(number)

    async def test_a_topic_that_was_left_is_subscribed_to_again(
        self, server: RedisServer, broadcast: RedisBroadcast[str]
    ) -> None:
        for pauses in range(10):  # between the leaving and Redis' answer to it
            async with broadcast.subscribe("a") as messages:
                await broadcast.publish("a", str(pauses))
                assert await anext(messages) == str(pauses)
            for _ in range(pauses):
                await asyncio.sleep(0)
        await eventually(lambda: subscribed(server))
        with server.paused():
            subscription = broadcast.subscribe("a")
            subscribing = asyncio.ensure_future(subscription.__aenter__())
            await asyncio.sleep(0.05)
            assert not subscribing.done()
        await subscribing
        await subscription.__aexit__(None, None, None)

    async def test_topics_and_prefixes_may_be_any_text(self, server: RedisServer) -> None:
        async with (
            RedisBroadcast.from_url(server.url, str, prefix="ä:") as broadcast,
            broadcast.subscribe("räume/*", "") as messages,
        ):
            assert await channels(server) == {"ä:räume/*", "ä:"}
            await broadcast.publish("räume/x", "nobody")
            await broadcast.publish("räume/*", "one")
            await broadcast.publish("", "two")
            assert [await anext(messages), await anext(messages)] == ["one", "two"]

    async def test_text_that_no_bytes_are_for_harms_nobody_else(self, broadcast: RedisBroadcast[str]) -> None:
        async with broadcast.subscribe("a") as messages:
            for use in (broadcast.publish("\ud800", ""), broadcast.publish("a", "\ud800")):
                with pytest.raises(UnicodeEncodeError):
                    await use
            with pytest.raises(UnicodeEncodeError):
                await broadcast.subscribe("\ud800").__aenter__()
            await broadcast.publish("a", "0")
            assert (await anext(messages), messages.interruptions) == ("0", 0)

    async def test_another_prefix_is_another_world(self, server: RedisServer) -> None:
        async with (
            RedisBroadcast.from_url(server.url, str, prefix="x:") as one,
            RedisBroadcast.from_url(server.url, str, prefix="y:") as other,
            one.subscribe("a") as messages,
        ):
            await other.publish("a", "from the other")
            await one.publish("a", "from this one")
            assert await anext(messages) == "from this one"

    @pytest.mark.parametrize(
        "query", ["?protocol=3", "?decode_responses=yes", "?protocol=3&health_check_interval=1"]
    )
    async def test_options_of_the_client_do_not_matter(self, server: RedisServer, query: str) -> None:
        async with (
            RedisBroadcast.from_url(server.url + query, bytes) as broadcast,
            broadcast.subscribe("a") as messages,
        ):
            await broadcast.publish("a", b"\xff\r\n")
            assert await anext(messages) == b"\xff\r\n"

    async def test_a_client_of_ones_own_making(self, server: RedisServer) -> None:
        made: list[Redis] = []

        def connect() -> Redis:
            made.append(Redis(host="127.0.0.1", port=server.port))
            return made[-1]

        broadcast = RedisBroadcast(connect, str)
        for _ in range(2):
            async with broadcast, broadcast.subscribe("a") as messages:
                await broadcast.publish("a", "0")
                assert await anext(messages) == "0"
        assert len(made) == 2


class Joined(msgspec.Struct, tag=True):
    """A message of a type."""

    name: str


class Left(msgspec.Struct, tag=True):
    """Another one."""

    name: str


class TestCodecs:
    async def exchange(self, server: RedisServer, kind: type[T] | Codec[T], *messages: T) -> list[T]:
        async with RedisBroadcast.from_url(server.url, kind) as broadcast, broadcast.subscribe("a") as found:
            for message in messages:
                await broadcast.publish("a", message)
            return [await anext(found) for _ in messages]

    async def test_text_and_bytes_are_as_they_are(self, server: RedisServer) -> None:
        assert await self.exchange(server, str, "", "é\0") == ["", "é\0"]
        assert await self.exchange(server, bytes, b"", b"\xff\0") == [b"", b"\xff\0"]

    async def test_other_types_are_json(self, server: RedisServer) -> None:
        assert await self.exchange(server, Joined, Joined("Ada")) == [Joined("Ada")]
        assert await self.exchange(server, dict[str, int], {"a": 1}) == [{"a": 1}]

    async def test_a_union_is_json(self, server: RedisServer) -> None:
        codec: Codec[Joined | Left] = Codec.json(Joined | Left)
        assert await self.exchange(server, codec, Joined("Ada"), Left("Ada")) == [Joined("Ada"), Left("Ada")]

    async def test_a_codec_of_ones_own(self, server: RedisServer) -> None:
        assert await self.exchange(server, Codec(lambda number: b"%d" % number, int), 7) == [7]

    async def test_what_is_no_message_is_logged_and_left_out(
        self, server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with (
            RedisBroadcast.from_url(server.url, Joined) as broadcast,
            broadcast.subscribe("a") as messages,
        ):
            for foreign in ("{", '{"type": "Joined", "name": 1}'):
                await asyncio.to_thread(server.command, "PUBLISH", "a", foreign)
            await broadcast.publish("a", Joined("Ada"))
            assert (await anext(messages), messages.interruptions) == (Joined("Ada"), 0)
        assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
        assert "no message to 'a'" in caplog.text


class TestConnections:
    async def test_all_subscriptions_share_one_and_all_publications_another(
        self, server: RedisServer, broadcast: RedisBroadcast[str]
    ) -> None:
        async with contextlib.AsyncExitStack() as stack:
            for number in range(50):
                await stack.enter_async_context(broadcast.subscribe(str(number), "all"))
            await asyncio.gather(*(broadcast.publish("all", "0") for _ in range(50)))
            assert len(await connections(server, "pubsub")) == 1
            assert len(await connections(server, "normal")) == 1
            assert await channels(server) == {*map(str, range(50)), "all"}
        await eventually(lambda: subscribed(server))

    async def test_a_topic_stays_as_long_as_somebody_is_subscribed(
        self, server: RedisServer, broadcast: RedisBroadcast[str]
    ) -> None:
        async with broadcast.subscribe("a") as messages:
            async with broadcast.subscribe("a", "b"):
                pass
            await eventually(lambda: subscribed(server, "a"))
            await broadcast.publish("a", "0")
            assert await anext(messages) == "0"

    async def test_leaving_it_ends_iterations_and_leaves_nothing_behind(self, server: RedisServer) -> None:
        async def read(messages: Subscription[str]) -> list[str]:
            return [message async for message in messages]

        before = asyncio.all_tasks()
        async with contextlib.AsyncExitStack() as stack:
            async with RedisBroadcast.from_url(server.url, str) as broadcast:
                messages = await stack.enter_async_context(broadcast.subscribe("a"))
                reading = asyncio.create_task(read(messages))
                await broadcast.publish("a", "0")
            assert await reading in ([], ["0"])  # which may have been on its way
            assert asyncio.all_tasks() == before
        await eventually(lambda: unconnected(server))
        with pytest.raises(BroadcastError, match="async with"):
            await broadcast.publish("a", "0")

    async def test_where_there_is_no_redis_it_cannot_be_entered(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))  # and nobody listens
            broadcast = RedisBroadcast.from_url(f"redis://127.0.0.1:{probe.getsockname()[1]}", str)
            before = asyncio.all_tasks()
            for _ in range(2):
                with pytest.raises(BroadcastUnavailable, match="cannot be reached"):
                    await broadcast.__aenter__()
            assert asyncio.all_tasks() == before

    async def test_a_subscriber_that_is_cancelled_before_the_confirmation_is_gone(
        self, server: RedisServer, broadcast: RedisBroadcast[str]
    ) -> None:
        async def subscribe() -> None:
            async with broadcast.subscribe("b"):
                pass

        async with broadcast.subscribe("a") as messages:
            before = await connections(server, "pubsub")
            with server.paused():
                waiting = asyncio.create_task(subscribe())
                await asyncio.sleep(0.01)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
            await broadcast.publish("a", "0")
            assert await anext(messages) == "0"
            await eventually(lambda: subscribed(server, "a"))
            assert await connections(server, "pubsub") == before

    async def test_a_publisher_that_is_cancelled_harms_nobody_else(
        self, server: RedisServer, broadcast: RedisBroadcast[str]
    ) -> None:
        async with broadcast.subscribe("a") as messages:
            with server.paused():
                first, second = (asyncio.create_task(broadcast.publish("a", text)) for text in ("0", "1"))
                await asyncio.sleep(0.05)
                first.cancel()
            await second
            with pytest.raises(asyncio.CancelledError):
                await first
            assert [await anext(messages), await anext(messages)] == ["0", "1"]

    async def test_it_works_from_its_entering_to_its_leaving(self, server: RedisServer) -> None:
        broadcast = RedisBroadcast.from_url(server.url, str)
        for use in (broadcast.publish("a", "0"), broadcast.subscribe("a").__aenter__()):
            with pytest.raises(BroadcastError, match="async with"):
                await use
        async with broadcast:
            for use in (broadcast.publish("a", "0"), broadcast.subscribe("a").__aenter__()):
                with pytest.raises(BroadcastError, match="another event loop"):
                    await asyncio.to_thread(asyncio.run, use)

    async def test_what_redis_refuses_is_an_error_of_who_asks(self, server: RedisServer) -> None:
        rules = ("on", "nopass", "resetchannels", "&allowed:*", "+@all")
        await asyncio.to_thread(server.command, "ACL", "SETUSER", "limited", *rules)
        async with (
            RedisBroadcast.from_url(server.url, str, username="limited", password="x") as broadcast,
            broadcast.subscribe("allowed:a") as messages,
        ):
            with pytest.raises(BroadcastUnavailable, match="refuses the topic 'secret'"):
                await broadcast.subscribe("allowed:b", "secret").__aenter__()
            published = await asyncio.gather(
                broadcast.publish("secret", "0"), broadcast.publish("allowed:a", "1"), return_exceptions=True
            )
            assert [type(result) for result in published] == [BroadcastUnavailable, type(None)]
            assert (await anext(messages), messages.interruptions) == ("1", 0)


class TestOutages:
    async def test_subscriptions_survive_a_restart(self, server: RedisServer) -> None:
        async with (
            RedisBroadcast.from_url(server.url, str, overflow="drop") as broadcast,
            broadcast.subscribe("a") as a,
            broadcast.subscribe("a", "b") as b,
        ):
            await broadcast.publish("b", "before")
            assert await anext(b) == "before"
            await asyncio.to_thread(server.kill)
            await eventually(lambda: a.interruptions == 1)
            with pytest.raises(BroadcastUnavailable, match="does not answer"):
                await broadcast.publish("a", "lost")
            await asyncio.to_thread(server.start)
            await publishable(broadcast, "a", a)
            assert await channels(server) == {"a", "b"}
            assert len(await connections(server, "pubsub")) == 1
            await broadcast.publish("b", "after")
            while (found := await anext(b)) != "after":
                assert found == "ping"
            assert (a.interruptions, b.interruptions, a.dropped) == (1, 1, 0)

    async def test_a_lost_connection_alone_is_made_again(
        self, server: RedisServer, broadcast: RedisBroadcast[str]
    ) -> None:
        for kind in ("pubsub", "normal"):
            async with broadcast.subscribe("a") as messages, broadcast.subscribe("b"):
                await broadcast.publish("a", "0")
                assert await anext(messages) == "0"
                waiting = asyncio.ensure_future(anext(messages))
                await asyncio.to_thread(server.command, "CLIENT", "KILL", "TYPE", kind)
                if kind == "pubsub":
                    with pytest.raises(MessagesLost, match="the connection to Redis was lost"):
                        await waiting
                    async with broadcast.subscribe("a") as others:
                        await publishable(broadcast, "a", others)
                    with pytest.raises(MessagesLost):  # also when the next ones come
                        await anext(messages)
                else:
                    waiting.cancel()
            async with broadcast.subscribe("a") as messages:
                await publishable(broadcast, "a", messages)

    @pytest.mark.parametrize("overflow", ["drop", "disconnect"])
    @pytest.mark.parametrize(
        ("noticed", "topic"), [(False, "b"), (True, "b"), (True, "a")], ids=["unnoticed", "new", "of others"]
    )
    async def test_subscribing_during_an_outage_waits_for_its_end(
        self, server: RedisServer, overflow: Any, noticed: bool, topic: str
    ) -> None:
        async def subscribe(broadcast: RedisBroadcast[str]) -> list[object]:
            async with asyncio.timeout(PATIENCE), broadcast.subscribe(topic) as messages:
                await broadcast.publish(topic, "0")
                return [await anext(messages), messages.interruptions]

        connect = RedisBroadcast.from_url(server.url, str, timeout=PATIENCE, overflow=overflow)
        async with connect as broadcast, broadcast.subscribe("a") as messages:
            await asyncio.to_thread(server.kill)
            if noticed:
                await eventually(lambda: messages.interruptions == 1)
            waiting = asyncio.create_task(subscribe(broadcast))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            await asyncio.to_thread(server.start)
            assert await waiting == ["0", 0]
            # The answers of the new connection are those to what it was asked.
            await eventually(lambda: subscribed(server, "a"))
            assert await subscribe(broadcast) == ["0", 0]

    async def test_answers_that_a_connection_owes_when_it_is_lost_are_not_waited_for(
        self, server: RedisServer
    ) -> None:
        connect = RedisBroadcast.from_url(server.url, str, timeout=PATIENCE, overflow="drop")
        async with (
            connect as broadcast,
            broadcast.subscribe("a") as messages,
            contextlib.AsyncExitStack() as stack,
        ):
            with server.paused():
                waiting = asyncio.create_task(stack.enter_async_context(broadcast.subscribe("b")))
                await asyncio.sleep(0.05)
                await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            others = await waiting
            for topic in ("c", "d"):
                async with broadcast.subscribe(topic):
                    assert await channels(server) == {"a", "b", topic}
                await eventually(lambda: subscribed(server, "a", "b"))
            await broadcast.publish("a", "0")
            assert [await anext(messages), messages.interruptions, others.interruptions] == ["0", 1, 0]

    async def test_subscribing_during_a_long_outage_fails(self, server: RedisServer) -> None:
        async with RedisBroadcast.from_url(server.url, str, timeout=0.3) as broadcast:
            await asyncio.to_thread(server.kill)
            with pytest.raises(BroadcastUnavailable, match="does not confirm"):
                await broadcast.subscribe("b").__aenter__()
            listener = broadcast._listener  # which keeps nothing of it, however long the outage lasts
            await eventually(lambda: not listener._subscribed and not listener._changes)

    async def test_a_redis_that_hangs_is_not_waited_for(self, server: RedisServer) -> None:
        async with (
            RedisBroadcast.from_url(server.url, str, timeout=1, socket_timeout=None) as broadcast,
            broadcast.subscribe("a") as messages,
        ):
            with server.paused():
                publishing = (broadcast.publish("a", "0"), broadcast.publish("a", "1"))
                results = await asyncio.gather(*publishing, return_exceptions=True)
                assert [type(result) for result in results] == [BroadcastUnavailable] * 2
                with pytest.raises(
                    BroadcastUnavailable, match="does not confirm the subscription to \\('b',"
                ):
                    await broadcast.subscribe("b").__aenter__()
            await broadcast.publish("a", "2")
            while await anext(messages) != "2":
                pass  # nobody can know whether it got these
            assert messages.interruptions == 0

    async def test_leaving_it_during_an_outage(self, server: RedisServer) -> None:
        before = asyncio.all_tasks()
        async with contextlib.AsyncExitStack() as stack:
            async with RedisBroadcast.from_url(server.url, str, overflow="drop") as broadcast:
                messages = await stack.enter_async_context(broadcast.subscribe("a"))
                await asyncio.to_thread(server.kill)
                await eventually(lambda: messages.interruptions == 1)
            assert [message async for message in messages] == []
            assert asyncio.all_tasks() == before

    async def test_who_waits_for_redis_when_it_is_left_waits_no_longer(self, server: RedisServer) -> None:
        broadcast = RedisBroadcast.from_url(server.url, str, timeout=PATIENCE)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(broadcast)
            with server.paused():
                waiting = [
                    asyncio.ensure_future(use)
                    for use in (broadcast.subscribe("b").__aenter__(), broadcast.publish("a", "0"))
                ]
                await asyncio.sleep(0.05)
                waiting.append(asyncio.ensure_future(broadcast.publish("a", "1")))  # in the next batch
                await asyncio.sleep(0.05)
                await stack.aclose()
                done = await asyncio.gather(*waiting, return_exceptions=True)
                assert [type(error) for error in done] == [BroadcastError] * 3


async def test_who_leaves_at_once_leaves_no_connection_open(server: RedisServer) -> None:
    async with RedisBroadcast.from_url(server.url, str):
        pass
    gc.collect()  # which would complain of what nobody has closed
    await eventually(lambda: unconnected(server))
