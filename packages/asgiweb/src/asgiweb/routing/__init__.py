"""From a request to its route: patterns and converters, the tree, the router, and URLs the way back."""

from .converters import Converter
from .decorators import RouteDecorators
from .route import Route
from .router import RouteOptions, Router

__all__ = ["Converter", "Route", "RouteDecorators", "RouteOptions", "Router"]
