"""The certificates of a server: which is shown to whom, what else is agreed on, and files that are wrong."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any, cast

import pytest

from asgiserve import Config, ConfigError
from asgiserve.sockets.listeners import Listener
from asgiserve.tls.certificates import Certificates
from tests.asgiserve.applications import Receive, Scope, Send, answer, hello
from tests.asgiserve.issuing import (
    Issuer,
    SlowHandshake,
    certificate_in,
    connect,
    refused,
    shown,
    tls_of_scope,
)
from tests.asgiserve.program import run_to_end
from tests.asgiserve.raw import GET, Client, eventually
from tests.asgiserve.serving import Serve

from cryptography.hazmat.primitives.serialization import (  # isort: skip  # trustme brings it
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

PASSWORD = "open sesame"


class Files:
    """What a server is given, made once: keys take their time."""

    def __init__(self, directory: Path) -> None:
        self.issuer = Issuer(directory)
        self.default = self.issuer.file_for("localhost")
        self.exact = self.issuer.file_for("a.example.org")
        self.wildcard = self.issuer.file_for("*.example.org")
        self.foreign = self.issuer.file_for("xn--exmple-cua.org")
        self.client = self.issuer.file_for("client@example.org")
        issued = self.issuer.issue("localhost")
        self.chain = str(directory / "chain.pem")
        self.key = str(directory / "key.pem")
        self.encrypted = str(directory / "encrypted.pem")
        issued.cert_chain_pems[0].write_to_path(self.chain)
        issued.private_key_pem.write_to_path(self.key)
        key = load_pem_private_key(issued.private_key_pem.bytes(), None)
        lock = BestAvailableEncryption(PASSWORD.encode())
        Path(self.encrypted).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock))
        self.rsa_key = str(directory / "rsa_key.pem")
        self.issuer.issue("localhost", rsa=True).private_key_pem.write_to_path(self.rsa_key)
        self.empty = str(directory / "empty.pem")
        Path(self.empty).write_bytes(b"")
        self.torn = str(directory / "torn.pem")
        Path(self.torn).write_text("\n".join(certificate_in(self.chain).splitlines()[:-2]))
        self.spoiled = str(directory / "spoiled.pem")
        Path(self.spoiled).write_text(Path(self.default).read_text().replace("\nMII", "\nMIII"))

    @property
    def settings(self) -> dict[str, Any]:
        """A default certificate, and others by name, one of them with its key in a file of its own."""
        names = (
            f"a.example.org={self.exact}",
            f"*.example.org={self.wildcard}",
            f"EXÄMPLE.org={self.foreign}",
            f"apart.test={self.chain},{self.key}",
        )
        return {"ssl_certfile": self.default, "ssl_sni": names}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("certificates"))


# Names


def test_certificate_is_that_of_the_name_that_a_client_asks_for(serve: Serve, files: Files) -> None:
    """And the scope has the one that was sent."""
    expected = {
        "a.example.org": files.exact,
        "A.Example.ORG": files.exact,
        "b.example.org": files.wildcard,
        "B.EXAMPLE.org": files.wildcard,
        "c.b.example.org": files.default,
        "example.org": files.default,
        "exämple.org": files.foreign,
        "apart.test": files.chain,
        "localhost": files.default,
        "org": files.default,
        None: files.default,
    }
    with serve(tls_of_scope, **files.settings) as server:
        for name, file in expected.items():
            with connect(server.address, files.issuer.client(), name) as client:
                assert shown(client) == certificate_in(file), name
                client.send(GET)
                assert client.response().body.decode() == certificate_in(file), name


def test_all_names_have_the_same_settings(serve: Serve, files: Files) -> None:
    settings = files.settings | {
        "ssl_ca_certs": files.issuer.file,
        "ssl_cert_reqs": 2,
        "ssl_minimum_version": "1.3",
    }
    known = files.issuer.client(files.client)
    known.set_alpn_protocols(["h2", "http/1.1"])
    with serve(tls_of_scope, **settings) as server:
        for name in ("localhost", "a.example.org", "b.example.org"):
            assert refused(server.address, files.issuer.client(), name)
            assert refused(server.address, files.issuer.client(files.client, version="1_2"), name)
            with connect(server.address, known, name) as client:
                assert cast(ssl.SSLSocket, client.socket).selected_alpn_protocol() == "http/1.1"
                client.send(GET)
                assert "trustme" in client.response()["client"]


@pytest.mark.parametrize("version", ["1_2", "1_3"])
def test_session_of_a_name_is_resumed(serve: Serve, files: Files, version: str) -> None:
    context = files.issuer.client(version=version)
    session: ssl.SSLSession | None = None
    with serve(tls_of_scope, **files.settings) as server:
        for resumed in (False, True):
            with connect(server.address, context, "a.example.org", session) as client:
                client.send(GET)
                assert client.response().body.decode() == certificate_in(files.exact)
                session = cast(ssl.SSLSocket, client.socket).session
                assert cast(ssl.SSLSocket, client.socket).session_reused is resumed


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("", "write NAME=CERTFILE"),
        ("example.org", "write NAME=CERTFILE"),
        ("=a.pem", "write NAME=CERTFILE"),
        ("example.org=", "write NAME=CERTFILE"),
        ("example.org=a.pem,", "write NAME=CERTFILE"),
        ("*=a.pem", "write NAME=CERTFILE"),
        ("a*.example.org=a.pem", "write NAME=CERTFILE"),
        ("a.*.org=a.pem", "write NAME=CERTFILE"),
        ("a..org=a.pem", "write NAME=CERTFILE"),
        (f"{'a' * 64}.org=a.pem", "write NAME=CERTFILE"),
        ("a b.org=a.pem", "write NAME=CERTFILE"),
        ("LOCALHOST=b.pem", "has two certificates"),
        ("example.org=missing.pem", "cannot load .*missing.pem"),
    ],
)
def test_wrong_entry_of_the_table_of_names_is_quoted(files: Files, entry: str, why: str) -> None:
    names = (f"localhost={files.default}", entry)
    with pytest.raises(ConfigError, match=f"^ssl_sni: .*{why}") as caught:
        Certificates(Config(app=hello, ssl_certfile=files.default, ssl_sni=names)).context()
    assert entry.partition("=")[2] in str(caught.value)


# What is agreed on beside the certificate


def test_oldest_version_may_be_1_3(serve: Serve, files: Files) -> None:
    with serve(hello, ssl_certfile=files.default, ssl_minimum_version="1.3") as server:
        assert refused(server.address, files.issuer.client(version="1_2"))
        assert not refused(server.address, files.issuer.client(version="1_3"))


def test_ciphers_of_tls_1_2_are_those_of_the_setting(serve: Serve, files: Files) -> None:
    """Those of TLS 1.3 stay as they are."""
    few, other = files.issuer.client(version="1_2"), files.issuer.client(version="1_2")
    other.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    chosen = "ECDHE-ECDSA-CHACHA20-POLY1305"
    with serve(hello, ssl_certfile=files.default, ssl_ciphers=chosen) as server:
        with connect(server.address, few) as client:
            cipher = cast(ssl.SSLSocket, client.socket).cipher()
            assert cipher is not None
            assert cipher[0] == chosen
        assert refused(server.address, other)
        assert not refused(server.address, files.issuer.client(version="1_3"))


def test_client_of_http_2_alone_gets_no_protocol_and_http_1_1(serve: Serve, files: Files) -> None:
    """RFC 7301 §3.2 would have it refused; Python's ssl cannot."""
    context = files.issuer.client()
    context.set_alpn_protocols(["h2"])
    with serve(hello, ssl_certfile=files.default) as server, connect(server.address, context) as client:
        assert cast(ssl.SSLSocket, client.socket).selected_alpn_protocol() is None
        client.send(GET)
        assert client.response().status == 200


def test_handshake_that_is_never_finished_is_cut(serve_twice: Serve, files: Files) -> None:
    with (
        serve_twice(hello, ssl_certfile=files.default, ssl_handshake_timeout=0.3) as server,
        server.connect() as half,
        SlowHandshake(server.address, files.issuer.client()) as whole,
    ):
        half.send(whole.hello[:100])
        assert half.ended()
        assert whole.client.ended()


def test_handshake_in_progress_is_finished_when_another_process_takes_over(
    serve_twice: Serve, files: Files
) -> None:
    """Then there is time for one request; nothing that has reached the server is lost."""
    with (
        serve_twice(hello, ssl_certfile=files.default) as server,
        SlowHandshake(server.address, files.issuer.client()) as slow,
    ):
        slow.client.socket.recv(1, socket.MSG_PEEK)  # the server has accepted, and answers
        server._loop.call_soon_threadsafe(server.server.retire)
        assert eventually(lambda: not accepts(server.address))
        response = slow.response_to(GET)
        assert response.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nconnection: close\r\n" in response.lower()
        server.stopped()


def test_handshake_in_progress_does_not_hold_up_the_end(serve_twice: Serve, files: Files) -> None:
    with (
        serve_twice(hello, ssl_certfile=files.default, shutdown_timeout=60) as server,
        SlowHandshake(server.address, files.issuer.client()) as slow,
    ):
        slow.client.socket.recv(1, socket.MSG_PEEK)
        server.stop()
        server.stopped()
        assert slow.client.ended()


def accepts(address: Any) -> bool:
    """Whether somebody listens."""
    try:
        Client(address).close()
    except ConnectionRefusedError:
        return False
    return True


def test_listeners_with_and_without_tls_side_by_side(serve: Serve, files: Files) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, f"{scope['scheme']} {'tls' in scope['extensions']}".encode())

    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    encrypted, plain = [sock.getsockname() for sock in sockets]
    listeners: Any = [Listener(sock, tls) for sock, tls in zip(sockets, (True, False), strict=True)]
    with serve(app, listeners, ssl_certfile=files.default) as server:
        assert [url.partition(":")[0] for url in server.server.addresses] == ["https", "http"]
        with connect(encrypted, files.issuer.client()) as client:
            client.send(GET)
            assert client.response().body == b"https True"
        with Client(plain) as client:
            client.send(GET)
            assert client.response().body == b"http False"


def test_listener_with_tls_needs_a_certificate(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        listeners: Any = [Listener(sock, tls=True)]
        with pytest.raises(ConfigError, match="ssl_certfile"), serve(hello, listeners):
            pass


# Files


def test_key_that_is_encrypted(serve: Serve, files: Files) -> None:
    settings = {"ssl_certfile": files.chain, "ssl_keyfile": files.encrypted, "ssl_keyfile_password": PASSWORD}
    with serve(tls_of_scope, **settings) as server, connect(server.address, files.issuer.client()) as client:
        client.send(GET)
        assert client.response().body.decode() == certificate_in(files.chain)


def settings_of(files: Files, text: str) -> dict[str, Any]:
    """Settings such as ``certfile=chain keyfile=key``, with the names of files replaced by their paths."""
    pairs = (word.partition("=") for word in text.split())
    return {f"ssl_{name}": getattr(files, value, value) for name, _, value in pairs}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("certfile=missing.pem", "certfile missing.pem"),
        ("certfile=empty", "certfile empty"),
        ("certfile=torn keyfile=key", "certfile torn"),
        ("certfile=spoiled", "certfile spoiled"),
        ("certfile=key", "certfile key"),
        ("certfile=chain", "certfile chain"),
        ("certfile=chain keyfile=missing.pem", "keyfile missing.pem"),
        ("certfile=chain keyfile=empty", "keyfile empty"),
        ("certfile=chain keyfile=chain", "keyfile chain"),
        ("certfile=chain keyfile=default", "keyfile chain default"),
        ("certfile=chain keyfile=rsa_key", "keyfile chain rsa_key"),
        ("certfile=chain keyfile=encrypted", "keyfile_password encrypted"),
        ("certfile=chain keyfile=encrypted keyfile_password=wrong", "keyfile_password encrypted"),
        (f"certfile=chain keyfile=encrypted keyfile_password={'x' * 2000}", "keyfile_password encrypted"),
        ("certfile=default ca_certs=missing.pem", "ca_certs missing.pem"),
        ("certfile=default ca_certs=empty", "ca_certs empty"),
        ("certfile=default ciphers=NONE-OF-THEM", "ciphers NONE-OF-THEM"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_setting(files: Files, text: str, names: str) -> None:
    setting, *places = names.split()
    with pytest.raises(ConfigError, match=f"^ssl_{setting}: ") as caught:
        Certificates(Config(app=hello, **settings_of(files, text))).context()
    for place in places:
        assert getattr(files, place, place) in str(caught.value)


def test_file_that_may_not_be_read_is_named(files: Files, tmp_path: Path) -> None:
    """A directory stands for one, because root may read everything."""
    with pytest.raises(ConfigError, match=f"^ssl_keyfile: cannot load {tmp_path}: Is a directory"):
        Certificates(Config(app=hello, ssl_certfile=files.chain, ssl_keyfile=str(tmp_path))).context()


@pytest.mark.parametrize("setting", ["ssl_keyfile", "ssl_ca_certs", "ssl_sni"])
def test_settings_that_need_a_certificate_beside_them(setting: str) -> None:
    value: Any = ("example.org=a.pem",) if setting == "ssl_sni" else "a.pem"
    with pytest.raises(ConfigError, match=f"^{setting}: it needs ssl_certfile"):
        Config(app=hello, **{setting: value})


@pytest.mark.parametrize("workers", ["1", "2"])
def test_wrong_files_end_the_command_before_it_listens(files: Files, tmp_path: Path, workers: str) -> None:
    """Or starts a worker; and OpenSSL asks nobody for a password."""
    flags = ["--ssl-certfile", files.chain, "--ssl-keyfile", files.encrypted, "--workers", workers]
    path = tmp_path / "socket"
    ended = run_to_end("tests.asgiserve.applications:program", "--uds", str(path), *flags)
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"asgiserve: ssl_keyfile_password: the key in {files.encrypted} is encrypted")
    assert not path.exists()
    assert not ended.stdout
