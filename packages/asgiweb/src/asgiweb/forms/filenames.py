"""Names of files that clients send: not to be trusted, and this is what can be made of them."""

from __future__ import annotations

import re
import unicodedata

# Separators of every system, what Windows and shells take for something else, and what cannot be seen.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"|?*%$`;&!\'\\/]')
# Windows opens devices by these names, in any directory and with any suffix.
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)

#: Bytes that file systems take.
_SIZE = 255


def safe_filename(filename: str | None, default: str = "file") -> str:
    """Return a name that is one in any directory, of at most 255 bytes of UTF-8; ``default`` if none is left.

    It has no directories, no leading dot and nothing invisible. It may be there already, and its suffix says
    nothing about what is in the file.
    """
    name = (filename or "").replace("\\", "/").rpartition("/")[2]
    # Normalized first: of characters that look alike some become a backtick or a semicolon.
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", name))
    name = "".join(character for character in name if unicodedata.category(character)[0] != "C")
    name = " ".join(name.split()).strip(". ")
    if _DEVICES.match(name):
        name = "_" + name
    return _shortened(name) or default


def _shortened(name: str) -> str:
    if len(name.encode()) <= _SIZE:
        return name
    stem, dot, suffix = name.rpartition(".")
    suffix = (dot + suffix) if stem and len(suffix.encode()) <= 16 else ""
    stem = name[: len(name) - len(suffix)]
    return stem.encode()[: _SIZE - len(suffix.encode())].decode(errors="ignore").strip(". ") + suffix
