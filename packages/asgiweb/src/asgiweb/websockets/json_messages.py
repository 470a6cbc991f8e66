"""JSON in messages: with msgspec, into a type if the handler names one."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from ..errors import InvalidMessage

_encode = msgspec.json.Encoder().encode


def encode(data: Any) -> str:
    """Encode what msgspec encodes."""
    return _encode(data).decode()


def decode(message: str | bytes, model: Any) -> Any:
    """Make a ``model`` of a message. InvalidMessage, with the reason, if that cannot be done."""
    try:
        decoder = _decoder(model)
    except TypeError:
        # It cannot be a key of the cache, or msgspec does not know it and says so again.
        decoder = msgspec.json.Decoder(model)
    try:
        return decoder.decode(message)
    except msgspec.ValidationError as error:
        raise InvalidMessage(str(error)) from None
    except (msgspec.DecodeError, ValueError) as error:
        raise InvalidMessage(f"not JSON: {error}") from None
    except RecursionError:
        raise InvalidMessage("JSON that is nested too deeply") from None


# To make a decoder costs several times what a small message does. Models come from code, and are few.
@lru_cache(maxsize=256)
def _decoder(model: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(model)
