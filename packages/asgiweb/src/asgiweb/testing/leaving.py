"""What ``send()`` raises when the test has left, and what comes of that: no fault, as on servers."""

from __future__ import annotations


class ClientLeft(ConnectionResetError):
    """What ``send()`` raises from then on (ASGI HTTP 2.4, websocket 2.4)."""


def is_of_leaving(error: BaseException) -> bool:
    """Whether it is an OSError, or was raised because of ClientLeft, or is a group of nothing else."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_of_leaving, error.exceptions))
    origin: BaseException | None = error
    while origin is not None and not isinstance(origin, ClientLeft):
        # Starlette and others make an exception of their own of it.
        origin = origin.__cause__ or origin.__context__
    return origin is not None or isinstance(error, OSError)
