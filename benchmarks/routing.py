"""What a router costs: lookups among 10 and 1,000 routes, and building them: ``make bench-routing``.

Half of the routes are static, half have one parameter, converted to an int where the router can do that.
The last of each kind is looked up, because some go through them one by one, and a path that is nobody's. All
take turns in one run, so that what slows the machine down slows all of them, and the least of many rounds
counts. Caches of whole lookups are left out: they help only where paths repeat.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from .tables import table

NUMBERS: Final = (10, 1000)
ROUNDS: Final = 30
CALLS: Final = 300

#: The most that asgiweb may take, in microseconds of processor time, on CPython 3.11.
TARGETS: Final = {"static": 0.2, "one parameter": 1.1, "miss": 0.4}
#: The same for building 1,000 routes, in milliseconds.
BUILDING_TARGET: Final = 20.0

#: Routes, each a path before and after its parameter, or without one.
Routes = list[tuple[str, str | None]]


class Lookup(NamedTuple):
    """How a router that was built is asked: ``find(prepare(path))``, which is None for a miss."""

    find: Callable[[Any], object]
    prepare: Callable[[str], Any] = str


def routes(number: int) -> Routes:
    """Name the routes; ``None`` is for static ones."""
    half = number // 2
    return [(f"/s{n}/static", None) for n in range(half)] + [(f"/r{n}/", "/sub") for n in range(half)]


def paths(number: int) -> dict[str, str]:
    """Name what is looked up."""
    last = number // 2 - 1
    return {"static": f"/s{last}/static", "one parameter": f"/r{last}/123456/sub", "miss": "/nothing/here"}


def asgiweb(routes: Routes) -> Lookup:
    """Build a router of asgiweb."""
    from asgiweb import Request, Response, Router

    async def static(request: Request) -> Response:
        return Response()

    async def parameter(request: Request, id: int) -> Response:
        return Response()

    router = Router()
    for before, after in routes:
        if after is None:
            router.add_get(before, static)
        else:
            router.add_get(f"{before}{{id:int}}{after}", parameter)
    return Lookup(router.resolve, _scope)


def starlette(routes: Routes) -> Lookup:
    """Build Starlette's list of routes."""
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Match, Route

    async def endpoint(request: Request) -> Response:
        return Response()

    built = [
        Route(before if after is None else f"{before}{{id:int}}{after}", endpoint) for before, after in routes
    ]

    def find(scope: Any) -> object:
        # As its Router goes through them.
        for route in built:
            match, child_scope = route.matches(scope)
            if match is Match.FULL:
                return child_scope
        return None

    return Lookup(find, _scope)


def blacksheep(routes: Routes) -> Lookup:
    """Build BlackSheep's router."""
    from blacksheep.server.routing import Router

    async def endpoint() -> None: ...

    router: Any = Router()
    for before, after in routes:
        router.add_get(before if after is None else f"{before}{{int:id}}{after}", endpoint)
    router.apply_routes()
    router.sort_routes()
    find = router.get_match_by_method_and_path
    uncached = getattr(find, "__wrapped__", None)
    if uncached is not None:
        return Lookup(lambda path: uncached(router, "GET", path))
    return Lookup(lambda path: find("GET", path))


def litestar(routes: Routes) -> Lookup:
    """Build an application of Litestar, whose router cannot be had without."""
    from litestar import Litestar, get
    from litestar.exceptions import NotFoundException

    @get([before for before, after in routes if after is None])
    async def static() -> None: ...

    @get([f"{before}{{id:int}}{after}" for before, after in routes if after is not None])
    async def parameter(id: int) -> None: ...

    router = Litestar([static, parameter], openapi_config=None).asgi_router
    cached: Any = router.handle_routing
    uncached = cached.__wrapped__

    def find(path: str) -> object:
        try:
            return bool(uncached(path, "GET"))
        except NotFoundException:
            return None

    return Lookup(find)


def falcon(routes: Routes) -> Lookup:
    """Build Falcon's router, compiled."""
    from falcon.routing import CompiledRouter

    class Resource:
        def on_get(self, request: object, response: object, **parameters: object) -> None: ...

    router = CompiledRouter()
    for before, after in routes:
        router.add_route(before if after is None else f"{before}{{id:int}}{after}", Resource())
    # It compiles when it is asked for the first time.
    router.find("/")
    return Lookup(router.find)


def werkzeug(routes: Routes) -> Lookup:
    """Build werkzeug's map, which Quart and Flask use."""
    from werkzeug.exceptions import NotFound
    from werkzeug.routing import Map, Rule

    patterns = [before if after is None else f"{before}<int:id>{after}" for before, after in routes]
    # It goes through all rules of an endpoint, so each has its own.
    rules = [Rule(pattern, endpoint=pattern) for pattern in patterns]
    adapter = Map(rules).bind("localhost")
    adapter.map.update()

    def find(path: str) -> object:
        try:
            return adapter.match(path)
        except NotFound:
            return None

    return Lookup(find)


ROUTERS: Final[dict[str, Callable[[Routes], Lookup]]] = {
    "asgiweb": asgiweb,
    "starlette": starlette,
    "blacksheep": blacksheep,
    "litestar": litestar,
    "falcon": falcon,
    "werkzeug": werkzeug,
}


def _scope(path: str) -> dict[str, Any]:
    raw_path = path.encode()
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": raw_path,
        "root_path": "",
        "headers": [],
    }


class Result(NamedTuple):
    """One router among so many routes: microseconds by kind of lookup, and milliseconds to build it."""

    router: str
    number: int
    microseconds: dict[str, float]
    building: float


def measure(names: Iterable[str], number: int, rounds: int) -> list[Result]:
    """Build the routers, and look paths up in turns. Raises RuntimeError if one finds the wrong thing."""
    lookups: dict[str, Lookup] = {}
    building: dict[str, float] = {}
    for name in names:
        try:
            lookups[name], building[name] = _build(ROUTERS[name], number)
        except ImportError:
            print(f"{name} is not installed", file=sys.stderr)
    asked = paths(number)
    for name, lookup in lookups.items():
        found = [lookup.find(lookup.prepare(path)) is not None for path in asked.values()]
        if found != [True, True, False]:
            raise RuntimeError(f"{name} finds what is not there, or not what is: {found}")
    least = {name: dict.fromkeys(asked, float("inf")) for name in lookups}
    for _ in range(rounds):
        for kind, path in asked.items():
            for name, lookup in lookups.items():
                least[name][kind] = min(least[name][kind], _time(lookup, path))
    return [Result(name, number, least[name], building[name]) for name in lookups]


def _build(build: Callable[[Routes], Lookup], number: int) -> tuple[Lookup, float]:
    """Build a router, small ones and quick ones several times; milliseconds of the quickest."""
    # The first time is that of imports.
    build(routes(2))
    least = float("inf")
    for _ in range(7):
        gc.collect()
        start = time.process_time()
        lookup = build(routes(number))
        least = min(least, (time.process_time() - start) * 1e3)
        if least > 100:
            break
    return lookup, least


def _time(lookup: Lookup, path: str) -> float:
    find, argument = lookup
    prepared = argument(path)
    for _ in range(3):
        find(prepared)
    # A slow one is as well known after fewer calls.
    start = time.process_time()
    find(prepared)
    calls = CALLS if time.process_time() - start < 50e-6 else 10
    start = time.process_time()
    for _ in range(calls):
        find(prepared)
    return (time.process_time() - start) / calls * 1e6


def tabulate(results: Iterable[Result]) -> str:
    """Show all that was measured, and which targets asgiweb has met."""
    rows = [
        ["router", "routes", *(f"{kind}, µs" for kind in TARGETS), "building, ms"],
        ["---", *["---:"] * 5],
    ]
    for result in results:
        times = [_cell(result, kind) for kind in TARGETS]
        building = f"{result.building:.1f}"
        if result.router == "asgiweb" and result.number == 1000:
            building += _verdict(result.building, BUILDING_TARGET)
        rows.append([result.router, f"{result.number:,}", *times, building])
    return table(rows)


def _cell(result: Result, kind: str) -> str:
    time = result.microseconds[kind]
    return f"{time:.2f}" + (_verdict(time, TARGETS[kind]) if result.router == "asgiweb" else "")


def _verdict(value: float, target: float) -> str:
    return f" (≤ {target:g}: {'met' if value <= target else 'missed'})"


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.routing")
    parser.add_argument("--routers", nargs="+", choices=ROUTERS, default=list(ROUTERS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args()
    # As timeit does: what others have built is nothing to look through while one builds.
    gc.disable()
    results = [result for number in NUMBERS for result in measure(asked.routers, number, asked.rounds)]
    print(tabulate(results))


if __name__ == "__main__":
    main()
