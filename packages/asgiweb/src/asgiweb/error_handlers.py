"""Which answer an exception gets: by error handlers, by itself, or as a fault of the application.

For an HTTPException the handler of its status comes first, then those of its classes, the nearest first.
For any other exception come those of its classes. What nobody handles is a fault: it is logged, once and
with its traceback, and answered 500, by the handler of status 500 if there is one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from .asgi import FAULTS
from .errors import ClientDisconnected, InvalidMessage, RegistrationError, WebSocketDisconnect
from .exceptions import HTTPException, HTTPInternalServerError
from .handlers import AnyErrorHandler
from .request import Request
from .response import Response
from .signatures import check_error_handler, location_of
from .websockets import meaning

logger = logging.getLogger("asgiweb")


def check_key(key: object) -> None:
    """Refuse what an error handler cannot be for: the handler itself, if the decorator has no argument."""
    if isinstance(key, int) or (isinstance(key, type) and issubclass(key, Exception)):
        return
    what = location_of(key) if callable(key) else repr(key)
    raise RegistrationError(
        f"{what}: this is no status and no class of exceptions: write @app.error_handler(404) or the like"
    )


class ErrorHandlers:
    """The error handlers of an application, or those of a group in front of them, the ``outer`` ones."""

    def __init__(
        self,
        handlers: Mapping[type[Exception] | int, AnyErrorHandler],
        outer: ErrorHandlers | None = None,
    ) -> None:
        self._outer = outer
        self._by_class: dict[type[BaseException], AnyErrorHandler] = {}
        self._by_status: dict[int, AnyErrorHandler] = {}
        for key, handler in handlers.items():
            self.add(key, handler)

    def inside(self, handlers: Mapping[type[Exception] | int, AnyErrorHandler]) -> ErrorHandlers:
        """Return what asks these handlers first, and then the ones that are here."""
        return ErrorHandlers(handlers, self) if handlers else self

    def add(self, key: type[Exception] | int, handler: AnyErrorHandler) -> None:
        """Let a handler answer a class of exceptions or a status. RegistrationError if there is one."""
        check_key(key)
        check_error_handler(handler)
        handlers: dict[Any, AnyErrorHandler] = self._by_status if isinstance(key, int) else self._by_class
        other = handlers.setdefault(key, handler)
        if other is not handler:
            raise RegistrationError(
                f"{location_of(handler)}: {key} is handled already, at {location_of(other)}"
            )

    async def answer(self, request: Request[Any], error: Exception) -> Response:
        """Make a response of an exception. Raises ClientDisconnected, which is no fault and has no answer."""
        _raise_disconnect(request, error)
        if request.websocket is not None and request.websocket.accepted:
            return self._conversation_failed(request, error)
        handler = self._find(error)
        if handler is None and not isinstance(error, HTTPException) and not request.app.debug:
            handler = self._for_faults()
            # last_resort() logs what it answers itself.
            if handler is not None:
                self._log(request, error)
        if handler is None:
            return self.last_resort(request, error)
        try:
            response = await handler(request, error)
            if not isinstance(response, Response):
                raise TypeError(f"{location_of(handler)} returned {type(response).__name__}, not a Response")
        except Exception as second:
            return self.last_resort(request, second)
        return response

    def last_resort(self, request: Request[Any], error: Exception) -> Response:
        """Answer what no error handler does, such as what goes wrong in one, or while a head is rendered."""
        _raise_disconnect(request, error)
        if isinstance(error, HTTPException):
            try:
                return error.response(request)
            except Exception as second:
                error = second
        self._log(request, error)
        if request.app.debug:
            # Who runs without it, as everybody should who has visitors, does not load it.
            from .debug import debug_response

            try:
                return debug_response(request, error)
            except Exception as third:
                self._log(request, third)
        return HTTPInternalServerError().response(request)

    def _conversation_failed(self, request: Request[Any], error: Exception) -> Response:
        """Log what ended a websocket, which is all that can be done: it has got its answer, a 101."""
        if isinstance(meaning(error), InvalidMessage):
            logger.debug("websocket %r: %s", request.path, error)
        else:
            self._log(request, error)
        return Response(None, 101)

    def _for_faults(self) -> AnyErrorHandler | None:
        own = self._by_status.get(500)
        return self._outer._for_faults() if own is None and self._outer is not None else own

    def _find(self, error: Exception) -> AnyErrorHandler | None:
        if isinstance(error, HTTPException) and error.status in self._by_status:
            return self._by_status[error.status]
        if self._by_class:
            for kind in type(error).__mro__:
                if kind in self._by_class:
                    return self._by_class[kind]
        return None if self._outer is None else self._outer._find(error)

    def _log(self, request: Request[Any], error: Exception) -> None:
        kind = request.method if request.websocket is None else "websocket"
        logger.error("%s %r failed", kind, request.path, exc_info=error)
        faults = request.scope.get(FAULTS)
        if faults is not None:
            faults.append(error)


def _raise_disconnect(request: Request[Any], error: Exception) -> None:
    """Raise the disconnect that an exception is, or a group of tasks comes to: there is nobody to answer.

    The end of a websocket that is not this request's is a fault.
    """
    found = meaning(error)
    if isinstance(found, WebSocketDisconnect) and (
        request.websocket is None or request.websocket.close_code is None
    ):
        return
    if isinstance(found, ClientDisconnected):
        raise found
