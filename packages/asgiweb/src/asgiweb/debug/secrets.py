"""What must not be shown, even to a developer, who may share a screen or paste a page into a ticket.

Names decide: of a variable, a key, a header or a parameter. A secret without such a name is shown.
"""

from __future__ import annotations

import re

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
