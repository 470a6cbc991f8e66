"""`examples/observed.py` on a real server: spans and metrics are named by the route's pattern."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.asgiserve.program import Program

pytest.importorskip("opentelemetry.instrumentation.asgi")
parser = pytest.importorskip("prometheus_client.parser")

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture(scope="module")
def observed() -> Iterator[Program]:
    with Program("examples.observed:app") as program:
        yield program


def spans(observed: Program, name: str, trace_id: str = "") -> list[Any]:
    """Wait for a span of this name, and return all that have it and are of that trace."""
    observed.wait_for(f'"name": "{name}", "context": {{"trace_id": "0x{trace_id}')
    lines = [json.loads(line) for line in observed.standard_output if line.startswith("{")]
    return [span for span in lines if span["name"] == name and trace_id in span["context"]["trace_id"]]


def test_a_span_is_named_by_the_route_and_belongs_to_the_clients_trace(observed: Program) -> None:
    response = httpx.get(f"{observed.url}/users/12", headers={"traceparent": TRACEPARENT})
    assert response.json() == {"name": "Ada", "request": TRACE}
    assert response.headers["x-request-id"] == TRACE
    [server] = spans(observed, "GET /users/{id:int}", TRACE)
    assert server["parent_id"] == f"0x{TRACEPARENT.split('-')[2]}"
    assert server["attributes"]["http.route"] == "/users/{id:int}"
    # The context of the span went through all middlewares to the handler.
    [own] = spans(observed, "load user", TRACE)
    assert own["parent_id"] == server["context"]["span_id"]


def test_a_span_of_a_fault_is_an_error(observed: Program) -> None:
    assert httpx.get(f"{observed.url}/fault").status_code == 500
    for server in spans(observed, "GET /fault"):
        assert server["status"]["status_code"] == "ERROR"


def test_metrics_are_labelled_by_the_route(observed: Program) -> None:
    for path in ("/users/12", "/users/13", "/users/14", "/fault", "/nothing", "/nothing/else"):
        httpx.get(f"{observed.url}{path}")
    httpx.request("PROPFIND", f"{observed.url}/nothing")
    exposition = httpx.get(f"{observed.url}/metrics")
    [family] = [
        family
        for family in parser.text_string_to_metric_families(exposition.text)
        if family.name == "http_request_duration_seconds"
    ]
    counts = {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for sample in family.samples
        if sample.name.endswith("_count")
    }
    assert counts.keys() == {
        ("GET", "/users/{id:int}", "200"),
        ("GET", "/users/{id:int}", "404"),
        ("GET", "/fault", "500"),
        ("(other)", "(none)", "404"),
    }
    assert counts["(other)", "(none)", "404"] == 3
    assert counts["GET", "/users/{id:int}", "200"] >= 2


def test_scrapes_are_not_traced(observed: Program) -> None:
    assert httpx.get(f"{observed.url}/metrics").status_code == 200
    httpx.get(f"{observed.url}/users/13")
    spans(observed, "GET /users/{id:int}")
    assert not [line for line in observed.standard_output if '"GET /metrics"' in line]
