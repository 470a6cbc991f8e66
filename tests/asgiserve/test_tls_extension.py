"""What a scope tells of TLS (ASGI TLS 0.2, X8), and clients that show a certificate."""

from __future__ import annotations

import datetime
import itertools
import re
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from asgiserve import Config, ConfigError
from tests.asgiserve.applications import Receive, Scope, Send, answer, hello
from tests.asgiserve.program import Program
from tests.asgiserve.raw import GET, Client, get
from tests.asgiserve.serving import Serve

trustme = pytest.importorskip("trustme")

from cryptography import x509  # noqa: E402  # trustme brings it
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from cryptography.x509.name import _ASN1Type  # noqa: E402
from cryptography.x509.oid import NameOID  # noqa: E402

#: Numbers of IANA's registry of cipher suites.
SUITES_OF_TLS_1_3 = {
    "TLS_AES_128_GCM_SHA256": 0x1301,
    "TLS_AES_256_GCM_SHA384": 0x1302,
    "TLS_CHACHA20_POLY1305_SHA256": 0x1303,
}
SUITES_OF_TLS_1_2 = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": 0xC02B,
    "ECDHE-ECDSA-AES256-GCM-SHA384": 0xC02C,
    "ECDHE-ECDSA-CHACHA20-POLY1305": 0xCCA9,
}

#: For how long the certificates that are made here are valid, before and after now.
DAY = datetime.timedelta(days=1)


class Authority:
    """Issues certificates to a server and to its clients."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._root = trustme.CA()
        self._middle = self._root.create_child_ca()
        self.certificates = str(directory / "authority.pem")
        self._root.cert_pem.write_to_path(self.certificates)
        self.certificate = self._root.cert_pem.bytes().decode()
        issued = self._middle.issue_cert("localhost")
        self.server = str(directory / "server.pem")
        self.server_alone = str(directory / "server_alone.pem")
        self.middle = str(directory / "middle.pem")
        issued.private_key_and_cert_chain_pem.write_to_path(self.server)
        issued.private_key_pem.write_to_path(self.server_alone)
        issued.cert_chain_pems[0].write_to_path(self.server_alone, append=True)
        issued.cert_chain_pems[1].write_to_path(self.middle)

    def settings(self, requirement: int = 0) -> dict[str, Any]:
        """The settings of a server that asks for the certificates of this authority."""
        return {
            "ssl_certfile": self.server,
            "ssl_ca_certs": self.certificates,
            "ssl_cert_reqs": requirement,
        }

    def client(self, certificate: str | None = None) -> ssl.SSLContext:
        """The context of a client that trusts the server, with a certificate of its own or without one."""
        context = ssl.create_default_context()
        self._root.configure_trust(context)
        if certificate is not None:
            context.load_cert_chain(certificate)
        return context

    def short_chain(self, subject: x509.Name) -> str:
        """A client certificate for `subject`, issued by the root."""
        return self._issue(self._root, subject)

    def long_chain(self, subject: x509.Name) -> str:
        """A client certificate for `subject`, issued by an intermediate authority, and that one's."""
        return self._issue(self._middle, subject, behind=self._middle.cert_pem.bytes())

    def _issue(self, issuer: Any, subject: x509.Name, behind: bytes = b"") -> str:
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(x509.load_pem_x509_certificate(issuer.cert_pem.bytes()).subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
        )
        issuer_key = serialization.load_pem_private_key(issuer.private_key_pem.bytes(), None)
        assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
        path = self.directory / f"client{len(list(self.directory.iterdir()))}.pem"
        path.write_bytes(
            builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
            + behind
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return str(path)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Made once: keys take their time."""
    return Authority(tmp_path_factory.mktemp("authority"))


def name(*parts: tuple[x509.ObjectIdentifier, str] | list[tuple[x509.ObjectIdentifier, str]]) -> x509.Name:
    """A distinguished name of these parts, each of one attribute or of a list of them."""
    return x509.Name(
        x509.RelativeDistinguishedName(
            x509.NameAttribute(*attribute) for attribute in (part if isinstance(part, list) else [part])
        )
        for part in parts
    )


ADA = name((NameOID.COUNTRY_NAME, "GB"), (NameOID.COMMON_NAME, "Ada"))


class Seen:
    """An application that keeps the scopes of its requests."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await answer(send)

    @property
    def tls(self) -> dict[str, Any]:
        """What the last scope tells of TLS."""
        told: dict[str, Any] = self.scopes[-1]["extensions"]["tls"]
        return told


def told(serve: Serve, client: ssl.SSLContext, **settings: Any) -> dict[str, Any]:
    """What the scope of a request over TLS tells of it."""
    app = Seen()
    with serve(app, **settings) as server, server.connect(client) as connection:
        connection.send(GET)
        assert connection.response().status == 200
    return app.tls


def certificates(pem: str) -> x509.Certificate:
    """The only certificate of a text."""
    [found] = x509.load_pem_x509_certificates(pem.encode())
    return found


def test_X8_connection_without_tls_has_no_such_extension(serve: Serve) -> None:
    app = Seen()
    with serve(app) as server:
        server.ask(GET)
    assert "tls" not in app.scopes[0]["extensions"]


def test_X8_UNIX_socket_has_no_such_extension(serve: Serve, tmp_path: Path) -> None:
    app = Seen()
    with serve(app, uds=str(tmp_path / "socket")) as server:
        server.ask(GET)
    assert "tls" not in app.scopes[0]["extensions"]


def test_X8_UNIX_socket_with_tls_has_it(serve: Serve, authority: Authority, tmp_path: Path) -> None:
    tls = told(serve, authority.client(), ssl_certfile=authority.server, uds=str(tmp_path / "socket"))
    assert tls["tls_version"] == 0x0304


def test_X8_keys_and_types_without_a_client_certificate(serve: Serve, authority: Authority) -> None:
    tls = told(serve, authority.client(), ssl_certfile=authority.server)
    assert type(tls) is dict
    assert {key: type(value) for key, value in tls.items() if key != "client_cert_chain"} == {
        "server_cert": str,
        "tls_version": int,
        "cipher_suite": int,
        "client_cert_name": type(None),
        "client_cert_error": type(None),
    }
    assert list(tls["client_cert_chain"]) == []


def test_X8_server_cert_is_the_one_that_the_client_sees(serve: Serve, authority: Authority) -> None:
    """The first certificate of the file, whatever stands before and after it."""
    app = Seen()
    with (
        serve(app, ssl_certfile=authority.server) as server,
        server.connect(authority.client()) as client,
    ):
        client.send(GET)
        client.response()
        assert isinstance(client.socket, ssl.SSLSocket)
        shown = client.socket.getpeercert(binary_form=True)
    assert shown is not None
    assert app.tls["server_cert"] == ssl.DER_cert_to_PEM_cert(shown)
    assert certificates(app.tls["server_cert"]).public_bytes(serialization.Encoding.DER) == shown


def test_X8_server_cert_of_a_file_that_was_written_elsewhere(
    serve: Serve, authority: Authority, tmp_path: Path
) -> None:
    """With text before it, lines of another length, and another operating system's ends of lines."""
    text = Path(authority.server).read_text()
    key, certificate = re.findall("-----BEGIN .*?-----END [A-Z ]*-----\n", text, re.DOTALL)[:2]
    base64 = "".join(certificate.splitlines()[1:-1])
    lines = [base64[start : start + 76] for start in range(0, len(base64), 76)]
    file = tmp_path / "elsewhere.pem"
    block = ["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""]
    file.write_bytes("\r\n".join([*key.splitlines(), "", "subject=CN = localhost", *block]).encode())
    careless = ssl._create_unverified_context()  # the intermediate certificate is missing
    tls = told(serve, careless, ssl_certfile=str(file))
    assert tls["server_cert"].strip() == certificate.strip()


def test_X8_server_cert_in_the_format_of_OpenSSL_is_not_given(
    serve: Serve, authority: Authority, tmp_path: Path
) -> None:
    """A TRUSTED CERTIFICATE holds more than the client sees; the one behind it is another one."""
    [own] = x509.load_pem_x509_certificates(Path(authority.server_alone).read_bytes())
    trusted = own.public_bytes(serialization.Encoding.DER) + b"\x30\x00"  # nothing more is said
    text = Path(authority.server_alone).read_text()
    key = text[: text.index("-----BEGIN CERTIFICATE")]
    file = tmp_path / "trusted.pem"
    block = ssl.DER_cert_to_PEM_cert(trusted).replace(" CERTIFICATE", " TRUSTED CERTIFICATE")
    file.write_text(key + block + Path(authority.middle).read_text())
    tls = told(serve, authority.client(), ssl_certfile=str(file))
    assert tls["server_cert"] is None
    assert tls["tls_version"] == 0x0304


def test_X8_tls_1_3(serve: Serve, authority: Authority) -> None:
    context = authority.client()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    app = Seen()
    with serve(app, ssl_certfile=authority.server) as server, server.connect(context) as client:
        client.send(GET)
        client.response()
        assert isinstance(client.socket, ssl.SSLSocket)
        cipher = client.socket.cipher()
    assert cipher is not None
    assert app.tls["tls_version"] == 0x0304
    assert app.tls["cipher_suite"] == SUITES_OF_TLS_1_3[cipher[0]]


@pytest.mark.parametrize("suite", SUITES_OF_TLS_1_2)
def test_X8_tls_1_2(serve: Serve, authority: Authority, suite: str) -> None:
    context = authority.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suite)
    tls = told(serve, context, ssl_certfile=authority.server)
    assert tls["tls_version"] == 0x0303
    assert tls["cipher_suite"] == SUITES_OF_TLS_1_2[suite]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("requirement", [1, 2])
def test_X8_client_certificate(
    serve: Serve, authority: Authority, version: ssl.TLSVersion, requirement: int
) -> None:
    file = authority.short_chain(ADA)
    context = authority.client(file)
    context.minimum_version = context.maximum_version = version
    tls = told(serve, context, **authority.settings(requirement))
    first, *_ = tls["client_cert_chain"]
    assert first.strip() in Path(file).read_text()
    assert tls["client_cert_name"] == "CN=Ada,C=GB"
    assert tls["client_cert_error"] is None


def test_X8_chain_of_client_certificates(serve: Serve, authority: Authority) -> None:
    """The client's own first, and each signs the one before it."""
    file = authority.long_chain(ADA)
    tls = told(serve, authority.client(file), **authority.settings(2))
    chain = [certificates(member) for member in tls["client_cert_chain"]]
    assert [member.public_bytes(serialization.Encoding.DER) for member in chain[:2]] == [
        member.public_bytes(serialization.Encoding.DER)
        for member in x509.load_pem_x509_certificates(Path(file).read_bytes())
    ]
    assert tls["client_cert_name"] == chain[0].subject.rfc4514_string()
    for member, issuer in itertools.pairwise(chain):
        member.verify_directly_issued_by(issuer)


@pytest.mark.parametrize("requirement", [0, 1])
def test_X8_client_without_a_certificate_where_none_is_required(
    serve: Serve, authority: Authority, requirement: int
) -> None:
    tls = told(serve, authority.client(), **authority.settings(requirement))
    assert list(tls["client_cert_chain"]) == []
    assert tls["client_cert_name"] is None
    assert tls["client_cert_error"] is None


def test_X8_certificate_that_nobody_asked_for(serve: Serve, authority: Authority) -> None:
    client = authority.client(authority.short_chain(ADA))
    tls = told(serve, client, **authority.settings(0))
    assert list(tls["client_cert_chain"]) == []
    assert tls["client_cert_name"] is None


def test_X8_it_is_found_out_once_for_a_connection(serve: Serve, authority: Authority) -> None:
    """And what one request does to its scope, the next one does not see."""
    app = Seen()
    client = authority.client(authority.short_chain(ADA))
    with serve(app, **authority.settings(1)) as server, server.connect(client) as connection:
        connection.send(GET)
        connection.response()
        first = dict(app.tls)
        app.scopes[0]["extensions"].clear()
        connection.send(GET + get("/third"))
        connection.response()
        connection.response()
    assert app.tls == first
    assert app.tls["client_cert_chain"] is first["client_cert_chain"]
    assert app.scopes[1]["extensions"] is not app.scopes[2]["extensions"]


def test_X8_connections_are_told_apart(serve: Serve, authority: Authority) -> None:
    app = Seen()
    with (
        serve(app, **authority.settings(1)) as server,
        server.connect(authority.client(authority.short_chain(ADA))) as ada,
        server.connect(authority.client()) as nobody,
        server.connect(
            authority.client(authority.short_chain(name((NameOID.COMMON_NAME, "Grace"))))
        ) as grace,
    ):
        for client in (ada, nobody, grace, ada):
            client.send(GET)
            client.response()
    names = [scope["extensions"]["tls"]["client_cert_name"] for scope in app.scopes]
    assert names == ["CN=Ada,C=GB", None, "CN=Grace", "CN=Ada,C=GB"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_X8_resumed_session(serve: Serve, authority: Authority, version: ssl.TLSVersion) -> None:
    """The client shows its certificate the first time alone."""
    app = Seen()
    file = authority.short_chain(ADA)
    context = authority.client(file)
    context.minimum_version = context.maximum_version = version
    session: ssl.SSLSession | None = None
    with serve(app, **authority.settings(2)) as server:
        for resumed in (False, True):
            plain = socket.create_connection(server.address)
            with context.wrap_socket(plain, server_hostname="localhost", session=session) as connection:
                connection.sendall(GET)
                assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
                session = connection.session
                assert connection.session_reused is resumed
            assert app.tls["client_cert_name"] == "CN=Ada,C=GB"
            assert app.tls["client_cert_chain"][0].strip() in Path(file).read_text()
    assert len(app.scopes) == 2


def refused(address: Any, context: ssl.SSLContext) -> bool:
    """Whether a client with this context is not served."""
    try:
        with Client(address, context) as client:
            client.send(GET)  # in TLS 1.3 the handshake is over for the client before the server has judged
            return not client.read()
    except (ssl.SSLError, ConnectionError):
        return True


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_without_the_certificate_that_is_required_is_refused(
    serve: Serve, authority: Authority, version: ssl.TLSVersion
) -> None:
    app = Seen()
    without = authority.client()
    without.minimum_version = without.maximum_version = version
    with serve(app, **authority.settings(2)) as server:
        assert refused(server.address, without)
        assert not refused(server.address, authority.client(authority.short_chain(ADA)))
    assert len(app.scopes) == 1


@pytest.mark.parametrize("requirement", [1, 2])
def test_client_certificate_of_an_unknown_authority_is_refused(
    serve: Serve, authority: Authority, tmp_path: Path, requirement: int
) -> None:
    app = Seen()
    stranger = Authority(tmp_path).short_chain(ADA)
    with serve(app, **authority.settings(requirement)) as server:
        assert refused(server.address, authority.client(stranger))
        assert not refused(server.address, authority.client(authority.short_chain(ADA)))
    assert len(app.scopes) == 1


#: Names whose text is the same by cryptography.
NAMES = {
    "empty": name(),
    "one": name((NameOID.COMMON_NAME, "Ada")),
    "order": name(
        (NameOID.COUNTRY_NAME, "GB"),
        (NameOID.STATE_OR_PROVINCE_NAME, "London"),
        (NameOID.LOCALITY_NAME, "St. James's Square"),
        (NameOID.STREET_ADDRESS, "12"),
        (NameOID.ORGANIZATION_NAME, "Analytical Engines, Ltd."),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "Notes"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "Numbers"),
        (NameOID.COMMON_NAME, "Ada Lovelace"),
        (NameOID.USER_ID, "ada"),
    ),
    "domain": name((NameOID.DOMAIN_COMPONENT, "org"), (NameOID.DOMAIN_COMPONENT, "example")),
    "several attributes in one part": name(
        (NameOID.ORGANIZATION_NAME, "Sue"), [(NameOID.COMMON_NAME, "Grabbit"), (NameOID.USER_ID, "runn")]
    ),
    "special characters": name((NameOID.COMMON_NAME, 'a,b+c"d\\e<f>g;h=i#j/k')),
    "forged": name((NameOID.COMMON_NAME, "Ada,O=Admin"), (NameOID.ORGANIZATION_NAME, "None")),
    "number sign first": name((NameOID.COMMON_NAME, "#1")),
    "spaces": name((NameOID.COMMON_NAME, " a  b ")),
    "one space": name((NameOID.COMMON_NAME, " ")),
    "two spaces": name((NameOID.COMMON_NAME, "  ")),
    "space before a line's end": name((NameOID.COMMON_NAME, "a \n")),
    "backslash and space last": name((NameOID.COMMON_NAME, "a\\ ")),
    "NUL": name((NameOID.COMMON_NAME, "a\0b\0")),
    "control characters": name((NameOID.COMMON_NAME, "a\r\nb\x7f")),
    "other scripts": name((NameOID.COMMON_NAME, "Ωμέγα 🔑 Lučić")),
    "beside a number": name((NameOID.COMMON_NAME, "a\0001")),
}


@pytest.mark.parametrize("subject", NAMES.values(), ids=NAMES)
def test_X8_name_of_a_client_is_its_text_by_rfc_4514(
    serve_twice: Serve, authority: Authority, subject: x509.Name
) -> None:
    file = authority.short_chain(subject)
    tls = told(serve_twice, authority.client(file), **authority.settings(2))
    assert tls["client_cert_name"] == subject.rfc4514_string()


#: Attributes that RFC 4514 §3 does not list, and what they are: a name that is registered (RFC 4519), or
#: that OpenSSL knows; for others the number, with the value as BER in hexadecimal (RFC 4514 §2.4).
OTHER_ATTRIBUTES = [
    (NameOID.SURNAME, "Lovelace", "SN=Lovelace"),
    (NameOID.GIVEN_NAME, "Ada", "givenName=Ada"),
    (NameOID.SERIAL_NUMBER, "42", "serialNumber=42"),
    (NameOID.TITLE, "Countess", "title=Countess"),
    (NameOID.EMAIL_ADDRESS, "ada+notes@test", "emailAddress=ada\\+notes@test"),
    (x509.ObjectIdentifier("1.3.6.1.4.1.1466.0"), "x", "1.3.6.1.4.1.1466.0=#0c0178"),
    (x509.ObjectIdentifier("1.3.6.1.4.1.1466.0"), "Lučić", "1.3.6.1.4.1.1466.0=#0c074c75c48d69c487"),
    (x509.ObjectIdentifier("1.3.6.1.4.1.1466.0"), "x" * 300, "1.3.6.1.4.1.1466.0=#0c82012c" + "78" * 300),
    (x509.ObjectIdentifier("1.3.6.1.4.1.1466.0"), "x" * 128, "1.3.6.1.4.1.1466.0=#0c8180" + "78" * 128),
]


@pytest.mark.parametrize(("kind", "value", "expected"), OTHER_ATTRIBUTES, ids=lambda value: str(value)[:40])
def test_X8_name_with_attributes_beyond_the_table(
    serve_twice: Serve, authority: Authority, kind: x509.ObjectIdentifier, value: str, expected: str
) -> None:
    file = authority.short_chain(name((kind, value)))
    tls = told(serve_twice, authority.client(file), **authority.settings(2))
    assert tls["client_cert_name"] == expected


def test_X8_name_with_a_value_that_is_not_text(serve_twice: Serve, authority: Authority) -> None:
    unique = x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, b"\x00\xa0", _ASN1Type.BitString)
    file = authority.short_chain(x509.Name([unique]))
    tls = told(serve_twice, authority.client(file), **authority.settings(2))
    assert re.fullmatch("x500UniqueIdentifier=#03[0-9a-f]+", tls["client_cert_name"])


def test_authorities_complete_the_chain_of_the_server(serve: Serve, authority: Authority) -> None:
    """As some start scripts for uvicorn use that flag, with --ssl-cert-reqs left at 0."""
    app = Seen()
    with (
        serve(app, ssl_certfile=authority.server_alone, ssl_ca_certs=authority.middle) as server,
        server.connect(authority.client()) as client,
    ):
        client.send(GET)
        assert client.response().status == 200
    with serve(app, ssl_certfile=authority.server_alone) as server, pytest.raises(ssl.SSLError):
        server.connect(authority.client())


def test_flags_of_uvicorn(authority: Authority) -> None:
    flags = f"--ssl-certfile {authority.server} --ssl-ca-certs {authority.certificates} --ssl-cert-reqs 2"
    with Program("program", *flags.split()) as server:
        port = int(server.url.rpartition(":")[2])
        with Client(("127.0.0.1", port), authority.client(authority.short_chain(ADA))) as client:
            client.send(GET)
            assert client.response().status == 200
        assert refused(("127.0.0.1", port), authority.client())


@pytest.mark.parametrize("requirement", list(ssl.VerifyMode))
def test_requirement_may_be_a_constant_of_ssl(requirement: ssl.VerifyMode) -> None:
    config = Config(app=hello, ssl_certfile="a", ssl_ca_certs="b", ssl_cert_reqs=requirement)
    assert config.ssl_cert_reqs == requirement


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"ssl_cert_reqs": 3}, "ssl_cert_reqs"),
        ({"ssl_cert_reqs": -1}, "ssl_cert_reqs"),
        ({"ssl_cert_reqs": "required"}, "ssl_cert_reqs"),
        ({"ssl_cert_reqs": True}, "ssl_cert_reqs"),
        ({"ssl_cert_reqs": 2}, "ssl_cert_reqs"),  # with nothing to verify certificates with
        ({"ssl_certfile": "a", "ssl_cert_reqs": 1}, "ssl_cert_reqs"),
        ({"ssl_ca_certs": "a"}, "ssl_ca_certs"),  # without TLS
        ({"ssl_ca_certs": 1}, "ssl_ca_certs"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=f"^{named}:"):
        Config(app=hello, **settings)


@pytest.mark.parametrize("content", [None, "", "no certificate"], ids=["missing", "empty", "text"])
def test_unusable_file_of_authorities_is_named(
    serve: Serve, authority: Authority, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "authorities.pem"
    if content is not None:
        file.write_text(content)
    with (
        pytest.raises(ConfigError, match=f"ssl_ca_certs: cannot load {file}"),
        serve(hello, ssl_certfile=authority.server, ssl_ca_certs=str(file), ssl_cert_reqs=2),
    ):
        pass
