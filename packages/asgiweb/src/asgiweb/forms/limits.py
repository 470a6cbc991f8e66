"""How much a form may ask for. The whole of it is a body, and has the limit of bodies too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..request import Request


@dataclass(slots=True, frozen=True, kw_only=True)
class FormLimits:
    """The limits of one form; what is beyond them is answered 413. Sizes are in bytes, and 0 allows none.

    The defaults have their precedents: PHP and Django take 1,000 fields, Django 100 files.
    """

    #: Fields that are no files.
    fields: int = 1000
    #: Files, also empty ones.
    files: int = 100
    #: The text of all fields together, which is held in memory.
    text_size: int = 1_000_000
    #: Header lines of a part, of which browsers send two.
    part_headers: int = 8
    #: One header line of a part, with the name of the field and of the file.
    part_header_size: int = 4096
    #: Of all files together this much is held in memory. It is no limit: what is more goes to disk.
    memory_size: int = 1_000_000


DEFAULT_LIMITS = FormLimits()


def limits_of(request: Request[Any]) -> FormLimits:
    """Return the limits of a request's route, or of the application, or the defaults."""
    route = request.route
    return (route.form_limits if route is not None else None) or request.app.form_limits or DEFAULT_LIMITS
