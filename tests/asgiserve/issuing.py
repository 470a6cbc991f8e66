"""Certificates made for a test, and connections that ask for one by name and tell what they were shown."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.asgiserve.applications import Receive, Scope, Send, answer
from tests.asgiserve.raw import Client

trustme = pytest.importorskip("trustme")


class Issuer:
    """An authority, the files of what it issues, and the contexts of clients that trust it."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.authority = trustme.CA()
        self.file = str(directory / "authority.pem")
        self.authority.cert_pem.write_to_path(self.file)

    def issue(self, *names: str, rsa: bool = False) -> Any:
        """A certificate for some names, as trustme has it."""
        kind = trustme.KeyType.RSA if rsa else trustme.KeyType.ECDSA
        return self.authority.issue_cert(*names, key_type=kind)

    def file_for(self, *names: str) -> str:
        """The name of a file with a new certificate for some names, and its key."""
        file = self.directory / f"{names[0].replace('*', 'any')}-{len(os.listdir(self.directory))}.pem"
        self.issue(*names).private_key_and_cert_chain_pem.write_to_path(file)
        return str(file)

    def client(self, certificate: str | None = None, *, version: str = "") -> ssl.SSLContext:
        """The context of a client that trusts this authority, whatever name it has certified."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the authorities of the system take 30 ms
        context.check_hostname = False
        self.authority.configure_trust(context)
        if version:
            context.minimum_version = context.maximum_version = ssl.TLSVersion[f"TLSv{version}"]
        if certificate is not None:
            context.load_cert_chain(certificate)
        return context


def replace(file: str | Path, content: bytes) -> None:
    """Put `content` in the place of a file at once, as who renews certificates ought to."""
    new = Path(f"{file}.new")
    new.write_bytes(content)
    new.replace(file)


def certificate_in(file: str) -> str:
    """The first certificate of a file, as PEM."""
    text = Path(file).read_text()
    end = "-----END CERTIFICATE-----\n"
    return text[text.index("-----BEGIN CERTIFICATE-----") : text.index(end) + len(end)]


def connect(
    address: Any,
    context: ssl.SSLContext,
    name: str | None = "localhost",
    session: ssl.SSLSession | None = None,
) -> Client:
    """A connection that asks for the certificate of a name."""
    client = Client(address)
    try:
        client.socket = context.wrap_socket(client.socket, server_hostname=name, session=session)
    except BaseException:
        client.close()
        raise
    return client


class SlowHandshake:
    """A connection of TLS whose client has sent its first message, and for the moment no more."""

    def __init__(self, address: Any, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._end = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        with contextlib.suppress(ssl.SSLWantReadError):
            self._end.do_handshake()
        self.hello = self._outgoing.read()
        self.client = Client(address)
        self.client.send(self.hello)

    def __enter__(self) -> SlowHandshake:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def response_to(self, request: bytes) -> bytes:
        """Finish the handshake, send a request, and return what comes until the server closes."""
        response = b""
        steps: list[Callable[[], Any]] = [self._end.do_handshake, lambda: self._end.write(request)]
        while True:
            try:
                while steps:
                    steps[0]()
                    steps.pop(0)
                    self.client.send(self._outgoing.read())
                while more := self._end.read(65536):
                    response += more
                return response
            except ssl.SSLWantReadError:
                self._incoming.write(self.client.read())
            except ssl.SSLZeroReturnError:
                return response


def shown(client: Client) -> str:
    """The certificate that the server has shown to a client, as PEM."""
    assert isinstance(client.socket, ssl.SSLSocket)
    certificate = client.socket.getpeercert(binary_form=True)
    assert certificate is not None
    return ssl.DER_cert_to_PEM_cert(certificate)


def refused(
    address: Any, context: ssl.SSLContext, name: str = "localhost", session: ssl.SSLSession | None = None
) -> bool:
    """Whether a client with this context is not served."""
    try:
        with connect(address, context, name, session) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            return not client.read()  # in TLS 1.3 the client is ready before the server has judged it
    except (ssl.SSLError, ConnectionError):
        return True


async def tls_of_scope(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer who the client is, by its certificate, and the certificate that it was shown by its scope."""
    tls = scope["extensions"]["tls"]
    await answer(
        send, tls["server_cert"].encode(), headers=[(b"client", repr(tls["client_cert_name"]).encode())]
    )
