"""HTTPS: the same exchanges over TLS."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from asgiserve import ClientDisconnected, ConfigError
from tests.asgiserve.applications import Receive, Scope, Send, answer, echo, on_http, piece, start
from tests.asgiserve.raw import GET, GET_AND_CLOSE, get, post
from tests.asgiserve.serving import Moment, Serve

trustme = pytest.importorskip("trustme")


class Certificate:
    """Files of a certificate for localhost, and a context that trusts it."""

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA()
        issued = authority.issue_cert("localhost")
        self.chain = str(directory / "chain.pem")
        self.key = str(directory / "key.pem")
        self.both = str(directory / "both.pem")
        issued.private_key_pem.write_to_path(self.key)
        for blob in issued.cert_chain_pems:
            blob.write_to_path(self.chain, append=True)
        issued.private_key_and_cert_chain_pem.write_to_path(self.both)
        self.client = ssl.create_default_context()
        authority.configure_trust(self.client)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Made once: keys take their time."""
    return Certificate(tmp_path_factory.mktemp("tls"))


def test_scheme_and_exchanges(serve: Serve, certificate: Certificate) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["scheme"] == "https"
        assert scope["client"][0] == "127.0.0.1"
        await echo(scope, receive, send)

    with serve(app, ssl_certfile=certificate.chain, ssl_keyfile=certificate.key) as server:
        assert server.server.addresses[0].startswith("https://")
        with server.connect(certificate.client) as client:
            for body in (b"", b"x" * 1000, b"y" * 500_000):
                client.send(post(body))
                assert client.response().body == body


def test_key_in_the_file_of_the_certificate(serve: Serve, certificate: Certificate) -> None:
    with (
        serve(echo, ssl_certfile=certificate.both) as server,
        server.connect(certificate.client) as client,
    ):
        client.send(GET_AND_CLOSE)
        assert client.response().status == 200
        assert client.closed()


def test_large_response_arrives_whole_before_the_close(serve: Serve, certificate: Certificate) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await answer(send, b"x" * 5_000_000)

    with (
        serve(on_http(handler), ssl_certfile=certificate.both) as server,
        server.connect(certificate.client) as client,
    ):
        client.send(GET_AND_CLOSE)
        assert len(client.response().body) == 5_000_000
        assert client.closed()


def test_refusal_arrives(serve: Serve, certificate: Certificate) -> None:
    with (
        serve(echo, ssl_certfile=certificate.both, max_body_size=10) as server,
        server.connect(certificate.client) as client,
    ):
        client.send(post(b"x" * 10_000))
        assert client.response().status == 413
        assert client.ended()


def test_client_that_leaves(serve: Serve, certificate: Certificate) -> None:
    told: Moment[BaseException] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        try:
            while True:
                await send(piece(b"x" * 65536, more=True))
        except OSError as error:
            told.happen(error)

    with serve(on_http(handler), ssl_certfile=certificate.both) as server:
        with server.connect(certificate.client) as client:
            client.send(GET)
            client.read()
        assert type(told.wait()) is ClientDisconnected


def test_tls_1_2_is_the_oldest(serve: Serve, certificate: Certificate) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname = False
    old.verify_mode = ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with serve(echo, ssl_certfile=certificate.both) as server:
        with pytest.raises((ssl.SSLError, OSError)):
            server.connect(old)
        with server.connect(certificate.client) as client:
            client.send(GET)
            assert client.response().status == 200


def test_http_1_1_is_negotiated(serve: Serve, certificate: Certificate) -> None:
    certificate.client.set_alpn_protocols(["h2", "http/1.1"])
    with (
        serve(echo, ssl_certfile=certificate.both) as server,
        server.connect(certificate.client) as client,
    ):
        assert isinstance(client.socket, ssl.SSLSocket)
        assert client.socket.selected_alpn_protocol() == "http/1.1"


def test_plain_http_on_a_tls_port_does_not_harm(serve: Serve, certificate: Certificate) -> None:
    with serve(echo, ssl_certfile=certificate.both) as server:
        with server.connect() as client:
            client.send(get("/"))
            assert client.ended()
        with server.connect() as client:
            client.reset()
        with server.connect(certificate.client) as client:
            client.send(GET)
            assert client.response().status == 200


def test_client_that_never_shakes_hands_is_closed_in_the_end(
    serve_twice: Serve, certificate: Certificate
) -> None:
    """Its time counts from accept."""
    with (
        serve_twice(echo, ssl_certfile=certificate.both, ssl_handshake_timeout=0.3) as server,
        server.connect() as client,
    ):
        assert client.ended()


def test_files_that_cannot_be_used_are_refused_at_the_start(serve: Serve, certificate: Certificate) -> None:
    with (
        pytest.raises(ConfigError, match=r"ssl_certfile: .*missing\.pem"),
        serve(echo, ssl_certfile="missing.pem"),
    ):
        pass
    with pytest.raises(ConfigError, match="ssl_keyfile"):
        serve(echo, ssl_certfile=certificate.chain, ssl_keyfile=certificate.chain)


def test_stop_does_not_wait_for_idle_clients_to_say_goodbye(serve: Serve, certificate: Certificate) -> None:
    """A client that is not reading does not answer the end of TLS either."""
    with (
        serve(echo, ssl_certfile=certificate.both, shutdown_timeout=60) as server,
        server.connect(certificate.client) as client,
    ):
        client.send(GET)
        client.response()
        server.stop()
        server.stopped()
        assert client.ended()


def test_connection_that_was_to_close_ends_once_the_client_has_everything(
    serve: Serve, certificate: Certificate
) -> None:
    """Even if the client keeps its socket open."""

    async def handler(receive: Receive, send: Send) -> None:
        await answer(send, b"x" * 30_000_000)

    with (
        serve(on_http(handler), ssl_certfile=certificate.both, shutdown_timeout=60) as server,
        server.connect(certificate.client) as client,
    ):
        client.send(GET_AND_CLOSE)
        assert len(client.response().body) == 30_000_000
        assert client.closed()
        server.stop()
        server.stopped()
