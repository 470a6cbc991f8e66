"""``--metrics``: every request is counted once, over all workers and their ends; probes tell the truth."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

import asgiserve
from asgiserve.http1.stages import Stage
from asgiserve.metrics.figures import STATES
from tests.asgiserve import metered
from tests.asgiserve.applications import hello
from tests.asgiserve.metered import LARGE
from tests.asgiserve.program import STARTING, Program, run_to_end
from tests.asgiserve.raw import Client, chunked, eventually, get, post, request
from tests.asgiserve.scraping import ANNOUNCEMENT, Endpoint
from tests.asgiserve.serving import Serve, Serving

APP = "tests.asgiserve.metered:app"
FREE_PORT = "127.0.0.1:0"
QUIET = ("--no-access-log", "--metrics", FREE_PORT)
ONE_WORKER = ("--worker-lifetime", "1000")
TWO_WORKERS = ("--workers", "2")
PROCESSES = pytest.mark.parametrize("processes", [(), TWO_WORKERS], ids=["alone", "two workers"])


def wait_until_it_serves(server: Program, processes: tuple[str, ...]) -> None:
    if processes:
        server.wait_for(" serves", times=2)


def ask_on(clients: list[Client]) -> None:
    """A request on each of these connections."""
    for client in clients:
        client.send(get("/200"))
        assert client.response().status == 200


def ask_often(server: Program, times: int) -> None:
    """So many requests, five on each connection."""
    for _ in range(times // 5):
        with server.connect() as client:
            ask_on([client] * 5)


def endpoint_of(server: Serving) -> Endpoint:
    return Endpoint(server.records.wait(ANNOUNCEMENT))


@PROCESSES
def test_every_request_is_counted_once(processes: tuple[str, ...]) -> None:
    with Program(APP, *QUIET, *processes) as server:
        wait_until_it_serves(server, processes)
        endpoint = Endpoint.of(server)
        for _ in range(20):
            with server.connect() as client:
                for status in (200, 201, 302, 404, 404, 500, 503):
                    client.send(post(bytes(100), target=f"/{status}"))
                    assert client.response("POST").status == status
                client.send(chunked(b"a", b"bc", target="/404"))
                client.response("POST")
                client.send(request("HEAD /200 HTTP/1.1", "Host: test"))
                client.response("HEAD")
        for _ in range(3):
            with server.connect() as client:
                client.send(b"GET /200 HTTP/1.1\r\n\r\n")  # without Host, it does not reach the application
                assert client.response().status == 400
        with server.connect() as client:
            client.send(get("/wait"))
            server.wait_for("waits")
            endpoint.settles_at({("requests_in_progress",): 1, ("connections", "waiting"): 1})
            client.reset()
        endpoint.settles_at(
            {
                ("requests_total", "2xx"): 60,
                ("requests_total", "3xx"): 20,
                ("requests_total", "4xx"): 63,
                ("requests_total", "5xx"): 40,
                ("requests_total", "none"): 1,
                ("request_duration_seconds_count",): 181,
                ("request_body_bytes_total",): 20 * 703,
                ("response_body_bytes_total",): 20 * 8 * 10,
                ("requests_in_progress",): 0,
                ("workers",): 2 if processes else 1,
                **{("connections", state): 0 for state in ("idle", "reading", "waiting", "writing")},
            }
        )


def test_counts_stay_when_workers_go() -> None:
    with Program(APP, *QUIET, *TWO_WORKERS) as server:
        wait_until_it_serves(server, TWO_WORKERS)
        endpoint = Endpoint.of(server)
        requests = ("requests_total", "2xx")
        with contextlib.ExitStack() as open_connections:
            clients = [open_connections.enter_context(server.connect()) for _ in range(10)]
            ask_on(clients)
            server.signal(signal.SIGHUP)
            server.wait_for(" drains", times=2)
            ask_on(clients)  # with the last of these, the old workers end, before the next second
        seen = 0.0
        while server.output.count("ended (exit code 0)") < 2:
            before, seen = seen, endpoint.samples()[requests]
            assert seen >= before
        endpoint.settles_at(
            {
                requests: 20,
                ("request_duration_seconds_count",): 20,
                ("worker_restarts_total", "sighup"): 2,
                ("workers",): 2,
            }
        )
        ask_often(server, 100)
        endpoint.settles_at({requests: 120})
        os.kill(int(server.ask("/pid").body), signal.SIGKILL)
        server.wait_for("died")
        server.wait_for(" serves", times=5)
        samples = endpoint.samples()
        assert samples[requests] in (120, 121)  # the last one may not have been told
        assert samples["worker_restarts_total", "died"] == 1
        ask_often(server, 100)
        endpoint.settles_at({requests: samples[requests] + 100, ("workers",): 2})
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0


def test_workers_are_restarted_for_reasons() -> None:
    with Program(APP, *QUIET, "--max-requests", "10") as server:
        server.wait_for(" serves")
        endpoint = Endpoint.of(server)
        ask_often(server, 10)
        server.wait_for("ended (exit code 0)")
        endpoint.settles_at(
            {("worker_restarts_total", "max_requests"): 1, ("requests_total", "2xx"): 10, ("workers",): 1}
        )


@pytest.mark.parametrize("size", [0, 1, 3])
def test_histogram_is_consistent(serve_twice: Serve, size: int) -> None:
    with serve_twice(metered.app, metrics=FREE_PORT) as server:
        for _ in range(size):
            server.ask(get("/sleep"))
        samples = endpoint_of(server).samples()
    buckets = {float(key[1]): value for key, value in samples.items() if "_seconds_bucket" in key[0]}
    counts = [buckets[bound] for bound in sorted(buckets)]
    assert counts == sorted(counts)
    assert buckets[float("inf")] == samples["request_duration_seconds_count",] == size
    assert buckets[0.05] == 0
    assert samples["request_duration_seconds_sum",] >= size * 0.059


def test_timeouts_are_counted_by_kind(serve_twice: Serve) -> None:
    timeouts = ["request_timeout", "response_timeout", "keep_alive_timeout", "write_timeout"]
    with (
        serve_twice(metered.app, metrics=FREE_PORT, **dict.fromkeys(timeouts, 1.0)) as server,
        server.connect() as half_head,
        server.connect() as half_body,
        server.connect() as idle,
        server.connect() as unanswered,
        server.connect() as unread,
    ):
        half_head.send(b"GET /200 HT")
        half_body.send(post(b"body", target="/200")[:-1])
        idle.send(get("/200"))
        unanswered.send(get("/wait"))
        unread.send(get("/large"))
        assert half_head.response().status == 408
        assert half_body.response("POST").status == 408
        assert idle.response().status == 200
        assert idle.closed()
        assert unanswered.response().status == 503
        server.records.wait("response_timeout")
        server.records.wait("write_timeout")
        kinds = ("request_head", "request_body", "response", "keep_alive", "write")
        endpoint_of(server).settles_at(
            {
                **{("timeouts_total", kind): 1 for kind in kinds},
                ("requests_total", "4xx"): 2,
                ("requests_total", "5xx"): 1,
                ("requests_total", "2xx"): 2,
            }
        )


def test_requests_cut_at_the_end_of_the_shutdown_are_timeouts() -> None:
    with Program(APP, *QUIET, *TWO_WORKERS, "--shutdown-timeout", "1") as server:
        wait_until_it_serves(server, TWO_WORKERS)
        endpoint = Endpoint.of(server)
        with server.connect() as client:
            client.send(get("/stuck"))
            server.wait_for("stuck")
            server.signal(signal.SIGHUP)
            server.wait_for("ended (exit code 0)", times=2)
        endpoint.settles_at({("timeouts_total", "shutdown"): 1, ("requests_total", "none"): 1})


def test_connections_are_counted_by_what_they_are_at(serve_twice: Serve) -> None:
    with (
        serve_twice(metered.app, metrics=FREE_PORT) as server,
        server.connect(),
        server.connect() as idle,
        server.connect() as half_head,
        server.connect() as half_body,
        server.connect() as waiting,
        server.connect() as reading,
    ):
        endpoint = endpoint_of(server)
        idle.send(get("/200"))
        idle.response()
        half_head.send(b"GET /200 HT")
        half_body.send(post(b"body", target="/200")[:-1])
        waiting.send(get("/wait"))
        reading.send(get("/large"))
        endpoint.settles_at(
            {
                ("connections", "idle"): 2,  # also the one that has not asked for anything yet
                ("connections", "reading"): 2,
                ("connections", "waiting"): 1,
                ("connections", "writing"): 1,
                ("requests_in_progress",): 3,
            }
        )
        half_body.send(b"y")
        assert half_body.response("POST").status == 200
        assert len(reading.response().body) == LARGE
        endpoint.settles_at({("response_body_bytes_total",): LARGE + 20, ("request_body_bytes_total",): 4})


def test_every_stage_of_a_connection_has_a_state() -> None:
    assert set(STATES) == set(Stage)


# The probes


@PROCESSES
def test_not_ready_from_the_first_moment_of_draining(processes: tuple[str, ...]) -> None:
    with Program(APP, *QUIET, *processes) as server, server.connect() as client:
        wait_until_it_serves(server, processes)
        endpoint = Endpoint.of(server)
        assert endpoint.probe("/readyz") == (200, "ok")
        assert endpoint.probe("/livez") == (200, "ok")
        upload = post(b"body", target="/upload")
        client.send(upload[:-1])
        server.wait_for("takes an upload")
        server.signal(signal.SIGTERM)
        server.wait_for("waiting for 1 request")
        assert endpoint.probe("/readyz") == (503, "draining")
        assert endpoint.probe("/livez") == (200, "ok")
        endpoint.settles_at({("requests_in_progress",): 1})
        client.send(upload[-1:])
        assert client.response("POST").body == b"body"
        assert server.exit_code() == 0
        with pytest.raises(ConnectionRefusedError):
            endpoint.connect()


def test_not_ready_while_load_balancers_have_time_to_notice() -> None:
    with Program(APP, *QUIET, "--shutdown-delay", "60") as server:
        endpoint = Endpoint.of(server)
        server.signal(signal.SIGTERM)
        server.wait_for("(shutdown_delay)")
        assert endpoint.probe("/readyz") == (503, "draining")
        assert server.ask("/200").status == 200
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0


def test_endpoint_outlives_the_shutdown_of_the_application() -> None:
    with Program("endless_shutdown", *QUIET) as server:
        endpoint = Endpoint.of(server)
        server.signal(signal.SIGTERM)
        server.wait_for("shutting down")
        assert endpoint.probe("/readyz") == (503, "draining")
        assert endpoint.probe("/livez") == (200, "ok")


@PROCESSES
def test_alive_but_not_ready_before_the_application_has_started(processes: tuple[str, ...]) -> None:
    with Program("slow_startup", *QUIET, *processes, ready="starting") as server:
        endpoint = Endpoint.of(server)
        status, reason = endpoint.probe("/readyz")
        assert (status, reason) == (503, "no worker serves" if processes else "starting")
        assert endpoint.probe("/livez") == (200, "ok")
        assert endpoint.samples()["workers",] == 0


def test_dead_without_a_worker() -> None:
    application = "tests.asgiserve.metered:short_lived"
    with Program(application, *QUIET, *ONE_WORKER, ready=ANNOUNCEMENT) as server:
        endpoint = Endpoint.of(server)
        # After each death it takes longer until there is another one.
        assert eventually(lambda: endpoint.probe("/livez") == (503, "there is no worker"), STARTING)
        assert endpoint.probe("/readyz")[0] == 503


def test_ready_as_long_as_one_worker_serves() -> None:
    with Program(APP, *QUIET, *TWO_WORKERS) as server:
        wait_until_it_serves(server, TWO_WORKERS)
        endpoint = Endpoint.of(server)
        os.kill(int(server.ask("/pid").body), signal.SIGKILL)
        server.wait_for("died")
        assert endpoint.probe("/readyz") == (200, "ok")
        server.wait_for(" serves", times=3)


# The endpoint itself


def test_paths_and_methods(serve_twice: Serve) -> None:
    with serve_twice(hello, metrics=FREE_PORT) as server:
        endpoint = endpoint_of(server)
        with endpoint.connect() as client:
            for path in ("/metrics", "/livez", "/readyz"):
                client.send(request(f"HEAD {path} HTTP/1.1", "Host: test"))
                response = client.response("HEAD")
                assert (response.status, response.body) == (200, b"")
                assert int(response["content-length"]) > 0
            client.send(post(b"", target="/metrics"))
            response = client.response("POST")
            assert (response.status, response["allow"]) == (405, "GET, HEAD")
        assert endpoint.get("/").status == 404
        assert endpoint.get("/metrics/").status == 404


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=nonsense", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;version=1.0.0,*/*", "application/openmetrics-text; version=1.0.0"),
    ],
)
def test_format_is_what_the_scraper_asks_for(serve_twice: Serve, accept: str, media_type: str) -> None:
    with serve_twice(hello, metrics=FREE_PORT) as server:
        response = endpoint_of(server).get("/metrics", f"Accept: {accept}")
        assert response.status == 200
        assert response["content-type"].startswith(media_type)
        assert response["cache-control"] == "no-store"
        if "openmetrics" in media_type:
            parse: Callable[[str], Iterable[Metric]] = text_string_to_metric_families
            families = {family.name: family for family in parse(response.body.decode())}
            assert families["asgiserve"].samples[0].labels == {"version": asgiserve.__version__}
            assert families["asgiserve_requests"].type == "counter"


def test_scrapes_are_not_counted(serve_twice: Serve) -> None:
    with serve_twice(hello, metrics=FREE_PORT) as server:
        endpoint = endpoint_of(server)
        for _ in range(3):
            samples = endpoint.samples()
        assert samples["request_duration_seconds_count",] == 0
        assert samples["connections", "idle"] == 0


def test_unix_socket(serve_twice: Serve, tmp_path: Path) -> None:
    path = tmp_path / "metrics"
    with serve_twice(hello, metrics=f"unix:{path}") as server:
        assert endpoint_of(server).probe("/readyz") == (200, "ok")
    assert not path.exists()


def test_nothing_of_it_is_there_where_it_is_off() -> None:
    with Program(APP, "--no-access-log") as server:
        assert server.ask("/imported").body == b"False"


# What keeps it from starting


@PROCESSES
def test_port_in_use(processes: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = run_to_end(APP, "--port", "0", "--metrics", f"127.0.0.1:{port}", *processes)
    assert ended.returncode == 1
    assert f"asgiserve: cannot listen on 127.0.0.1, port {port}: Address already in use\n" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("address", ["", "9100", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "unix:"])
def test_address_that_is_none(address: str) -> None:
    with pytest.raises(asgiserve.ConfigError, match=r"^metrics: "):
        asgiserve.Config(app=hello, metrics=address)


def test_missing_library(tmp_path: Path) -> None:
    (tmp_path / "prometheus_client.py").write_text("raise ModuleNotFoundError\n")
    for processes in ((), TWO_WORKERS):
        ended = run_to_end(APP, "--port", "0", *QUIET, *processes, PYTHONPATH=f"{tmp_path}:{os.getcwd()}")
        assert ended.returncode == 2
        assert ended.stderr.endswith(
            "asgiserve: metrics: prometheus_client is not installed; pip install 'asgiserve[metrics]'\n"
        )
