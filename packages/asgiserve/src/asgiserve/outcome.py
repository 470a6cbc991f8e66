"""What became of a request: told to the access log and to the metrics at the end of its response."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .http1.request import Fields
    from .http1.response import ResponseHead
    from .http1.scope import Endpoints


class Outcome(NamedTuple):
    """A request and its response, when that has ended, whole or not."""

    endpoints: Endpoints
    method: str
    target: str
    fields: Fields  # of the request
    head: ResponseHead | None  # None if none was written
    size: int  # bytes of the response's body that were written
    received: int  # bytes of the request's body that were read until then
    seconds: float  # from the end of the request's head to the end of the response
    mark: str  # why the response is incomplete; empty for one that is whole
