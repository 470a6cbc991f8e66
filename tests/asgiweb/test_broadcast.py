"""A broadcast in one process: who gets what, how slow subscribers end, and that nothing is kept."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from contextlib import AsyncExitStack

import pytest

from asgiweb import Broadcast, BroadcastError, MessagesLost, Subscription


class Message:
    """What can be seen to be freed."""


async def ready(messages: Subscription[str]) -> list[str]:
    """The messages that wait already."""
    found = []
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(0):
                found.append(await anext(messages))
    return found


class TestDelivery:
    async def test_everybody_gets_each_message_in_the_order_of_publication(self) -> None:
        async with Broadcast[str]() as broadcast, AsyncExitStack() as stack:
            all_messages = [await stack.enter_async_context(broadcast.subscribe("a")) for _ in range(3)]
            for number in range(5):
                await broadcast.publish("a", str(number))
            for messages in all_messages:
                assert await ready(messages) == ["0", "1", "2", "3", "4"]

    async def test_a_topic_is_for_those_who_are_subscribed_to_it(self) -> None:
        async with (
            Broadcast[str]() as broadcast,
            broadcast.subscribe("a") as a,
            broadcast.subscribe("b") as b,
        ):
            await broadcast.publish("a", "for a")
            await broadcast.publish("b", "for b")
            await broadcast.publish("", "for nobody")
            assert (await ready(a), await ready(b)) == (["for a"], ["for b"])

    async def test_several_topics_in_one_subscription(self) -> None:
        async with Broadcast[str]() as broadcast, broadcast.subscribe("a", "b", "a") as messages:
            assert messages.topics == ("a", "b", "a")
            for topic in ("a", "b", "a", "c"):
                await broadcast.publish(topic, topic)
            assert await ready(messages) == ["a", "b", "a"]

    async def test_what_was_published_before_or_after_is_not_delivered(self) -> None:
        async with Broadcast[str]() as broadcast:
            await broadcast.publish("a", "before")
            async with broadcast.subscribe("a") as messages:
                pass
            await broadcast.publish("a", "after")
            assert [message async for message in messages] == []

    async def test_a_subscriber_that_waits_is_woken(self) -> None:
        async with Broadcast[str]() as broadcast, broadcast.subscribe("a") as messages:
            waiting = asyncio.ensure_future(anext(messages))
            await asyncio.sleep(0)
            assert not waiting.done()
            await broadcast.publish("a", "now")
            assert await waiting == "now"

    async def test_two_messages_at_once_wake_a_subscriber_once(self) -> None:
        async with Broadcast[str]() as broadcast, broadcast.subscribe("a") as messages:
            waiting = asyncio.ensure_future(anext(messages))
            await asyncio.sleep(0)
            await asyncio.gather(broadcast.publish("a", "0"), broadcast.publish("a", "1"))
            assert [await waiting, await anext(messages)] == ["0", "1"]

    async def test_a_message_and_the_end_at_once(self) -> None:
        async with AsyncExitStack() as stack:
            async with Broadcast[str]() as broadcast:
                messages = await stack.enter_async_context(broadcast.subscribe("a"))
                waiting = asyncio.ensure_future(anext(messages))
                await asyncio.sleep(0)
                broadcast.publish("a", "0").send(None)  # up to where it lets others run
            assert [await waiting, await anext(messages, "the end")] == ["0", "the end"]

    async def test_a_subscriber_publishes_itself_and_to_itself(self) -> None:
        async with Broadcast[int]() as broadcast, broadcast.subscribe("a") as messages:
            await broadcast.publish("a", 3)
            seen = []
            async for number in messages:
                seen.append(number)
                if number == 0:
                    break
                await broadcast.publish("a", number - 1)
            assert seen == [3, 2, 1, 0]

    async def test_a_subscription_needs_a_topic(self) -> None:
        async with Broadcast[str]() as broadcast:
            with pytest.raises(TypeError, match="topic"):
                async with broadcast.subscribe():
                    pass


class TestSlowSubscribers:
    async def test_drop_loses_the_oldest_and_counts(self) -> None:
        async with (
            Broadcast[str](limit=2, overflow="drop") as broadcast,
            broadcast.subscribe("a") as messages,
        ):
            await broadcast.publish("a", "0")
            await broadcast.publish("a", "1")
            assert messages.dropped == 0
            for number in range(2, 5):
                await broadcast.publish("a", str(number))
            assert await ready(messages) == ["3", "4"]
            assert messages.dropped == 3
            assert messages.interruptions == 0

    async def test_disconnect_ends_the_slow_one_alone(self) -> None:
        async with (
            Broadcast[str](limit=2, overflow="disconnect") as broadcast,
            broadcast.subscribe("a") as slow,
            broadcast.subscribe("a") as quick,
        ):
            for number in range(3):
                await broadcast.publish("a", str(number))
                assert await anext(quick) == str(number)
            for _ in range(2):  # again, if it is asked again
                with pytest.raises(MessagesLost, match="2 messages waited"):
                    await anext(slow)

    async def test_to_disconnect_is_the_default(self) -> None:
        async with Broadcast[str](limit=1) as broadcast, broadcast.subscribe("a") as messages:
            await broadcast.publish("a", "0")
            await broadcast.publish("a", "1")
            with pytest.raises(MessagesLost):
                await anext(messages)

    async def test_a_slow_subscriber_of_several_topics_gets_none_of_them_any_more(self) -> None:
        async with Broadcast[str](limit=1) as broadcast, broadcast.subscribe("a", "b") as messages:
            await broadcast.publish("a", "0")
            await broadcast.publish("a", "1")
            await broadcast.publish("b", "2")
            with pytest.raises(MessagesLost):
                await anext(messages)

    async def test_a_subscriber_that_was_ended_can_subscribe_again(self) -> None:
        async with Broadcast[str](limit=1) as broadcast:
            async with broadcast.subscribe("a") as messages:
                await broadcast.publish("a", "0")
                await broadcast.publish("a", "1")
                with pytest.raises(MessagesLost):
                    await anext(messages)
            async with broadcast.subscribe("a") as messages:
                await broadcast.publish("a", "2")
                assert await anext(messages) == "2"

    async def test_who_keeps_up_is_never_too_slow(self) -> None:
        async def read(messages: Subscription[int]) -> list[int]:
            return [number async for number in messages]

        async with AsyncExitStack() as stack:
            async with Broadcast[int](limit=1) as broadcast:
                subscriptions = [await stack.enter_async_context(broadcast.subscribe("a")) for _ in range(10)]
                readers = [asyncio.create_task(read(messages)) for messages in subscriptions]
                await asyncio.sleep(0)
                for number in range(100):
                    await broadcast.publish("a", number)
            for reader in readers:
                assert await reader == list(range(100))

    @pytest.mark.parametrize("limit", [0, -1])
    def test_a_limit_leaves_room(self, limit: int) -> None:
        with pytest.raises(ValueError, match="limit"):
            Broadcast[str](limit=limit)

    def test_other_ways_to_overflow_are_refused(self) -> None:
        with pytest.raises(ValueError, match='"drop" or "disconnect"'):
            Broadcast[str](overflow="block")  # type: ignore[arg-type]


class TestCancellation:
    async def test_who_stops_waiting_loses_nothing(self) -> None:
        async with Broadcast[str]() as broadcast, broadcast.subscribe("a") as messages:
            for number in range(3):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.001):
                        await anext(messages)
                await broadcast.publish("a", str(number))
                assert await ready(messages) == [str(number)]

    async def test_a_message_that_comes_with_the_cancellation_is_not_lost(self) -> None:
        async with Broadcast[str]() as broadcast, broadcast.subscribe("a") as messages:
            waiting = asyncio.ensure_future(anext(messages))
            await asyncio.sleep(0)
            publishing = asyncio.create_task(broadcast.publish("a", "now"))
            asyncio.get_running_loop().call_soon(waiting.cancel)  # woken, and cancelled before it runs
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await publishing
            assert await ready(messages) == ["now"]

    async def test_a_subscriber_that_is_cancelled_is_gone(self) -> None:
        async def read() -> None:
            async with broadcast.subscribe("a") as messages:
                async for _ in messages:
                    pass

        async with Broadcast[Message]() as broadcast:
            reader = asyncio.create_task(read())
            await asyncio.sleep(0)
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader
            message = Message()
            seen = weakref.ref(message)
            await broadcast.publish("a", message)
            del message
            assert seen() is None


class TestMemory:
    async def test_a_message_to_nobody_is_not_kept(self) -> None:
        async with Broadcast[Message]() as broadcast:
            message = Message()
            seen = weakref.ref(message)
            await broadcast.publish("a", message)
            del message
            assert seen() is None

    async def test_a_message_is_kept_until_it_is_taken(self) -> None:
        async with Broadcast[Message]() as broadcast, broadcast.subscribe("a") as messages:
            message = Message()
            seen = weakref.ref(message)
            await broadcast.publish("a", message)
            del message
            assert seen() is not None
            await anext(messages)
            assert seen() is None

    @pytest.mark.parametrize("overflow", ["drop", "disconnect"])
    async def test_what_a_slow_subscriber_loses_is_freed_at_once(self, overflow: str) -> None:
        messages = [Message(), Message()]
        seen = [weakref.ref(message) for message in messages]
        broadcast = Broadcast[Message](limit=1, overflow="drop" if overflow == "drop" else "disconnect")
        async with broadcast, broadcast.subscribe("a", "b"):
            while messages:
                await broadcast.publish("a", messages.pop(0))
            assert [found() is not None for found in seen] == [False, overflow == "drop"]

    async def test_topics_that_nobody_wants_any_more_are_forgotten(self) -> None:
        async with Broadcast[str]() as broadcast:
            for number in range(100):
                async with broadcast.subscribe(str(number), f"{number}'"):
                    pass
            assert not broadcast._topics


class TestLife:
    async def test_leaving_it_ends_all_iterations_after_what_was_published(self) -> None:
        async def read(messages: Subscription[str]) -> list[str]:
            return [message async for message in messages]

        async with AsyncExitStack() as stack:
            async with Broadcast[str]() as broadcast:
                subscriptions = [
                    await stack.enter_async_context(broadcast.subscribe("a")),
                    await stack.enter_async_context(broadcast.subscribe("a", "b")),
                ]
                waiting = [asyncio.create_task(read(messages)) for messages in subscriptions]
                late = await stack.enter_async_context(broadcast.subscribe("a"))
                await broadcast.publish("a", "0")
            assert [await reader for reader in waiting] == [["0"], ["0"]]
            assert await read(late) == ["0"]

    async def test_an_iteration_ends_when_its_subscription_is_left(self) -> None:
        async with Broadcast[str]() as broadcast:
            async with broadcast.subscribe("a") as messages:
                waiting = asyncio.ensure_future(anext(messages, "the end"))
                await asyncio.sleep(0)
            assert await waiting == "the end"

    async def test_it_works_from_its_entering_to_its_leaving(self) -> None:
        broadcast = Broadcast[str]()
        for _ in range(2):
            with pytest.raises(BroadcastError, match="async with"):
                await broadcast.publish("a", "0")
            with pytest.raises(BroadcastError, match="async with"):
                async with broadcast.subscribe("a"):
                    pass
            async with broadcast, broadcast.subscribe("a") as messages:
                await broadcast.publish("a", "0")
                assert await anext(messages) == "0"

    async def test_who_was_subscribed_before_it_was_left_gets_nothing_of_what_comes_after(self) -> None:
        broadcast = Broadcast[str]()
        async with AsyncExitStack() as stack:
            async with broadcast:
                messages = await stack.enter_async_context(broadcast.subscribe("a"))
            async with broadcast:
                await broadcast.publish("a", "0")
                assert [message async for message in messages] == []

    async def test_it_is_entered_once_at_a_time(self) -> None:
        async with Broadcast[str]() as broadcast:
            with pytest.raises(BroadcastError, match="in use already"):
                async with broadcast:
                    pass
            await broadcast.publish("a", "0")

    async def test_another_event_loop_is_refused(self) -> None:
        async with Broadcast[str]() as broadcast:
            for use in (broadcast.publish("a", "0"), broadcast.subscribe("a").__aenter__()):
                with pytest.raises(BroadcastError, match="another event loop"):
                    await asyncio.to_thread(asyncio.run, use)

    def test_one_loop_after_the_other_may_use_it(self) -> None:
        async def use() -> str:
            async with broadcast, broadcast.subscribe("a") as messages:
                await broadcast.publish("a", "0")
                return await anext(messages)

        broadcast = Broadcast[str]()
        assert [asyncio.run(use()) for _ in range(2)] == ["0", "0"]

    async def test_a_thread_publishes_through_the_loop(self) -> None:
        async with Broadcast[str]() as broadcast, broadcast.subscribe("a") as messages:
            loop = asyncio.get_running_loop()
            publishing = broadcast.publish("a", "from a thread")
            await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(publishing, loop).result())
            assert await anext(messages) == "from a thread"

    async def test_two_readers_of_one_subscription_are_refused(self) -> None:
        async with Broadcast[str]() as broadcast, broadcast.subscribe("a") as messages:
            first = asyncio.ensure_future(anext(messages))
            await asyncio.sleep(0)
            with pytest.raises(BroadcastError, match="one reader"):
                await anext(messages)
            await broadcast.publish("a", "0")
            assert await first == "0"
