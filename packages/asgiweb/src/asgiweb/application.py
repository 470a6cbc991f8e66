"""The application: the ASGI callable that joins router, middlewares, error handlers and lifespan."""

from __future__ import annotations

import logging
from asyncio import Task
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args, overload

from .asgi import Message, Receive, Scope, Send
from .background import Background, P, Result
from .chain import compose, compose_route, not_a_response
from .error_handlers import ErrorHandlers, check_key
from .errors import ClientDisconnected, RegistrationError, StateError, WebSocketDisconnect
from .handlers import AnyErrorHandler, ErrorHandler, ErrorRegistrar, Handler, Hook, Lifespan, Middleware
from .lifespan import check_lifespan, run_lifespan
from .request import Request
from .response import BODILESS, Response
from .routing import Definition, Group, Route, RouteDecorators, Router
from .routing.groups import check_inclusion
from .routing.slashes import TrailingSlash, with_other_slash
from .shutdown import ShuttingDown
from .signatures import check_middleware
from .streaming import close_unsent
from .typevars import Error, State
from .unrouted import unrouted
from .websockets import Handshake

if TYPE_CHECKING:
    from yarl import URL

    from .forms import FormLimits

logger = logging.getLogger("asgiweb")

_UNSET: Any = object()


class Application(RouteDecorators[State]):
    """An ASGI 3 application. ``State`` is the type of what its lifespan yields: ``request.state``.

    ``max_body_size`` is in bytes; larger bodies are answered 413, and 0 turns the limit off.
    ``form_limits`` are those of its forms, the defaults of FormLimits if None.
    ``middlewares`` go around every answer, 404 included; the first is outermost.
    ``background_timeout`` is in seconds: how long background work may go on when the application stops.
    ``trailing_slash`` says what becomes of ``/a/`` where only ``/a`` is, and the other way round: "redirect"
    (308), "strict" (404), or "ignore", which answers as if there were no difference.
    ``debug=True`` answers faults with a page that shows the source: never on a public address.
    """

    def __init__(
        self,
        *,
        lifespan: Lifespan[State] | None = None,
        middlewares: Sequence[Middleware[Any]] = (),
        error_handlers: Mapping[type[Exception] | int, AnyErrorHandler] | None = None,
        max_body_size: int | None = 1_000_000,
        form_limits: FormLimits | None = None,
        background_timeout: float | None = 10.0,
        trailing_slash: TrailingSlash = "redirect",
        debug: bool = False,
    ) -> None:
        if trailing_slash not in get_args(TrailingSlash):
            raise RegistrationError(
                f"trailing_slash is 'redirect', 'strict' or 'ignore', not {trailing_slash!r}"
            )
        #: The routes, and ``add_get`` and its like for handlers that are defined elsewhere.
        self.router = Router()
        self.trailing_slash: TrailingSlash = trailing_slash
        check_lifespan(lifespan)
        self.lifespan = lifespan
        #: Functions that are called with the application before the first request, in this order.
        self.on_startup: list[Hook[State]] = []
        #: Functions that are called with the application after the last request, the last one first.
        self.on_shutdown: list[Hook[State]] = []
        self.max_body_size = max_body_size or 0
        #: For forms whose route has no limits of its own; None for the defaults.
        self.form_limits = form_limits
        #: Whether the application has been told to stop, and a way to wait for it.
        self.shutting_down = ShuttingDown()
        self._background = Background(background_timeout)
        #: Where this application's state is in ``scope["state"]``; no other application looks there.
        self.state_key = f"asgiweb.{id(self):x}"
        #: What mounted applications have put into the state of their lifespans, by ``state_key(app)``.
        self.mounted_states: dict[str, dict[str, Any]] = {}
        self._state: State = _UNSET
        #: Whether faults are answered with the page for developers; may be changed at any time.
        self.debug = debug
        self._errors = ErrorHandlers(error_handlers or {})
        self._middlewares: list[Middleware[State]] = []
        self._unrouted_endpoint: Handler = unrouted
        for middleware in middlewares:
            self.middleware(middleware)

    @property
    def state(self) -> State:
        """What the lifespan yielded, or what was assigned here, in ``on_startup`` for example.

        StateError if neither has happened yet.
        """
        if self._state is _UNSET:
            raise StateError(
                "there is no state: give Application a lifespan, or assign app.state in an on_startup "
                "function, and see that the server runs the lifespan protocol"
            )
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        self._state = state

    @property
    def has_state(self) -> bool:
        """Whether there is a state already."""
        return self._state is not _UNSET

    def state_of(self, scope: Scope) -> State:
        """Return the state that belongs to a request's scope, which is that of the event loop it is in."""
        carried = scope.get("state")
        if carried is not None and self.state_key in carried:
            state: State = carried[self.state_key]
            return state
        return self.state

    @property
    def middlewares(self) -> tuple[Middleware[State], ...]:
        """The middlewares around every route, from the outside in."""
        return tuple(self._middlewares)

    def middleware(self, middleware: Middleware[State]) -> Middleware[State]:
        """Add a middleware, as a decorator too; it goes inside of those that are there."""
        check_middleware(middleware)
        self._middlewares.append(middleware)
        # What was composed before goes without it: it is composed again when it is asked for.
        for route in self.router.routes:
            route.endpoint = None
        self._unrouted_endpoint = compose(self._middlewares, unrouted, self._errors.answer)
        return middleware

    @overload
    def error_handler(self, key: int) -> ErrorRegistrar[State]: ...
    @overload
    def error_handler(
        self, key: type[Error]
    ) -> Callable[[ErrorHandler[State, Error]], ErrorHandler[State, Error]]: ...
    def error_handler(self, key: Any) -> Any:
        """Let the decorated function answer exceptions of a class, or an HTTPException's status."""
        check_key(key)

        def register(handler: AnyErrorHandler) -> AnyErrorHandler:
            self._errors.add(key, handler)
            return handler

        return register

    def _define(self, definition: Definition) -> None:
        self.router.register(definition)

    @property
    def routes(self) -> tuple[Route, ...]:
        """All routes, those of groups and what is mounted among them, in the order of their registration."""
        return self.router.routes

    def include(self, group: Group[State], *, prefix: str = "", name: str | None = None) -> None:
        """Register the routes of a group, below a further prefix, or with another name than its own.

        RegistrationError if anything about one of them cannot be right.
        """
        check_inclusion(group, prefix)
        group.register(self.router, prefix, name)

    def url_for(self, name: str, /, **parameters: Any) -> URL:
        """Build the path of a named route. UrlError if there is none or a parameter does not fit it.

        For a route that is bound to a host it begins with "//" and the host.
        """
        return self.router.url_for(name, parameters)

    def background(
        self, function: Callable[P, Coroutine[Any, Any, Result]], *args: P.args, **kwargs: P.kwargs
    ) -> Task[Result]:
        """Start an async function now, in a task that the application owns.

        The end of the request does not cancel it, its failure is logged, and shutdown waits for it.
        """
        return self._background.start(function, *args, **kwargs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan (ASGI 3)."""
        if scope["type"] != "http":
            await self._other_protocol(scope, receive, send)
            return
        request: Request[State]
        match = self.router.resolve(scope)
        if match is None and self.trailing_slash == "ignore":
            match = self.router.resolve(with_other_slash(scope))
        if match is None:
            request = Request(self, scope, receive, None, {})
            endpoint = self._unrouted_endpoint
        else:
            route, match_info = match
            request = Request(self, scope, receive, route, match_info)
            endpoint = route.endpoint or self._compose(route)
        method = scope["method"]
        sent = None
        try:
            try:
                response = await endpoint(request)
                if not isinstance(response, Response):
                    raise not_a_response(request, response)
                if response.stream is not None:
                    request.streams += (response.stream,)
                start = response.start_message(method)
            except Exception as error:
                response, start = await self._answer(request, error)
            sent = response.stream
            for wrapper in request.send_wrappers:
                send = wrapper(send)
            try:
                if type(response) is Response and sent is None:
                    # What transmit() does, without a coroutine more: they take 0.1 µs of 2.3 each.
                    body = b"" if method == "HEAD" or response.status in BODILESS else response.body
                    try:
                        await send(start)
                        await send({"type": "http.response.body", "body": body})
                    except OSError as error:
                        raise ClientDisconnected("the client left before the end of the response") from error
                else:
                    await response.transmit(start, method, request.receive_disconnect, send)
            finally:
                if response.background_work is not None:
                    self._background.start_all(response.background_work)
        except ClientDisconnected as error:
            if isinstance(error, WebSocketDisconnect):
                raise  # from a stream that talks to somebody else
            logger.debug("%s %r: %s", method, scope["path"], error)
        finally:
            if request.streams:
                await close_unsent(request.streams, sent)

    async def _converse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a handler talk to a websocket, or answer its handshake with a response."""
        if (await receive())["type"] != "websocket.connect":
            return
        match = self.router.resolve_websocket(scope)
        if match is None and self.trailing_slash == "ignore":
            match = self.router.resolve_websocket(with_other_slash(scope))
        route, match_info = match or (None, {})
        request = Handshake(self, scope, receive, send, route, match_info)
        endpoint = self._unrouted_endpoint if route is None else route.endpoint or self._compose(route)
        ws = request.websocket
        sent = None
        try:
            try:
                response = await endpoint(request)
                if not isinstance(response, Response):
                    raise not_a_response(request, response)
                if response.stream is not None:
                    request.streams += (response.stream,)
                start = response.start_message(request.method)
            except Exception as error:
                response, start = await self._answer(request, error)
            try:
                if ws.accepted:
                    # It is closed already, unless it was a middleware that has failed.
                    await ws.close(1011)
                elif ws.close_code is None:
                    sent = response.stream
                    await request.deny(response, start)
            finally:
                self._background.start_all(response.background_work or ())
        except ClientDisconnected as error:
            logger.debug("websocket %r: %s", scope["path"], error)
        finally:
            request.finish()
            if request.streams:
                await close_unsent(request.streams, sent)

    async def _answer(self, request: Request[State], error: Exception) -> tuple[Response, Message]:
        """Answer what comes out of the whole chain."""
        response = await self._errors.answer(request, error)
        if response.stream is not None:
            request.streams += (response.stream,)
        try:
            return response, response.start_message(request.method)
        except Exception as second:
            response = self._errors.last_resort(request, second)
            return response, response.start_message(request.method)

    def _compose(self, route: Route) -> Handler:
        route.endpoint = compose_route(route, self._middlewares, self._errors)
        return route.endpoint

    async def _other_protocol(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await run_lifespan(self, self._background, scope, receive, send)
        elif scope["type"] == "websocket":
            await self._converse(scope, receive, send)
        else:
            raise RuntimeError(f"asgiweb answers http, websocket and lifespan scopes, not {scope['type']!r}")
