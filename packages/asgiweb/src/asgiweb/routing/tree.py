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
from typing import Any, TypeAlias

from .converters import Converter
from .patterns import Parameter, Segment
from .route import Route

#: A way on by a parameter: what converts it, or None where the text is the value, and where that leads.
Branch: TypeAlias = "tuple[Callable[[str], Any] | None, Node]"


class Node:
    """A place in the tree, with the routes that end here by method."""

    __slots__ = ("_children", "forks", "literals", "mount", "only", "parameters", "rest", "routes")

    def __init__(self) -> None:
        self.literals: dict[str, Node] = {}
        self.parameters: Sequence[Branch] = ()
        self.rest: Sequence[Branch] = ()
        self.routes: dict[str, Route] = {}
        #: What answers here, and for all that is below, where no route does.
        self.mount: Route | None = None
        #: Whether there is another way on than literal text.
        self.forks = False
        #: That other way, if there is but one.
        self.only: Branch | None = None
        # Most nodes have none, and a thousand routes have thousands of nodes.
        self._children: dict[Converter[Any], Node] | None = None

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
        if self._children is None:
            self._children = {}
        child = self._children.get(converter)
        if child is None:
            child = self._children[converter] = Node()
            # The name decides between equals, because the order of registration must not.
            ways = sorted(self._children.items(), key=lambda way: (way[0].rank, way[0].name))
            self.parameters = [(_parse(kind), child) for kind, child in ways if not kind.spans_segments]
            self.rest = [(_parse(kind), child) for kind, child in ways if kind.spans_segments]
            self._count_ways()
        return child

    def put_mount(self, mount: Route) -> None:
        """Let something answer here and for all that is below."""
        self.mount = mount
        self._count_ways()

    def _count_ways(self) -> None:
        self.forks = True
        single = len(self.parameters) == 1 and not self.rest and self.mount is None
        self.only = self.parameters[0] if single else None


def _parse(converter: Converter[Any]) -> Callable[[str], Any] | None:
    # The text need not be copied by a call.
    return None if converter.parse is str else converter.parse


def walk(
    node: Node, segments: Sequence[str], index: int, method: str, values: list[Any], allowed: set[str] | None
) -> Route | None:
    """Find the route for the segments from ``index`` on, or None.

    ``values`` gets the converted parameters, and after a failure some that mean nothing; ``allowed``, if it
    is given, the methods of every route that was reached and has another method.
    """
    count = len(segments)
    # Where there is one way on there is nothing to come back to, and no call is needed.
    while index < count:
        segment = segments[index]
        child = node.literals.get(segment)
        if node.forks:
            if child is not None or node.only is None or not segment:
                return _walk_each(node, child, segments, index, method, values, allowed)
            parse, child = node.only
            try:
                values.append(segment if parse is None else parse(segment))
            except ValueError:
                return None
        elif child is None:
            return None
        node = child
        index += 1
    route = node.routes.get(method)
    if route is None:
        if allowed is not None:
            allowed.update(node.routes)
        return node.mount
    return route


def _walk_each(
    node: Node,
    child: Node | None,
    segments: Sequence[str],
    index: int,
    method: str,
    values: list[Any],
    allowed: set[str] | None,
) -> Route | None:
    """Try one way after the other, the most specific first."""
    found = len(values)
    if child is not None:
        route = walk(child, segments, index + 1, method, values, allowed)
        if route is not None:
            return route
    ways = [(segments[index], index + 1, node.parameters)] if segments[index] else []
    if node.rest:
        ways.append(("/".join(segments[index:]), len(segments), node.rest))
    for text, next_index, branches in ways:
        for parse, child in branches:
            del values[found:]
            try:
                values.append(text if parse is None else parse(text))
            except ValueError:
                continue
            route = walk(child, segments, next_index, method, values, allowed)
            if route is not None:
                return route
    del values[found:]
    return node.mount
