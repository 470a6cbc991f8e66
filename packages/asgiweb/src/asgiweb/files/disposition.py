"""Content-Disposition (RFC 6266): what a client should do with a file, and the name to save it by."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias
from urllib.parse import quote

Disposition: TypeAlias = Literal["attachment", "inline"]

# Where clients disagree on what the quoted form means: quotes, backslashes, percent signs (appendix D).
_UNCLEAR = re.compile(r"[^ !#$&-\[\]-~]")

# No part of a name: separators, controls, and halves of characters.
_NO_NAME = re.compile("[/\\\\\x00-\x1f\x7f\ud800-\udfff]")


def content_disposition(disposition: Disposition, filename: str) -> str:
    """Write the header. A name outside of plain ASCII is written twice, for old clients too (RFC 8187)."""
    name = _NO_NAME.sub("_", filename)
    plain = _UNCLEAR.sub("_", name)
    value = f'{disposition}; filename="{plain}"'
    if plain != name:
        value += f"; filename*=UTF-8''{quote(name, safe='!#$&+^`|')}"
    return value
