"""The grammar of an HTTP/1.1 request, rule by rule, straight from the ABNF of the RFCs.

A rule is a regular expression in which ``<name>`` stands for another rule. Nothing here is taken from the
server: this is what it is held against. Where it reads more than the grammar allows, `deviations` says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

RULES: Final[Mapping[str, bytes]] = {
    # RFC 9110 §5.6: what fields are made of
    "token": rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+",
    "OWS": rb"[ \t]*",
    "BWS": rb"<OWS>",
    "quoted-string": rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"',
    # RFC 9110 §5.5, without obs-fold, which a server may refuse (RFC 9112 §5.2)
    "field-vchar": rb"[\x21-\x7e\x80-\xff]",
    "field-value": rb"(?:<field-vchar>(?:[\t \x21-\x7e\x80-\xff]*<field-vchar>)?)?",
    # RFC 3986: what targets and hosts are made of
    "pct-encoded": rb"%[0-9A-Fa-f]{2}",
    "pchar": rb"(?:[0-9A-Za-z\-._~!$&'()*+,;=:@]|<pct-encoded>)",
    "absolute-path": rb"(?:/<pchar>*)+",
    "path-abempty": rb"(?:/<pchar>*)*",
    "query": rb"(?:<pchar>|[/?])*",
    "reg-name": rb"(?:[0-9A-Za-z\-._~!$&'()*+,;=]|<pct-encoded>)*",
    "IP-literal": rb"\[(?:<IPv6address>|[vV][0-9A-Fa-f]+\.[0-9A-Za-z\-._~!$&'()*+,;=:]+)\]",
    "h16": rb"[0-9A-Fa-f]{1,4}",
    "dec-octet": rb"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])",
    "IPv4address": rb"<dec-octet>\.<dec-octet>\.<dec-octet>\.<dec-octet>",
    "ls32": rb"(?:<h16>:<h16>|<IPv4address>)",
    "IPv6address": (
        rb"(?:(?:<h16>:){6}<ls32>"
        rb"|::(?:<h16>:){5}<ls32>"
        rb"|<h16>?::(?:<h16>:){4}<ls32>"
        rb"|(?:(?:<h16>:){,1}<h16>)?::(?:<h16>:){3}<ls32>"
        rb"|(?:(?:<h16>:){,2}<h16>)?::(?:<h16>:){2}<ls32>"
        rb"|(?:(?:<h16>:){,3}<h16>)?::<h16>:<ls32>"
        rb"|(?:(?:<h16>:){,4}<h16>)?::<ls32>"
        rb"|(?:(?:<h16>:){,5}<h16>)?::<h16>"
        rb"|(?:(?:<h16>:){,6}<h16>)?::)"
    ),
    "port": rb"[0-9]*",
    # RFC 9110 §7.2; IPv4 addresses are among the registered names
    "Host": rb"(?:<IP-literal>|<reg-name>)(?::<port>)?",
    # RFC 9110 §4.2.1: an http URI without a host is to be rejected; §4.2.4: and one with user information
    "authority": rb"(?:<IP-literal>|(?=[^:/?\s])<reg-name>)(?::<port>)?",
    # RFC 9112 §2.3, §3
    "HTTP-version": rb"HTTP/[0-9]\.[0-9]",
    "origin-form": rb"<absolute-path>(?:\?<query>)?",
    "absolute-form": rb"(?i:https?)://<authority><path-abempty>(?:\?<query>)?",
    "asterisk-form": rb"\*",
    "request-target": rb"(?:<origin-form>|<absolute-form>|<asterisk-form>)",
    "request-line": rb"<token> <request-target> <HTTP-version>",
    # RFC 9112 §2.1, §2.2, §5
    "empty-lines": rb"(?:\r\n)?",
    "field-line": rb"<token>:<OWS><field-value><OWS>",
    "head": rb"<request-line>\r\n(?:<field-line>\r\n)*\r\n",
    # RFC 9112 §7.1
    "chunk-ext-val": rb"(?:<token>|<quoted-string>)",
    "chunk-ext": rb"(?:<BWS>;<BWS><token>(?:<BWS>=<BWS><chunk-ext-val>)?)*",
    "chunk-line": rb"[0-9A-Fa-f]+<chunk-ext>\r\n",
    "trailer-section": rb"(?:<field-line>\r\n)*",
    # The fields that frame a message, or decide what comes behind it
    "Content-Length": rb"[0-9]+",  # RFC 9110 §8.6
    "Transfer-Encoding": rb"(?i:chunked)",  # RFC 9112 §6.1, as far as a server has to know codings
    "Expect": rb"(?i:100-continue)",  # RFC 9110 §10.1.1
}


class Grammar:
    """The rules, with some of them replaced."""

    def __init__(self, replaced: Mapping[str, bytes]) -> None:
        self._rules = {**RULES, **replaced}
        self._compiled: dict[str, re.Pattern[bytes]] = {}

    def _expand(self, name: str) -> bytes:
        return re.sub(
            rb"<([0-9A-Za-z-]+)>",
            lambda match: b"(?:" + self._expand(match[1].decode()) + b")",
            self._rules[name],
        )

    def __getitem__(self, name: str) -> re.Pattern[bytes]:
        """The expression of one rule."""
        if name not in self._compiled:
            self._compiled[name] = re.compile(self._expand(name))
        return self._compiled[name]

    def matches(self, name: str, data: bytes) -> bool:
        """Whether `data` as a whole is what the rule says."""
        return self[name].fullmatch(data) is not None
