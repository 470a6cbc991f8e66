"""Distinguished names as text (RFC 4514): what a scope calls the owner of a client certificate."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

#: A name as `ssl.SSLSocket.getpeercert` gives it: its parts, each of one attribute or, rarely, of several.
DistinguishedName: TypeAlias = Iterable[Iterable[tuple[str, str | bytes]]]

#: The short names that everybody has to know (RFC 4514 §3), by those of OpenSSL.
_SHORT_NAMES: Final = {
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
    "surname": "SN",  # registered by RFC 4519; OpenSSL's other long names that it registers are the same
}

#: Characters that need a backslash: some anywhere, some only at the beginning or the end (RFC 4514 §2.4).
_SPECIAL: Final = re.compile(r'[\\"+,;<>]|\A[ #]| \Z')

_BIT_STRING: Final = 0x03
_UTF8_STRING: Final = 0x0C


def rfc4514(name: DistinguishedName) -> str:
    """Write down a distinguished name, its last part first (RFC 4514 §2.1).

    An attribute that OpenSSL has no name for is written as a number, and its value in hexadecimal, as the
    UTF8String that it nearly always is: `getpeercert` does not tell the type.
    """
    parts = ["+".join(_attribute(kind, value) for kind, value in part) for part in name]
    return ",".join(reversed(parts))


def _attribute(kind: str, value: str | bytes) -> str:
    kind = _SHORT_NAMES.get(kind, kind)
    if isinstance(value, bytes):
        return f"{kind}={_ber(_BIT_STRING, bytes(1) + value)}"  # the first byte: no bit of the last is unused
    if kind[0].isdigit():
        return f"{kind}={_ber(_UTF8_STRING, value.encode())}"
    return f"{kind}={_SPECIAL.sub(_escape, value)}".replace("\0", "\\00")


def _escape(match: re.Match[str]) -> str:
    return "\\" + match[0]


def _ber(tag: int, content: bytes) -> str:
    """A value in BER, in hexadecimal."""
    size = len(content)
    length = size.to_bytes((size.bit_length() + 7) // 8)
    if size >= 0x80:
        length = bytes([0x80 | len(length)]) + length
    return f"#{tag:02x}{(length or bytes(1)).hex()}{content.hex()}"
