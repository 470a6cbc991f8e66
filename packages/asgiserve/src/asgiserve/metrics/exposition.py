"""Figures in the text formats of Prometheus, by its client library (the extra ``metrics``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder

from .._version import __version__
from .figures import BOUNDS, CLASSES, STATES, TIMEOUTS, Figures

#: Classes that are there from the start, so that the first response of one is seen as an increase.
_USUAL: Final = ("2xx", "3xx", "4xx", "5xx")


class Exposition:
    """Renders figures; to prometheus_client, a collector of its own."""

    def __init__(self, figures: Callable[[], Figures]) -> None:
        self._figures = figures
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def render(self, accept: str) -> tuple[bytes, str]:
        """The figures of this moment, in the format that an Accept field asks for, and its media type."""
        try:
            encode, media_type = choose_encoder(accept)
        except (TypeError, ValueError):  # it asks for a version that is no number
            encode, media_type = choose_encoder("")
        return encode(self._registry), media_type

    def collect(self) -> Iterator[Metric]:
        """All metrics, as prometheus_client wants them."""
        figures = self._figures()
        yield InfoMetricFamily("asgiserve", "The server.", {"version": __version__})
        yield _counters(
            "requests",
            "Requests that are over, by the class of their status; none: nothing was answered.",
            "status",
            {
                name: count
                for name, count in zip(CLASSES, figures.statuses, strict=True)
                if count or name in _USUAL
            },
        )
        yield HistogramMetricFamily(
            "asgiserve_request_duration_seconds",
            "Requests that the application got: from the end of the head to the end of the response.",
            buckets=list(zip((*map(str, BOUNDS), "+Inf"), accumulate(figures.durations), strict=True)),
            sum_value=figures.seconds,
        )
        yield _counter("request_body_bytes", "Bytes of request bodies that were read.", figures.received)
        yield _counter("response_body_bytes", "Bytes of response bodies that were written.", figures.sent)
        yield _gauge("requests_in_progress", "Requests whose application is at work.", figures.in_progress)
        yield _gauges(
            "connections",
            "Connections that are idle, read a request, wait for the application, write, or close.",
            "state",
            dict.fromkeys(STATES.values(), 0) | figures.connections,
        )
        yield _counters(
            "timeouts",
            "Timeouts that have passed.",
            "kind",
            dict.fromkeys(TIMEOUTS, 0) | figures.timeouts,
        )
        yield _gauge("workers", "Processes that serve.", figures.workers)
        if figures.restarts:
            yield _counters("worker_restarts", "Workers that were replaced.", "reason", figures.restarts)


def _counter(name: str, about: str, value: float) -> Metric:
    return CounterMetricFamily(f"asgiserve_{name}", about, value)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"asgiserve_{name}", about, value)


def _counters(name: str, about: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"asgiserve_{name}", about, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _gauges(name: str, about: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"asgiserve_{name}", about, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
