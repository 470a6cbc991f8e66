"""What messages are on the wire: text, bytes as they are, JSON that is checked, or whatever you choose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import msgspec

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Codec(Generic[T]):
    """How a message becomes bytes, and how bytes become a message; `decode` raises for what is none."""

    encode: Callable[[T], bytes]
    decode: Callable[[bytes], T]

    @classmethod
    def json(cls, kind: Any) -> Codec[Any]:
        """JSON by msgspec, for what a type is not enough to say, such as a union: ``Joined | Left``."""
        return Codec(msgspec.json.Encoder().encode, msgspec.json.Decoder(kind).decode)

    @classmethod
    def of(cls, kind: type[T] | Codec[T]) -> Codec[T]:
        """UTF-8 for str, bytes as they are, and JSON of all other types; a codec is what it is."""
        if isinstance(kind, Codec):
            return kind
        if kind is str:
            return cast("Codec[T]", Codec(str.encode, bytes.decode))
        if kind is bytes:
            return cast("Codec[T]", Codec(bytes, bytes))
        return Codec.json(kind)
