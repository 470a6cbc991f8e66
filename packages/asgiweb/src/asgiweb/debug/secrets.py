"""What must not be shown, even to a developer, who may share a screen or paste a page into a ticket.

Names decide: of a variable, a key, a header or a parameter. A secret without such a name is shown. What a
parameter of the path has is part of URLs, too, and of the variables of many calls: it is masked wherever it
stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from urllib.parse import quote

#: What stands in the place of a secret.
MASK = "••••••••"

_WORDS = (
    "pass(?:word|wd|phrase|code)?|pwd|secrets?|tokens?|keys?|api_?keys?|auth|authorization|bearer|credentials?|"
    "cookies?|sessions?|session_?id|csrf|xsrf|jwt|otp|signature|salt|private|dsn"
)
# Words are parts of a name: "db_password", "X-Api-Key", "accessToken"; not of others: "monkey", "author".
_SECRET = re.compile(rf"(?:^|[^a-z])(?:{_WORDS})(?:[^a-z]|$)", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

# What comes before a value: name=value, 'name': value, ('name', value). A name begins where no other goes on,
# so that long texts take no longer than they are.
_HEAD = re.compile(
    r"""(?<![\w.-])(?P<open>[bu]?['"])?(?P<name>[\w.-]{1,80})(?(open)['"]\s*[:,=]|\s*[=:])\s*""",
)
# A string; a list, a call or the like, up to its first closing bracket; or a word, with its scheme before it.
_VALUE = re.compile(
    r"""[bBrRuUfF]*(?:'(?:[^'\\]|\\.)*(?:'|$)|"(?:[^"\\]|\\.)*(?:"|$))"""
    r"""|[\w.]*[\[({][^\])}]*(?:[\])}]|$)"""
    r"""|(?:(?:Basic|Bearer|Digest|Token)\s+)?[^\s,)\]}&'"]+""",
    re.DOTALL | re.IGNORECASE,
)
_USER_INFO = re.compile(r"(?P<head>://[^\s/:@'\"]*:)[^\s/@'\"]+(?=@)")


#: Characters of a parameter that is masked wherever it stands. A shorter one may be part of any word.
_LENGTH = 8


def is_secret(name: str) -> bool:
    """Tell whether what goes by this name is better not shown."""
    return _SECRET.search(_CAMEL.sub("_", name)) is not None


def masked(text: str) -> str:
    """Mask the values of secret names in a text such as a repr(), and passwords in URLs."""
    pieces = []
    position = 0
    for head in _HEAD.finditer(text):
        value = None
        if head.start() >= position and is_secret(head["name"]):
            value = _VALUE.match(text, head.end())
        if value is not None:
            pieces += [text[position : head.end()], MASK]
            position = value.end()
    pieces.append(text[position:])
    return _USER_INFO.sub(rf"\g<head>{MASK}", "".join(pieces))


def without_parameters(text: str, parameters: Mapping[str, object]) -> str:
    """Mask the values of those parameters of a path that have secret names, in a text or a page."""
    values = [str(value) for name, value in parameters.items() if is_secret(name)]
    written = [
        form for value in values for form in (value, quote(value), escape(value)) if len(value) >= _LENGTH
    ]
    # A UUID, for example, may have been sent in capitals.
    return re.sub("|".join(map(re.escape, written)), MASK, text, flags=re.IGNORECASE) if written else text
