"""From a request to its route: patterns and converters, the tree, the router, and URLs the way back."""

from .converters import Converter
from .decorators import RouteDecorators
from .definitions import Definition, MountOptions, RouteOptions
from .groups import Group
from .route import Layer, Route
from .router import Router

__all__ = [
    "Converter",
    "Definition",
    "Group",
    "Layer",
    "MountOptions",
    "Route",
    "RouteDecorators",
    "RouteOptions",
    "Router",
]
