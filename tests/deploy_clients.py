"""Clients of a proxy, and what each of their requests came to, while the servers behind it are restarted."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable

from tests.asgiserve.program import STARTING

#: Seconds between two requests of a client.
PAUSE = 0.02


class Clients:
    """Ten clients of one port, each in a thread, from the beginning of the ``with`` to its end.

    Some stay connected and some come anew for each request; some ask for what takes a second, and some
    place orders, each with a number of its own.
    """

    def __init__(self, port: int) -> None:
        self.answers: Counter[int] = Counter()  # how many each server gave, by its number
        self.lost: list[str] = []  # requests without an answer 200, and what came instead
        self.orders: list[str] = []  # those that were answered 200
        self._port = port
        self._over = threading.Event()
        self._changed = threading.Condition()
        behaviours: list[Callable[[int], None]] = []
        behaviours += [self._stay] * 4 + [self._come_anew] * 2 + [self._wait] * 2 + [self._order] * 2
        self._threads = [
            threading.Thread(target=behaviour, args=(number,)) for number, behaviour in enumerate(behaviours)
        ]
        self._began_at = 0.0

    def __enter__(self) -> Clients:
        self._began_at = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(2 * STARTING)

    def wait_for(self, server: int, more: int) -> None:
        """Wait until a server has given so many more answers."""
        with self._changed:
            goal = self.answers[server] + more
            found = self._changed.wait_for(lambda: self.answers[server] >= goal, STARTING)
        assert found, f"server {server} gets no requests: {self.answers}, lost: {self.lost}"

    def _stay(self, number: int) -> None:
        with contextlib.closing(self._connection()) as connection:
            while not self._over.wait(PAUSE):
                self._ask(connection, "GET", "/")

    def _come_anew(self, number: int) -> None:
        while not self._over.wait(PAUSE):
            with contextlib.closing(self._connection()) as connection:
                self._ask(connection, "GET", "/")

    def _wait(self, number: int) -> None:
        with contextlib.closing(self._connection()) as connection:
            while not self._over.wait(PAUSE):
                self._ask(connection, "GET", "/slow")

    def _order(self, number: int) -> None:
        orders = 0
        with contextlib.closing(self._connection()) as connection:
            while not self._over.wait(PAUSE):
                orders += 1
                order = f"{self._port}-{number}-{orders}"
                if self._ask(connection, "POST", "/", order):
                    self.orders.append(order)

    def _connection(self) -> http.client.HTTPConnection:
        """A client that connects, and connects again, when it has something to ask."""
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=STARTING)

    def _ask(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: str | None = None
    ) -> bool:
        """Whether a request is answered as it should be."""
        text = ""
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            text = response.read().decode()
            result = f"{response.status} {text}"
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            result = repr(error)
        with self._changed:
            if not result.startswith("200 "):
                self.lost.append(f"{method} {path} after {time.monotonic() - self._began_at:.3f} s: {result}")
                return False
            self.answers[int(text.split()[0])] += 1
            self._changed.notify_all()
        return True
