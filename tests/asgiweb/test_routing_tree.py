"""The tree: specificity, backtracking, conversion during the walk, and what it costs."""

from __future__ import annotations

from typing import Any

import pytest

from asgiweb import Response
from asgiweb.request import Request
from asgiweb.routing.converters import BUILT_IN, Converter
from asgiweb.routing.patterns import parse_pattern
from asgiweb.routing.route import Route
from asgiweb.routing.tree import Node, walk

CONVERTERS: dict[str, Converter[Any]] = {converter.name: converter for converter in BUILT_IN}


async def handler(request: Request) -> Response:
    return Response()


def tree(*paths: str, method: str = "GET") -> Node:
    root = Node()
    for path in paths:
        pattern = parse_pattern(path, CONVERTERS)
        root.descend(pattern.segments).routes[method] = Route(pattern, (method,), handler, handler, "here")
    return root


def find(root: Node, path: str, method: str = "GET") -> tuple[str, list[Any]] | None:
    values: list[Any] = []
    route = walk(root, path.split("/"), 1, method, values, None)
    return None if route is None else (route.path, values)


PATHS = [
    "/{rest:path}",
    "/{a}",
    "/{a:float}",
    "/{a:int}",
    "/{a:uuid}",
    "/new",
    "/o/{x}/edit",
    "/o/new/{y}/save",
    "/o/{x:int}/{y}",
    "/{s}/hello",
]


@pytest.mark.parametrize("paths", [PATHS, PATHS[::-1]], ids=["as written", "reversed"])
@pytest.mark.parametrize(
    ("path", "expected", "values"),
    [
        ("/new", "/new", []),
        ("/7", "/{a:int}", [7]),
        ("/7.5", "/{a:float}", [7.5]),
        ("/0f8fad5b-d9cb-469f-a165-70867728950e", "/{a:uuid}", None),
        ("/seven", "/{a}", ["seven"]),
        ("/", "/{rest:path}", [""]),
        ("/a/b/c", "/{rest:path}", ["a/b/c"]),
        ("/o/new/edit", "/o/{x}/edit", ["new"]),
        ("/o/new/1/save", "/o/new/{y}/save", ["1"]),
        ("/o/7/edit", "/o/{x:int}/{y}", [7, "edit"]),
        ("/o/x/edit", "/o/{x}/edit", ["x"]),
        ("/o/x/y", "/{rest:path}", ["o/x/y"]),
        ("/o/hello", "/{s}/hello", ["o"]),
        ("/x/hello", "/{s}/hello", ["x"]),
        ("/x/", "/{rest:path}", ["x/"]),
        ("//", "/{rest:path}", ["/"]),
    ],
)
def test_the_most_specific_route_is_found_whatever_the_order(
    paths: list[str], path: str, expected: str, values: list[Any] | None
) -> None:
    found = find(tree(*paths), path)
    assert found is not None
    assert found[0] == expected
    if values is not None:
        assert found[1] == values


@pytest.mark.parametrize("order", [1, -1])
def test_of_equals_the_name_decides_and_never_the_order(order: int) -> None:
    paths = ["/{x:regex([a-z]+)}", "/{x:regex([a-m]+)}"]
    assert find(tree(*paths[::order]), "/abc") == ("/{x:regex([a-m]+)}", ["abc"])
    assert find(tree(*paths[::order]), "/xyz") == ("/{x:regex([a-z]+)}", ["xyz"])


@pytest.mark.parametrize("path", ["/", "/a/b", "/a/", "//", "*", ""])
def test_a_parameter_is_one_segment_and_not_empty(path: str) -> None:
    assert find(tree("/{x}"), path) is None


def test_a_trailing_slash_is_part_of_the_path() -> None:
    root = tree("/a/{x}/")
    assert find(root, "/a/b/") == ("/a/{x}/", ["b"])
    assert find(root, "/a/b") is None


def test_the_rest_of_a_path_needs_the_slash_before_it() -> None:
    root = tree("/files/{rest:path}")
    assert find(root, "/files") is None
    assert find(root, "/files/") == ("/files/{rest:path}", [""])


def test_another_method_is_no_reason_to_stop_looking() -> None:
    root = tree("/users/{id:int}")
    pattern = parse_pattern("/users/{name}", CONVERTERS)
    root.descend(pattern.segments).routes["POST"] = Route(pattern, ("POST",), handler, handler, "here")
    assert find(root, "/users/7") == ("/users/{id:int}", [7])
    assert find(root, "/users/7", "POST") == ("/users/{name}", ["7"])


def test_the_methods_of_every_route_that_is_reached_are_collected() -> None:
    root = tree("/a/{x:int}")
    for path, method in (("/a/{x}", "POST"), ("/a/{x:path}", "PUT"), ("/a/b", "PATCH"), ("/{x}/7", "DELETE")):
        pattern = parse_pattern(path, CONVERTERS)
        root.descend(pattern.segments).routes[method] = Route(pattern, (method,), handler, handler, "here")
    allowed: set[str] = set()
    assert walk(root, ["", "a", "7"], 1, "", [], allowed) is None
    assert allowed == {"GET", "POST", "PUT", "DELETE"}


def test_a_value_is_converted_once() -> None:
    parsed = []

    def parse(text: str) -> str:
        parsed.append(text)
        return text

    converters: dict[str, Converter[Any]] = {**CONVERTERS, "seen": Converter("seen", str, parse)}
    root = Node()
    for path in ("/{x:seen}/a", "/{y:seen}/b", "/{z:seen}/c"):
        pattern = parse_pattern(path, converters)
        root.descend(pattern.segments).routes["GET"] = Route(pattern, ("GET",), handler, handler, "here")
    assert find(root, "/v/c") == ("/{z:seen}/c", ["v"])
    assert parsed == ["v"]


def test_a_refused_conversion_leaves_no_value_behind() -> None:
    root = tree("/{a:int}/x", "/{a}/{b:int}/y", "/{a}/{b}/z")
    assert find(root, "/1/2/z") == ("/{a}/{b}/z", ["1", "2"])


def test_what_takes_the_rest_of_a_path_may_refuse_it() -> None:
    def parse(text: str) -> str:
        if not text.endswith(".txt"):
            raise ValueError(text)
        return text

    own = Converter("textfile", str, parse, spans_segments=True)
    converters: dict[str, Converter[Any]] = {**CONVERTERS, "textfile": own}
    root = Node()
    for path in ("/{rest:path}", "/{file:textfile}"):
        pattern = parse_pattern(path, converters)
        root.descend(pattern.segments).routes["GET"] = Route(pattern, ("GET",), handler, handler, "here")
    assert find(root, "/a/b.txt") == ("/{file:textfile}", ["a/b.txt"])
    assert find(root, "/a/b.png") == ("/{rest:path}", ["a/b.png"])


class Counting(dict[str, Node]):
    """The literal children of a node, and how often somebody has looked."""

    looks = 0

    def get(self, key: str, default: Any = None) -> Any:
        Counting.looks += 1
        return super().get(key, default)


@pytest.mark.parametrize("routes", [10, 1000])
def test_a_lookup_takes_the_same_steps_for_any_number_of_routes(routes: int) -> None:
    root = tree(*(f"/r{number}/{{id:int}}/sub" for number in range(routes)), "/{a}/{b}/other")
    nodes = [root]
    for node in nodes:
        node.literals = Counting(node.literals)
        nodes += [*node.literals.values(), *(child for _, child in node.parameters)]
    Counting.looks = 0
    assert find(root, f"/r{routes - 1}/7/sub") is not None
    assert Counting.looks == 3
