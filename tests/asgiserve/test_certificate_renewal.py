"""Certificates that are replaced while the server runs: by a look at their files, and by SIGHUP."""

from __future__ import annotations

import gc
import os
import signal
import ssl
import time
import weakref
from pathlib import Path
from typing import Any, cast

import pytest

from asgiserve.tls import renewal
from tests.asgiserve.applications import hello
from tests.asgiserve.issuing import (
    Issuer,
    certificate_in,
    connect,
    refused,
    replace,
    shown,
    tls_of_scope,
)
from tests.asgiserve.program import Program
from tests.asgiserve.raw import GET, eventually, get
from tests.asgiserve.serving import Serve, Serving


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    """Made once: keys take their time."""
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files are looked at often, as tests are impatient."""
    monkeypatch.setattr(renewal, "INTERVAL", 0.05)


def is_shown(address: Any, context: ssl.SSLContext, file: str, name: str = "localhost") -> bool:
    """Whether new connections get to see the certificate of a file."""
    with connect(address, context, name) as client:
        return shown(client) == certificate_in(file)


def wait_until_shown(address: Any, issuer: Issuer, file: str, name: str = "localhost") -> None:
    context = issuer.client()
    assert eventually(lambda: is_shown(address, context, file, name)), f"{file} is not shown"


def errors(server: Serving) -> list[str]:
    return [line for line in server.records.lines if line.startswith("ERROR")]


@pytest.mark.usefixtures("often")
def test_new_files_are_for_new_connections_and_old_ones_go_on(
    serve: Serve, issuer: Issuer, tmp_path: Path
) -> None:
    file = str(tmp_path / "server.pem")
    old, new = issuer.file_for("localhost"), issuer.file_for("localhost")
    replace(file, Path(old).read_bytes())
    with serve(tls_of_scope, ssl_certfile=file) as server:
        with connect(server.address, issuer.client()) as client:
            for _ in range(2):
                client.send(GET)
                assert client.response().body.decode() == certificate_in(old)
                replace(file, Path(new).read_bytes())
                wait_until_shown(server.address, issuer, new)
        with connect(server.address, issuer.client()) as client:
            client.send(GET)
            assert client.response().body.decode() == certificate_in(new)
        server.records.wait("INFO", "read again")


@pytest.mark.usefixtures("often")
def test_files_that_are_broken_are_told_of_once_and_mended_later(
    serve: Serve, issuer: Issuer, tmp_path: Path
) -> None:
    file = str(tmp_path / "server.pem")
    old, new = issuer.file_for("localhost"), issuer.file_for("localhost")
    replace(file, Path(old).read_bytes())
    with serve(hello, ssl_certfile=file) as server:
        replace(file, Path(new).read_bytes()[:-200])
        server.records.wait("ERROR", "the certificates in use stay", file)
        time.sleep(10 * renewal.INTERVAL)
        assert is_shown(server.address, issuer.client(), old)
        assert len(errors(server)) == 1
        os.unlink(file)
        server.records.wait("ERROR", f"ssl_certfile: cannot load {file}: No such file or directory")
        assert is_shown(server.address, issuer.client(), old)
        replace(file, Path(new).read_bytes())
        wait_until_shown(server.address, issuer, new)
        assert len(errors(server)) == 2


@pytest.mark.usefixtures("often")
def test_certificate_and_key_may_be_replaced_one_after_the_other(
    serve_twice: Serve, issuer: Issuer, tmp_path: Path
) -> None:
    """By a key of another kind, which OpenSSL would keep beside the old one."""
    chain, key = str(tmp_path / "chain.pem"), str(tmp_path / "key.pem")
    old, new = issuer.issue("localhost"), issuer.issue("localhost", rsa=True)
    old.cert_chain_pems[0].write_to_path(chain)
    old.private_key_pem.write_to_path(key)
    with serve_twice(tls_of_scope, ssl_certfile=chain, ssl_keyfile=key) as server:
        replace(chain, new.cert_chain_pems[0].bytes())
        server.records.wait("ERROR", f"ssl_keyfile: the key in {key} does not belong")
        assert not is_shown(server.address, issuer.client(), chain)
        replace(key, new.private_key_pem.bytes())
        wait_until_shown(server.address, issuer, chain)
        only_old_kind = issuer.client(version="1_2")
        only_old_kind.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        assert refused(server.address, only_old_kind)


@pytest.mark.usefixtures("often")
def test_links_that_lead_elsewhere(serve_twice: Serve, issuer: Issuer, tmp_path: Path) -> None:
    """As Kubernetes replaces secrets: all links lead through one, which is replaced."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        issued = issuer.issue("localhost")
        issued.cert_chain_pems[0].write_to_path(tmp_path / name / "tls.crt")
        issued.private_key_pem.write_to_path(tmp_path / name / "tls.key")
    (tmp_path / "data").symlink_to("first")
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).symlink_to(f"data/{name}")
    settings = {"ssl_certfile": str(tmp_path / "tls.crt"), "ssl_keyfile": str(tmp_path / "tls.key")}
    with serve_twice(hello, **settings) as server:
        (tmp_path / "new").symlink_to("second")
        (tmp_path / "new").replace(tmp_path / "data")
        wait_until_shown(server.address, issuer, str(tmp_path / "second" / "tls.crt"))


@pytest.mark.usefixtures("often")
def test_certificate_of_one_name_is_renewed(serve_twice: Serve, issuer: Issuer, tmp_path: Path) -> None:
    default, file = issuer.file_for("localhost"), str(tmp_path / "named.pem")
    replace(file, Path(issuer.file_for("a.test")).read_bytes())
    with serve_twice(hello, ssl_certfile=default, ssl_sni=(f"a.test={file}",)) as server:
        new = issuer.file_for("a.test")
        replace(file, Path(new).read_bytes())
        wait_until_shown(server.address, issuer, new, "a.test")
        assert is_shown(server.address, issuer.client(), default)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("version", ["1_2", "1_3"])
def test_authority_that_is_no_longer_trusted(
    serve_twice: Serve, issuer: Issuer, tmp_path: Path, version: str
) -> None:
    """Its clients are refused, with a session of before as well; who is connected stays so."""
    other = Issuer(tmp_path / "other")
    file = str(tmp_path / "authorities.pem")
    replace(file, Path(issuer.file).read_bytes())
    old = issuer.client(issuer.file_for("client.test"), version=version)
    new = issuer.client(other.file_for("client.test"), version=version)
    settings: dict[str, Any] = {"ssl_ca_certs": file, "ssl_cert_reqs": 2}
    with (
        serve_twice(hello, ssl_certfile=issuer.file_for("localhost"), **settings) as server,
        connect(server.address, old) as client,
    ):
        client.send(GET)
        client.response()
        session = cast(ssl.SSLSocket, client.socket).session
        assert refused(server.address, new)
        replace(file, Path(other.file).read_bytes())
        assert eventually(lambda: not refused(server.address, new))
        assert refused(server.address, old)
        assert refused(server.address, old, session=session)
        client.send(GET)
        assert client.response().status == 200


def test_what_is_no_longer_in_use_is_freed(serve_twice: Serve, issuer: Issuer) -> None:
    default, named = issuer.file_for("localhost"), issuer.file_for("a.test")
    with serve_twice(hello, ssl_certfile=default, ssl_sni=(f"a.test={named}",)) as server:
        assert server.server._renewal is not None
        old = weakref.ref(server.server._renewal.context.current)
        with connect(server.address, issuer.client(), "a.test") as client:
            client.send(GET)
            client.response()
        server._loop.call_soon_threadsafe(server.server.reload_certificates)
        server.records.wait("INFO", "read again")
        assert eventually(lambda: bool(gc.collect() >= 0 and old() is None))


# The command


def address_of(program: Program) -> tuple[str, int]:
    return ("127.0.0.1", int(program.url.rpartition(":")[2]))


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_SIGHUP_reads_them_at_once(issuer: Issuer, tmp_path: Path, loop: str) -> None:
    file = str(tmp_path / "server.pem")
    old, new = issuer.file_for("localhost"), issuer.file_for("localhost")
    replace(file, Path(old).read_bytes())
    flags = ("--loop", loop, "--ssl-certfile", file)
    with (
        Program("program", *flags) as program,
        connect(address_of(program), issuer.client()) as client,
    ):
        client.send(GET)
        client.response()
        program.signal(signal.SIGHUP)  # nothing has changed, so it can only be the signal
        program.wait_for("the certificates were read again")
        replace(file, b"")
        program.signal(signal.SIGHUP)
        program.wait_for(f"in use stay: ssl_certfile: there is no certificate (PEM) in {file}")
        assert is_shown(address_of(program), issuer.client(), old)
        replace(file, Path(new).read_bytes())
        program.signal(signal.SIGHUP)
        wait_until_shown(address_of(program), issuer, new)
        client.send(get("/"))
        assert client.response().status == 200
        program.signal(signal.SIGTERM)
        assert program.exit_code() == 0


def test_SIGHUP_without_tls_does_no_harm() -> None:
    with Program("program") as program, program.connect() as client:
        program.signal(signal.SIGHUP)
        program.wait_for("there are no certificates to read again")
        client.send(GET)
        assert client.response().status == 200
        program.signal(signal.SIGTERM)
        assert program.exit_code() == 0


def test_SIGHUP_to_workers_brings_the_new_certificate(issuer: Issuer, tmp_path: Path) -> None:
    file = str(tmp_path / "server.pem")
    replace(file, Path(issuer.file_for("localhost")).read_bytes())
    new = issuer.file_for("localhost")
    with Program("program", "--workers", "2", "--ssl-certfile", file, ready="worker 2 (pid") as program:
        program.wait_for("serves", times=2)
        replace(file, Path(new).read_bytes())
        program.signal(signal.SIGHUP)
        program.wait_for("ended (exit code 0)", times=2)
        context = issuer.client()
        for _ in range(4):
            assert is_shown(address_of(program), context, new)
        program.signal(signal.SIGTERM)
        assert program.exit_code() == 0
