"""`examples/deploy/` for systemd, containers and Kubernetes, as far as it runs without these."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml  # type: ignore[import-untyped]

from asgiserve import Config
from asgiserve.cli import main
from tests.asgiserve.program import COMMAND, ROOT, STARTING, Program
from tests.asgiserve.raw import eventually
from tests.deploy import DEPLOY, commands, example, free_ports, which

DEFAULTS = Config(app="main:app")

FLAGS = {flag for parameter in main.params for flag in parameter.opts + parameter.secondary_opts}


def unit(name: str) -> configparser.ConfigParser:
    """A unit of systemd: its sections and settings."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((DEPLOY / name).read_text())
    return parser


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, and what stands behind each."""
    lines = [line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in whole.splitlines() if line]


def last(instruction: str) -> str:
    """What stands behind the last instruction of that name."""
    return [behind for name, behind in instructions() if name == instruction][-1]


def image_settings() -> dict[str, str]:
    """The variables of the image that are settings."""
    words = [word for name, behind in instructions() if name == "ENV" for word in shlex.split(behind)]
    pairs = [word.partition("=")[::2] for word in words]
    return {name: value for name, value in pairs if name.startswith("ASGISERVE_")}


def manifests() -> dict[str, Any]:
    """The objects of the manifest, by their kind."""
    return {found["kind"]: found for found in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}


def container() -> dict[str, Any]:
    """The only container of the manifest's pods."""
    [found] = manifests()["Deployment"]["spec"]["template"]["spec"]["containers"]
    return dict(found)


def arguments(name: str) -> list[list[str]]:
    """The command lines of asgiserve in one of the examples."""
    if name == "asgiserve.service":
        return [shlex.split(unit(name)["Service"]["ExecStart"])]
    if name == "kubernetes.yaml":
        return [container()["args"]]
    if name == "Dockerfile":
        return [json.loads(last("CMD"))]
    return commands(example(name, {}))


def flag(name: str, words: list[str]) -> float:
    """The number behind a flag."""
    return float(" ".join(words).replace("=", " ").partition(f"{name} ")[2].split()[0])


COMMAND_LINES = [
    "asgiserve.service",
    "kubernetes.yaml",
    "Dockerfile",
    "nginx.conf",
    "haproxy.cfg",
    "haproxy-tcp.cfg",
]


@pytest.mark.parametrize("name", COMMAND_LINES)
def test_flags_exist(name: str) -> None:
    found = arguments(name)
    assert found
    used = {word.partition("=")[0] for words in found for word in words if word.startswith("--")}
    assert used <= FLAGS


def test_commands_named_by_two_proxies_start_two_servers() -> None:
    for name in ("nginx.conf", "haproxy.cfg", "haproxy-tcp.cfg"):
        assert [flag("--port", words) for words in arguments(name)] == [8001, 8002]


# systemd


@pytest.mark.skipif(
    which("systemd-analyze") is None, reason="systemd-analyze is missing: apt install systemd"
)
def test_units_are_right(tmp_path: Path) -> None:
    """Not that systemd has started them: a container has none."""
    for name, replacements in (
        ("asgiserve.service", {"/srv/main/.venv/bin/asgiserve": sys.executable}),
        ("asgiserve.socket", {}),
    ):
        (tmp_path / name).write_text(example(name, replacements))
    command = ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=STARTING, check=False)
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


def test_unit_leaves_the_time_that_stopping_takes() -> None:
    service = unit("asgiserve.service")["Service"]
    [words] = arguments("asgiserve.service")
    stopping = flag("--shutdown-delay", words) + 2 * DEFAULTS.shutdown_timeout
    assert float(service["TimeoutStopSec"]) > stopping
    assert float(service["TimeoutStartSec"]) > DEFAULTS.startup_timeout


#: Makes a socket the first one that systemd hands over, and becomes the program that follows.
HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_service_runs_on_the_socket_and_tells_how_it_fares(tmp_path: Path) -> None:
    """The unit's own command, in the place of systemd."""
    [words] = arguments("asgiserve.service")
    [metrics] = free_ports(1)
    replaced = {"127.0.0.1:9001": f"127.0.0.1:{metrics}", "5": "1"}
    settings = [replaced.get(word, word) for word in words[2:]]
    notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with notifications, socket.create_server(("127.0.0.1", 0)) as listener:
        notifications.settimeout(STARTING)
        notifications.bind(str(tmp_path / "notify"))
        with Program(
            "tests.deploy:shop",
            *settings,
            port=None,
            command=[sys.executable, "-c", HAND_OVER, str(listener.fileno()), *COMMAND],
            pass_fds=[listener.fileno()],
            environment={"SHOP": "first", "NOTIFY_SOCKET": str(tmp_path / "notify")},
        ) as program:
            assert notifications.recv(4096).startswith(b"READY=1")
            port = listener.getsockname()[1]
            response = httpx.get(f"http://127.0.0.1:{port}/", headers={"X-Forwarded-For": "192.0.2.1"})
            assert response.text == "first 192.0.2.1 http /"
            assert httpx.get(f"http://127.0.0.1:{metrics}/readyz").status_code == 200
            program.signal(signal.SIGTERM)
            assert notifications.recv(4096).startswith(b"STOPPING=1")
            assert program.exit_code() == 0


# Containers


def test_image_copies_what_there_is() -> None:
    sources = [
        source
        for name, behind in instructions()
        if name == "COPY" and not behind.startswith("--from")
        for source in behind.split()[:-1]
    ]
    assert sources
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_image_installs_extras_that_there_are() -> None:
    declared = tomllib.loads((ROOT / "packages/asgiserve/pyproject.toml").read_text())["project"]
    [extras] = re.findall(r"packages/asgiserve\[([\w,]+)\]", last("RUN"))
    assert set(extras.split(",")) <= set(declared["optional-dependencies"])


def test_image_is_stopped_and_run_without_a_shell_or_root() -> None:
    assert last("STOPSIGNAL") == "SIGTERM"
    assert json.loads(last("ENTRYPOINT")) == ["asgiserve"]
    assert json.loads(last("CMD"))
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last("USER"))


# Kubernetes


def test_manifest_fits_the_image() -> None:
    """The ports of the manifest are those that the image's settings name, and the service leads to one."""
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    settings = image_settings()
    assert settings["ASGISERVE_BIND"] == f"0.0.0.0:{ports['http']}"
    assert settings["ASGISERVE_METRICS"] == f"0.0.0.0:{ports['metrics']}"
    assert last("EXPOSE").split() == [str(port) for port in ports.values()]
    service = manifests()["Service"]["spec"]
    template = manifests()["Deployment"]["spec"]["template"]
    assert [port["targetPort"] for port in service["ports"]] == ["http"]
    assert service["selector"].items() <= template["metadata"]["labels"].items()


def test_manifest_leaves_the_time_that_stopping_takes() -> None:
    pod = manifests()["Deployment"]["spec"]["template"]["spec"]
    command, seconds = container()["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    stopping = float(seconds) + flag("--shutdown-delay", container()["args"]) + 2 * DEFAULTS.shutdown_timeout
    assert pod["terminationGracePeriodSeconds"] > stopping


def test_container_answers_its_probes() -> None:
    """The image's entry point with its settings and the manifest's arguments, on ports that are free here."""
    free = free_ports(2)
    [http, metrics] = [f"127.0.0.1:{port}" for port in free]
    replaced = {"ASGISERVE_BIND": http, "ASGISERVE_METRICS": metrics}
    application, *words = container()["args"]
    words = [re.sub("delay=5$", "delay=2", word) for word in words]
    health = json.loads(last("HEALTHCHECK").partition("CMD ")[2].replace("127.0.0.1:9000", metrics))
    probes = {
        name: f"http://{metrics}{container()[f'{name}Probe']['httpGet']['path']}"
        for name in ("startup", "readiness", "liveness")
    }
    assert {container()[f"{name}Probe"]["httpGet"]["port"] for name in probes} == {"metrics"}
    with Program(application, *words, port=None, environment={**image_settings(), **replaced}) as program:
        assert httpx.get(f"http://{http}/").status_code == 200
        assert {name: httpx.get(url).status_code for name, url in probes.items()} == dict.fromkeys(
            probes, 200
        )
        subprocess.run([sys.executable, *health[1:]], check=True, timeout=STARTING)
        program.signal(signal.SIGTERM)
        assert eventually(lambda: httpx.get(probes["readiness"]).status_code == 503)
        assert httpx.get(probes["liveness"]).status_code == 200
        assert httpx.get(f"http://{http}/").headers["connection"] == "close"
        assert program.exit_code() == 0
