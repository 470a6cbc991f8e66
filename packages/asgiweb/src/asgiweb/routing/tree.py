"""The tree of path segments in which routes with parameters are found.

Specificity decides, never the order of registration: in each place literal text comes before parameters,
these come in the order of their converters' ranks, and what takes the rest of the path comes last; after
that comes what is mounted there. A branch that leads to no route for the method is left again for the next
one.

A node is reached over one way only, so a lookup visits each at most once, however many routes there are.
Values are converted on the way, once: a conversion that fails is a branch that does not match.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from .patterns import Parameter, Segment
from .route import Route


class Branch(NamedTuple):
    """A parameter below a node; ``parse`` is None where the text is the value."""

    parse: Callable[[str], Any] | None
    child: Node
    parameter: Parameter


class Node:
    """A place in the tree, with the routes that end here by method."""

    __slots__ = ("forks", "literals", "mount", "parameters", "rest", "routes")

    def __init__(self) -> None:
        self.literals: dict[str, Node] = {}
        self.parameters: list[Branch] = []
        self.rest: list[Branch] = []
        self.routes: dict[str, Route] = {}
        #: What answers here, and for all that is below, where no route does.
        self.mount: Route | None = None
        #: Whether there is another way on than literal text.
        self.forks = False

    def descend(self, segments: Iterable[Segment]) -> Node:
        """Return the node where a pattern ends, grown if need be."""
        node = self
        for segment in segments:
            if isinstance(segment, str):
                child = node.literals.get(segment)
                if child is None:
                    child = node.literals[segment] = Node()
                node = child
            else:
                node = node._branch(segment)
        return node

    def _branch(self, parameter: Parameter) -> Node:
        converter = parameter.converter
        branches = self.rest if converter.spans_segments else self.parameters
        for branch in branches:
            if branch.parameter.converter is converter:
                return branch.child
        child = Node()
        self.forks = True
        branches.append(Branch(None if converter.parse is str else converter.parse, child, parameter))
        # The name decides between equals, because the order of registration must not.
        branches.sort(key=lambda branch: (branch.parameter.converter.rank, branch.parameter.converter.name))
        return child

    def put_mount(self, mount: Route) -> None:
        """Let something answer here and for all that is below."""
        self.mount = mount
        self.forks = True


def walk(
    node: Node, segments: Sequence[str], index: int, method: str, values: list[Any], allowed: set[str] | None
) -> Route | None:
    """Find the route for the segments from ``index`` on, or None.

    ``values`` gets the converted parameters, the last one first; ``allowed``, if it is given, the methods of
    every route that was reached and has another method.
    """
    count = len(segments)
    # Where there is no choice there is nothing to come back to, and no call is needed.
    while index < count and not node.forks:
        next_node = node.literals.get(segments[index])
        if next_node is None:
            return None
        node = next_node
        index += 1
    if index == count:
        route = node.routes.get(method)
        if route is None:
            if allowed is not None:
                allowed.update(node.routes)
            return node.mount
        return route
    segment = segments[index]
    child = node.literals.get(segment)
    if child is not None:
        route = walk(child, segments, index + 1, method, values, allowed)
        if route is not None:
            return route
    if segment:
        for parse, child, _ in node.parameters:
            try:
                value = segment if parse is None else parse(segment)
            except ValueError:
                continue
            route = walk(child, segments, index + 1, method, values, allowed)
            if route is not None:
                values.append(value)
                return route
    if node.rest:
        route = _walk_rest(node, segments, index, method, values, allowed)
        if route is not None:
            return route
    return node.mount


def _walk_rest(
    node: Node, segments: Sequence[str], index: int, method: str, values: list[Any], allowed: set[str] | None
) -> Route | None:
    rest = "/".join(segments[index:])
    for parse, child, _ in node.rest:
        try:
            value = rest if parse is None else parse(rest)
        except ValueError:
            continue
        route = walk(child, segments, len(segments), method, values, allowed)
        if route is not None:
            values.append(value)
            return route
    return None
