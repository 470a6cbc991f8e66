"""The session as handlers see it: a dict of what JSON can hold, that knows what has become of it."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import msgspec

from ..errors import SessionError

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(dict[str, Any])

EMPTY = b"{}"


class Session(MutableMapping[str, Any]):
    """What is kept about one client from request to request: what JSON has, such as texts, numbers and lists.

    Changes are found by comparison, so those inside of a list or dict count too.
    """

    __slots__ = ("_data", "_original", "new", "renewed")

    def __init__(self, data: bytes | None = None) -> None:
        #: Whether the client has come without a session, or without one that is valid.
        self.new = data is None
        #: Whether `renew` was called.
        self.renewed = False
        self._original = EMPTY if data is None else data
        self._data: dict[str, Any] = {} if data is None else _decoder.decode(data)

    def __repr__(self) -> str:
        # Without the values, which may be secrets, and reprs end in logs.
        return f"<Session {sorted(self._data)}>"

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._data[key] = value

    def __delitem__(self, key: str) -> None:
        del self._data[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    @property
    def changed(self) -> bool:
        """Whether it has to be kept anew. SessionError if it holds what JSON does not."""
        return self.differs(self.encode())

    def clear(self) -> None:
        """Forget everything; the client's cookie and what a store keeps are deleted with the response."""
        self._data.clear()

    def renew(self) -> None:
        """Give the session a new id, and make the old one invalid: to be called where somebody logs in.

        Otherwise whoever has planted an id in a browser is logged in with it (session fixation).
        """
        self.renewed = True

    def encode(self) -> bytes:
        """Return the session as JSON. SessionError if that is not what could be read back."""
        try:
            encoded = _encoder.encode(self._data)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise SessionError(f"the session {sorted(map(str, self._data))} is not JSON: {error}") from None
        # What was read is JSON. Else msgspec makes texts of datetimes, lists of tuples, null of NaN.
        if encoded != self._original and _decoder.decode(encoded) != self._data:
            raise SessionError(
                f"the session {sorted(map(str, self._data))} holds what JSON does not, such as a tuple, a "
                f"datetime or a key that is no text: store its text, or a list"
            )
        return encoded

    def differs(self, data: bytes) -> bool:
        """Return whether it has to be kept anew, with ``data`` for its JSON."""
        return self.renewed or data != self._original

    def kept(self, data: bytes) -> None:
        """Take note that it was stored like this."""
        self._original = data
        self.new = self.renewed = False
