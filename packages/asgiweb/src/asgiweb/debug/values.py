"""Values as text: short, without secrets, and whatever their ``__repr__`` does.

It may raise, return what is no text, recurse, write a gigabyte, or never return.
"""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Mapping
from itertools import islice
from time import monotonic
from types import FrameType
from typing import Any

from .secrets import MASK, is_secret, masked

#: Characters of one value.
LENGTH = 1000

#: Seconds for one value, and for all of a page.
_ONE, _ALL = 0.25, 2.0


class _TooSlow(BaseException):
    """No Exception, which a ``__repr__`` might take for one of its own."""


class Values(reprlib.Repr):
    """Writes the values of one page."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdeque = 20
        self.maxstring = self.maxlong = self.maxother = LENGTH
        self._until = monotonic() + _ALL

    def write(self, name: str, value: object) -> str:
        """Return the value that goes by a name."""
        if is_secret(name):
            return MASK
        now = monotonic()
        if now > self._until:
            return f"<{_type_name(value)}: there was no time left to write it>"
        try:
            text = masked(_in_time(lambda: self.repr(value), min(now + _ONE, self._until)))
        except _TooSlow:
            return f"<{_type_name(value)}: its repr() takes too long>"
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # SystemExit, for example, which would end the server.
            return f"<{_type_name(value)}: its repr() raises {type(error).__name__}>"
        return text if len(text) <= LENGTH else text[:LENGTH] + "…"

    def repr_dict(self, x: Mapping[Any, Any], level: int) -> str:  # noqa: D102 - reprlib's
        if level <= 0:
            return "{...}" if x else "{}"
        items = [
            f"{self.repr1(key, level - 1)}: "
            f"{MASK if isinstance(key, str) and is_secret(key) else self.repr1(x[key], level - 1)}"
            for key in islice(x, self.maxdict)
        ]
        return "{" + ", ".join(items + ["..."] * (len(x) > self.maxdict)) + "}"

    def repr_instance(self, x: object, level: int) -> str:  # noqa: D102 - reprlib's
        try:
            text = repr(x)
        except Exception as error:
            return f"<{_type_name(x)}: its repr() raises {type(error).__name__}>"
        # Masked before it is cut: of a secret that is cut no name might be left.
        return masked(text[: 10 * LENGTH])[: self.maxother]


def _type_name(value: object) -> str:
    # The class, whatever an object says of itself.
    return type(value).__name__


def _in_time(write: Any, deadline: float) -> str:
    """Call a function, and interrupt what it runs in Python beyond the deadline."""

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        # A loop may be one line that is never left.
        frame.f_trace_opcodes = True
        if monotonic() > deadline:
            raise _TooSlow
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        text = write()
    finally:
        sys.settrace(before)
    return str(text)
