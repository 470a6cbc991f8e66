"""A body as text: in the charset that its Content-Type names, if that is in common use."""

from __future__ import annotations

from .exceptions import HTTPBadRequest, HTTPUnsupportedMediaType
from .headers import charset

#: The charsets that a body may be in. Python has more codecs, which are nothing for a client to choose from:
#: a megabyte of "punycode" takes a minute, and an unknown name is looked up on disk and remembered for ever.
CHARSETS = frozenset(
    {
        *("utf-8", "utf8", "utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32le", "utf-32be"),
        *("us-ascii", "ascii", "latin-1", "latin1"),
        *(f"iso-8859-{part}" for part in range(1, 17) if part != 12),
        *(f"windows-{page}" for page in range(1250, 1259)),
        *("koi8-r", "koi8-u", "gb2312", "gbk", "gb18030", "big5"),
        *("euc-jp", "shift_jis", "iso-2022-jp", "euc-kr"),
    }
)


def encoding_of(content_type: str) -> str:
    """Return the charset that a Content-Type names, or UTF-8. HTTPUnsupportedMediaType if it is unusual."""
    encoding = charset(content_type)
    if encoding.lower() not in CHARSETS:
        raise HTTPUnsupportedMediaType(f"the charset {encoding!r} is not known here")
    return encoding


def decode_text(body: bytes, encoding: str) -> str:
    """Decode a body. HTTPBadRequest if it is not in that encoding."""
    try:
        return body.decode(encoding)
    except ValueError:
        raise HTTPBadRequest(f"the body is not text in {encoding!r}") from None
