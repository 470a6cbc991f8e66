"""Signed values, for cookies above all: whoever has them can read them, and nobody else can make them.

A signature is bound to a purpose and, for a cookie, to its name: a value that was signed for one thing is
worth nothing for another. It carries the time it was made at. Needs itsdangerous: ``asgiweb[sessions]``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

from .cookies import CookieAttributes
from .errors import InvalidSignature, RegistrationError
from .request import Request
from .response import Response

if TYPE_CHECKING:
    from itsdangerous import TimestampSigner

__all__ = ["InvalidSignature", "Signer"]

#: Characters of a secret at least; 32 of base64 are 192 bits.
SECRET_SIZE = 32


class Signer:
    """Signs texts by HMAC with SHA-256, and tells whether a text was signed here.

    ``secrets`` is one secret, or several, the newest first: the first signs, and all are accepted, so that
    a secret can be replaced without logging everybody out. RegistrationError for one that is too short.
    """

    def __init__(self, secrets: str | Sequence[str], *, purpose: str) -> None:
        self._secrets = checked_secrets(secrets)
        #: What the signatures are for; those for another purpose are invalid.
        self.purpose = purpose
        # Names of cookies come from code, and are few.
        self._signers: dict[str, TimestampSigner] = {}
        self._plain = self._signer("")

    def sign(self, value: str) -> str:
        """Return the value with its signature: letters, digits, ``-``, ``_`` and ``.``, fit for URLs too."""
        return self._sign(self._plain, value)

    def unsign(self, text: str, max_age: float | None = None) -> str:
        """Return what was signed. InvalidSignature if it was not, or more than ``max_age`` seconds ago."""
        return self._unsign(self._plain, text, max_age)

    def set_cookie(
        self, response: Response, name: str, value: str, **attributes: Unpack[CookieAttributes]
    ) -> None:
        """Set a cookie to a signed value: any text, of some 3,000 bytes at most, or a HeaderError.

        The attributes are `Response.set_cookie`'s.
        """
        response.set_cookie(name, self.sign_for(name, value), **attributes)

    def cookie(self, request: Request[Any], name: str, *, max_age: float | None = None) -> str | None:
        """Return the value of a signed cookie; None if there is none, or none that is valid.

        ``max_age`` is in seconds, and counts here: browsers and thieves may keep a cookie for longer.
        """
        text = request.cookies.get(name)
        if text is None:
            return None
        try:
            return self.unsign_for(name, text, max_age)
        except InvalidSignature:
            return None

    def sign_for(self, name: str, value: str) -> str:
        """Return what `cookie` accepts for a cookie of this name."""
        return self._sign(self._signer(name), value)

    def unsign_for(self, name: str, text: str, max_age: float | None = None) -> str:
        """Return the value that was signed for a cookie of this name. InvalidSignature as above."""
        return self._unsign(self._signer(name), text, max_age)

    def _sign(self, signer: TimestampSigner, value: str) -> str:
        encoded = base64.urlsafe_b64encode(value.encode()).rstrip(b"=")
        return signer.sign(encoded).decode("ascii")

    def _unsign(self, signer: TimestampSigner, text: str, max_age: float | None) -> str:
        from itsdangerous import BadSignature

        try:
            # A text with anything else than ASCII in it was not signed here.
            encoded, signed_at = signer.unsign(text.encode("ascii"), return_timestamp=True)
            value = base64.urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4)).decode()
        except (BadSignature, UnicodeError, binascii.Error):
            raise InvalidSignature(f"not signed here for {self.purpose!r}") from None
        # Not itsdangerous' own check: it refuses what a machine has signed whose clock is a second ahead.
        if max_age is not None and time.time() - signed_at.timestamp() > max_age:
            raise InvalidSignature(f"signed for {self.purpose!r}, more than {max_age:g} seconds ago")
        return value

    def _signer(self, name: str) -> TimestampSigner:
        signer = self._signers.get(name)
        if signer is None:
            signer = self._signers[name] = _make_signer(self._secrets, f"{self.purpose}\n{name}")
        return signer


def checked_secrets(secrets: str | Sequence[str]) -> list[str]:
    """Return the secrets as a list. RegistrationError, which says how to make one, if one is too short."""
    listed = [secrets] if isinstance(secrets, str) else list(secrets)
    if not listed or any(len(secret) < SECRET_SIZE for secret in listed):
        raise RegistrationError(
            f"a secret has {SECRET_SIZE} characters at least that nobody can guess, and does not live in the "
            f"source: python -c 'import secrets; print(secrets.token_urlsafe(32))' makes one"
        )
    return listed


def _make_signer(secrets: list[str], salt: str) -> TimestampSigner:
    try:
        from itsdangerous import TimestampSigner
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("signing needs itsdangerous: pip install 'asgiweb[sessions]'") from error
    # Derived once: itsdangerous would do it for each value. The newest is the last one there.
    keys = [hmac.digest(secret.encode(), salt.encode(), hashlib.sha256) for secret in reversed(secrets)]
    return TimestampSigner(keys, key_derivation="none", digest_method=hashlib.sha256)
