"""A strict reader of what ``--metrics`` opens, as Prometheus and Kubernetes see it."""

from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.asgiserve.program import Program
from tests.asgiserve.raw import Client, Response, eventually, get

#: What stands before the address in the log.
ANNOUNCEMENT = "metrics and probes are at "

Samples = dict[tuple[str, ...], float]


class Endpoint:
    """What ``--metrics`` opens, as Prometheus and Kubernetes see it."""

    def __init__(self, announcement: str) -> None:
        url = announcement.rpartition(" ")[2]
        host, _, port = url.removeprefix("http://").rpartition(":")
        self._address: Any = url.removeprefix("unix:") if url.startswith("unix:") else (host, int(port))

    @classmethod
    def of(cls, server: Program) -> Endpoint:
        """That of a process."""
        return cls(server.wait_for(ANNOUNCEMENT))

    def connect(self) -> Client:
        """A new connection to it."""
        return Client(self._address)

    def get(self, path: str, *fields: str) -> Response:
        """The response to a GET on a connection of its own."""
        with self.connect() as client:
            client.send(get(path, *fields))
            return client.response()

    def probe(self, path: str) -> tuple[int, str]:
        """Status and text of a probe."""
        response = self.get(path)
        return response.status, response.body.decode().rstrip("\n")

    def samples(self) -> Samples:
        """All samples by their name, without the prefix, and the values of their labels."""
        text = self.get("/metrics").body.decode()
        return {
            (sample.name.removeprefix("asgiserve_"), *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def settles_at(self, expected: Samples) -> None:
        """Wait until these samples are what they have to be: workers tell what they count every second."""
        found: Samples = {}

        def settled() -> bool:
            samples = self.samples()
            found.update({key: samples.get(key, -1.0) for key in expected})
            return found == expected

        eventually(settled)
        assert found == expected, f"{found} instead of {expected}"
