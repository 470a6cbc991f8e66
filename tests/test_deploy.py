"""The proxies of `examples/deploy/` lose nothing while the servers behind them are restarted under load."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.asgiserve.program import STARTING
from tests.deploy import Servers, commands, example, free_ports, haproxy, nginx, proxy, which
from tests.deploy_clients import Clients

#: The examples say 5 s. Less is enough here, and still several of HAProxy's looks at a server.
SHORTER = {"--shutdown-delay 5": "--shutdown-delay 2"}

#: Answers of a restarted server, through each proxy, after which the other one is stopped.
BACK = 50


def needs(program: str) -> pytest.MarkDecorator:
    """Skip a test where a program is missing; CI has to have it."""
    missing = which(program) is None and not os.environ.get("CI")
    return pytest.mark.skipif(missing, reason=f"{program} is missing: apt install {program}")


class Site:
    """Free ports for two servers and for proxies in front of them, in place of those in the examples."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._servers = free_ports(2)
        self._metrics = free_ports(2)

    def ports(self, name: str, front: int) -> dict[str, str]:
        """The ports in an example, and those that stand for them here."""
        chosen = {8080: front, 8001: self._servers[0], 8002: self._servers[1]}
        if name != "nginx.conf":
            chosen |= {9001: self._metrics[0], 9002: self._metrics[1]}
        return {str(fixed): str(port) for fixed, port in chosen.items()}

    def command(self, name: str, front: int) -> list[str]:
        """The command that runs one of the proxies' examples."""
        if name == "nginx.conf":
            return nginx(self.directory, self.ports(name, front))
        return haproxy(self.directory, self.ports(name, front), name)

    def start_servers(self, name: str) -> Servers:
        """The servers that the head of an example speaks of."""
        return Servers(commands(example(name, self.ports(name, 8080) | SHORTER)))

    @contextlib.contextmanager
    def proxy(self, name: str) -> Iterator[int]:
        """Run one of the proxies' examples; yields its port."""
        [front] = free_ports(1)
        with proxy(self.command(name, front), front, self.directory / f"{name}.log"):
            yield front


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Ports and a directory for proxies and servers."""
    return Site(tmp_path_factory.mktemp("site"))


# Restarts


@pytest.fixture(scope="module")
def restarts(site: Site) -> tuple[dict[str, Clients], Servers]:
    """What clients saw of each proxy while the servers behind both were restarted, each one twice."""
    clients: dict[str, Clients] = {}
    with site.start_servers("haproxy.cfg") as servers, contextlib.ExitStack() as stack:
        for program, name in (("nginx", "nginx.conf"), ("haproxy", "haproxy.cfg")):
            if which(program):
                front = stack.enter_context(site.proxy(name))
                clients[program] = stack.enter_context(Clients(front))
        for number in (0, 1, 0, 1):
            for group in clients.values():
                group.wait_for(number, BACK)
            servers.restart(number)
            for group in clients.values():
                group.wait_for(number, BACK)
    return clients, servers


@pytest.mark.parametrize("program", [pytest.param(name, marks=needs(name)) for name in ("nginx", "haproxy")])
def test_servers_are_restarted_under_load_and_nothing_is_lost(
    restarts: tuple[dict[str, Clients], Servers], program: str
) -> None:
    clients, servers = restarts
    assert clients[program].lost == []
    assert clients[program].answers.total() > 1000
    # And nothing was done twice.
    taken = Counter(line.split()[1] for line in servers.output if line.startswith("order "))
    assert len(clients[program].orders) > 100
    assert {taken[order] for order in clients[program].orders} == {1}


# One proxy after the other

EXAMPLES = [
    pytest.param("nginx.conf", marks=needs("nginx")),
    pytest.param("haproxy.cfg", marks=needs("haproxy")),
    pytest.param("haproxy-tcp.cfg", marks=needs("haproxy")),
]


@pytest.mark.parametrize("name", EXAMPLES)
def test_proxy_takes_its_configuration_without_a_warning(site: Site, name: str) -> None:
    check = ["-t"] if name == "nginx.conf" else ["-c", "-dW"]
    ended = subprocess.run(
        [*site.command(name, 8080), *check], capture_output=True, text=True, timeout=STARTING, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "warn" not in ended.stderr.lower()


@pytest.mark.parametrize("name", EXAMPLES)
def test_server_knows_the_client_and_is_not_told_otherwise(site: Site, name: str) -> None:
    """What the client itself says of where it is from reaches no application."""
    lies = {
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/elsewhere",
        "Forwarded": "for=192.0.2.1;proto=https",
    }
    with site.start_servers(name), site.proxy(name) as front:
        transport = httpx.HTTPTransport(local_address="127.0.0.2")
        with httpx.Client(transport=transport, headers=lies, timeout=STARTING) as client:
            response = client.get(f"http://127.0.0.1:{front}/")
    assert response.status_code == 200
    assert response.text.split()[1:] == ["127.0.0.2", "http", "/"]
