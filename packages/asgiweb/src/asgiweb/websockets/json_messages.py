"""JSON in messages: with msgspec, into a type if the handler names one."""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import InvalidMessage
from ..models import NotJSON, decode_json

_encode = msgspec.json.Encoder().encode


def encode(data: Any) -> str:
    """Encode what msgspec encodes."""
    return _encode(data).decode()


def decode(message: str | bytes, model: Any) -> Any:
    """Make a ``model`` of a message. InvalidMessage, with the reason, if that cannot be done."""
    try:
        return decode_json(message, model)
    except (NotJSON, msgspec.ValidationError) as error:
        raise InvalidMessage(str(error)) from None
