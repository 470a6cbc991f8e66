"""Handlers' signatures: what is bound, and what is refused when it is registered."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, NewType, Optional
from uuid import UUID

import pytest

from asgiweb import Handler, RegistrationError, Request, Response
from asgiweb.signatures import (
    Argument,
    arguments_of,
    bind_handler,
    check_error_handler,
    check_middleware,
    location_of,
)
from tests.asgiweb.exchange import Exchange

if TYPE_CHECKING:
    from decimal import Decimal

UserId = NewType("UserId", int)


def request_with(**match_info: Any) -> Request[Any]:
    exchange = Exchange()
    return Request(None, exchange.scope, exchange.receive, None, match_info)  # type: ignore[arg-type]  # not asked


async def called(handler: Callable[..., Any], types: dict[str, type[Any]], **match_info: Any) -> bytes:
    return (await bind_handler(handler, types)(request_with(**match_info))).body


def refused(handler: Callable[..., Any], types: dict[str, type[Any]] | None = None) -> str:
    with pytest.raises(RegistrationError) as caught:
        bind_handler(handler, types or {})
    return str(caught.value)


class TestBinding:
    async def test_the_request_alone(self) -> None:
        async def handler(request: Request) -> Response:
            return Response(str(request.match_info))

        assert await called(handler, {"x": str}, x="a") == b"{'x': 'a'}"

    async def test_every_parameter(self) -> None:
        async def handler(request: Request, b: int, a: str) -> Response:
            return Response(f"{a} {b}")

        assert await called(handler, {"a": str, "b": int}, a="x", b=7) == b"x 7"

    async def test_a_decorator_gets_parameters_by_name(self) -> None:
        async def handler(request: Request, a: str) -> Response:
            return Response(a)

        @functools.wraps(handler)
        async def decorated(request: Request, **kwargs: Any) -> Response:
            return await handler(request, **kwargs)

        assert await called(decorated, {"a": str}, a="x") == b"x"
        assert await called(functools.partial(decorated), {"a": str}, a="x") == b"x"

    async def test_one_parameter_that_is_not_the_second(self) -> None:
        async def handler(request: Request, page: int = 1, *, a: str) -> Response:
            return Response(f"{page} {a}")

        async def other(request: Request, page: int = 1, a: str = "") -> Response:
            return Response(f"{page} {a}")

        assert await called(handler, {"a": str}, a="x") == b"1 x"
        assert await called(other, {"a": str}, a="x") == b"1 x"

    async def test_some_parameters(self) -> None:
        async def handler(request: Request, *, b: int) -> Response:
            return Response(f"{b}")

        assert await called(handler, {"a": str, "b": int}, a="x", b=7) == b"7"

    async def test_a_parameter_that_the_path_has_not_may_have_a_default(self) -> None:
        async def handler(request: Request, page: int = 1) -> Response:
            return Response(f"{page}")

        assert await called(handler, {}) == b"1"
        assert await called(handler, {"page": int}, page=2) == b"2"

    async def test_whatever_comes(self) -> None:
        async def handler(request: Request, **parameters: Any) -> Response:
            return Response(str(parameters))

        assert await called(handler, {"a": str, "b": int}, a="x", b=7) == b"{'a': 'x', 'b': 7}"
        assert await called(handler, {}) == b"{}"

    async def test_methods_objects_and_partial_functions(self) -> None:
        class Users:
            async def show(self, request: Request, id: int) -> Response:
                return Response(f"{id}")

            async def __call__(self, request: Request, id: int) -> Response:
                return Response(f"called {id}")

        async def handler(request: Request, id: int, greeting: str) -> Response:
            return Response(f"{greeting} {id}")

        assert await called(Users().show, {"id": int}, id=7) == b"7"
        assert await called(Users(), {"id": int}, id=7) == b"called 7"
        assert await called(functools.partial(handler, greeting="hello"), {"id": int}, id=7) == b"hello 7"

    async def test_a_decorated_handler_has_the_signature_of_what_it_wraps(self) -> None:
        def decorated(handler: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(handler)
            async def wrapper(*args: Any, **kwargs: Any) -> Response:
                response: Response = await handler(*args, **kwargs)
                return response

            return wrapper

        @decorated
        async def handler(request: Request, id: int) -> Response:
            return Response(f"{id}")

        assert await called(handler, {"id": int, "x": str}, id=7, x="a") == b"7"
        assert "'id' as int" in refused(handler, {"id": str})


class TestAnnotations:
    @pytest.mark.parametrize(
        ("given", "annotation"),
        [
            (int, int),
            (int, float),
            (int, object),
            (int, Any),
            (int, int | None),
            (int, Optional[int]),  # noqa: UP045 - the old form is allowed too
            (int, Annotated[int, "positive"]),
            (int, UserId),
            (bool, int),
            (UUID, str | UUID),
            (str, "str"),
            (str, "Request | str"),
            (str, "Unknown"),
            (str, "Decimal"),
            (str, inspect.Parameter.empty),
        ],
    )
    def test_what_fits_is_accepted(self, given: type[Any], annotation: Any) -> None:
        bind_handler(annotated(annotation), {"x": given})

    @pytest.mark.parametrize(
        ("given", "annotation", "message"),
        [
            (int, str, "'x' as str, and the path gives it as int"),
            (str, int, "'x' as int, and the path gives it as str"),
            (float, int, "'x' as int"),
            (str, None, "'x' as None"),
            (str, int | None, "'x' as int | None"),
            (str, Annotated[int, "positive"], "'x' as"),
            (str, UserId, "'x' as UserId"),
            (UUID, "str", "'x' as str"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, given: type[Any], annotation: Any, message: str) -> None:
        assert message in refused(annotated(annotation), {"x": given})


def annotated(annotation: Any) -> Callable[..., Any]:
    async def handler(request, x):  # type: ignore[no-untyped-def]
        return Response()

    if annotation is not inspect.Parameter.empty:
        handler.__annotations__["x"] = annotation
    return handler


class TestRefusal:
    def test_a_parameter_that_the_path_has_not(self) -> None:
        async def handler(request: Request, idd: int) -> Response:
            return Response()

        assert "'idd', which is no parameter of the path; there are id, x" in refused(
            handler, {"id": int, "x": str}
        )
        assert "there are none" in refused(handler)

    def test_a_handler_that_is_not_async(self) -> None:
        def handler(request: Request) -> Response:
            return Response()

        assert "asyncio.to_thread()" in refused(handler)
        assert "async def" in refused(Response)

    def test_a_handler_that_takes_no_request(self) -> None:
        async def nothing() -> Response:
            return Response()

        async def by_name(*, request: Request) -> Response:
            return Response()

        for handler in (nothing, by_name):
            assert "takes the request by position" in refused(handler)

    def test_a_handler_that_takes_a_parameter_in_place_of_the_request(self) -> None:
        async def handler(id: int) -> Response:
            return Response()

        async def other(id: int, name: str) -> Response:
            return Response()

        assert "'id' would be the request" in refused(handler, {"id": int})
        assert "'id' would be the request" in refused(other, {"id": int, "name": str})

    async def test_a_request_may_be_called_like_a_parameter_that_nobody_asks_for(self) -> None:
        async def handler(request: Request) -> Response:
            return Response(str(request.match_info["request"]))

        async def bare(request):  # type: ignore[no-untyped-def]
            return Response(str(request.match_info["request"]))

        for each in (handler, bare):
            assert await called(each, {"request": str}, request="a") == b"a"

    def test_parameters_are_given_by_name(self) -> None:
        async def handler(request: Request, id: int, /) -> Response:
            return Response()

        assert "by name" in refused(handler, {"id": int})

    def test_a_parameter_that_is_called_like_the_request(self) -> None:
        async def handler(request: Request, **parameters: Any) -> Response:
            return Response()

        assert "'request'" in refused(handler, {"request": str})


class TestPairs:
    @pytest.mark.parametrize("check", [check_middleware, check_error_handler])
    def test_two_arguments_in_many_forms(self, check: Callable[[Any], None]) -> None:
        async def two(request: Request, other: Any) -> Response:
            return Response()

        async def more(request: Request, other: Any, third: int = 1) -> Response:
            return Response()

        async def whatever(*args: Any) -> Response:
            return Response()

        class Callable_:
            async def __call__(self, request: Request, other: Any) -> Response:
                return Response()

        for function in (two, more, whatever, Callable_(), functools.partial(more, third=3)):
            check(function)

    @pytest.mark.parametrize(
        ("check", "second"), [(check_middleware, "the handler"), (check_error_handler, "the exception")]
    )
    def test_others_are_refused_with_their_place(self, check: Callable[[Any], None], second: str) -> None:
        async def one(request: Request) -> Response:
            return Response()

        async def three(request: Request, handler: Handler, third: int) -> Response:
            return Response()

        def plain(request: Request, handler: Handler) -> Response:
            return Response()

        for function, message in ((one, second), (three, second), (plain, "async def")):
            with pytest.raises(RegistrationError) as caught:
                check(function)
            assert message in str(caught.value)
            assert location_of(function) in str(caught.value)

    @pytest.mark.parametrize("check", [check_middleware, check_error_handler])
    def test_a_class_is_refused_with_what_to_write_instead(self, check: Callable[[Any], None]) -> None:
        class Timing:
            async def __call__(self, request: Request, other: Any) -> Response:
                return Response()

        with pytest.raises(RegistrationError, match=r"Timing is a class: .* Timing\(\.\.\.\)"):
            check(Timing)

    @pytest.mark.parametrize("check", [check_middleware, check_error_handler])
    def test_what_cannot_be_called_is_said_to_be_no_function(self, check: Callable[[Any], None]) -> None:
        for thing in ("http", None):
            with pytest.raises(RegistrationError, match=f"{thing!r} is no function"):
                check(thing)


class TestPlainFunctions:
    """They are read without ``inspect.signature``, which must not make a difference."""

    def test_what_is_read_is_what_inspect_reads(self) -> None:
        async def nothing() -> None: ...
        async def positions(a: int, /, b: str, c=1, *, d: float, e=2) -> None: ...  # type: ignore[no-untyped-def]
        async def rest(a, *args: int, b, c=3, **kwargs: str) -> None: ...  # type: ignore[no-untyped-def]
        async def only_rest(*args: int) -> None: ...
        async def names(a: int = 1, **kwargs: int) -> None:
            local = a
            del local

        for function in (nothing, positions, rest, only_rest, names):
            kinds = {Argument(*argument[:3], None) for argument in arguments_of(function)}
            parameters = inspect.signature(function).parameters.values()
            assert kinds == {
                Argument(parameter.name, parameter.kind, required(parameter), None)
                for parameter in parameters
            }
            annotations = {argument.name: argument.annotation for argument in arguments_of(function)}
            assert [annotations[parameter.name] for parameter in parameters if not variadic(parameter)] == [
                parameter.annotation for parameter in parameters if not variadic(parameter)
            ]


def variadic(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def required(parameter: inspect.Parameter) -> bool:
    return parameter.default is inspect.Parameter.empty and not variadic(parameter)


class TestLocation:
    def test_file_line_and_name(self) -> None:
        async def handler(request: Request) -> Response:
            return Response()

        line = inspect.getsourcelines(handler)[1]
        place = f"{__file__}:{line} TestLocation.test_file_line_and_name.<locals>.handler"
        assert location_of(handler) == place
        assert location_of(functools.partial(handler)) == place

    def test_an_object_is_where_its_call_is(self) -> None:
        class Callable_:
            async def __call__(self, request: Request) -> Response:
                return Response()

        assert location_of(Callable_()).startswith(f"{__file__}:")
        assert location_of(functools.partial(Callable_())).endswith("__call__")

    def test_annotations_are_read_where_they_were_written(self) -> None:
        class Callable_:
            async def __call__(self, request: Request, id: UserId) -> Response:
                return Response()

        for handler in (Callable_(), functools.partial(Callable_())):
            bind_handler(handler, {"id": int})
            assert "'id' as UserId" in refused(handler, {"id": str})

    def test_what_has_no_source_has_a_name(self) -> None:
        assert location_of(len) == "<built-in function len>"


if TYPE_CHECKING:
    _: Decimal
