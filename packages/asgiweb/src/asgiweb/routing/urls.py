"""Building the URL of a named route, so that a request for it finds that route with those parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..errors import UrlError
from .patterns import Parameter
from .route import Route

if TYPE_CHECKING:
    from yarl import URL

# What a segment may hold unquoted (RFC 3986, 3.3).
_SEGMENT_SAFE = "!$&'()*+,;=:@~"


def build_url(route: Route, parameters: Mapping[str, Any], root_path: str = "") -> URL:
    """Return the path of a route, quoted. UrlError if a parameter is missing, unknown or does not fit."""
    names = route.parameter_names
    if set(names) != parameters.keys():
        raise UrlError(
            f"url_for {route.name!r}: the parameters of {route.path!r} are "
            f"{', '.join(names) or 'none'}, not {', '.join(parameters) or 'none'}"
        )
    segments = [
        segment if isinstance(segment, str) else _format(route, segment, parameters[segment.name])
        for segment in route.pattern.segments
    ]
    quoted = [
        quote(text, safe=_SEGMENT_SAFE + ("/" if _spans(segment) else ""))
        for text, segment in zip(segments, route.pattern.segments, strict=True)
    ]
    path = "/" + "/".join(quoted)
    if path.startswith("//"):
        # A browser would take what follows for a host (RFC 3986, 4.2).
        raise UrlError(f"url_for {route.name!r}: the path would begin with two slashes: {path!r}")
    # It would be 4 % of an import of asgiweb, and many applications build no URL.
    from yarl import URL

    return URL(quote(root_path.rstrip("/"), safe="/" + _SEGMENT_SAFE) + path, encoded=True)


def _spans(segment: str | Parameter) -> bool:
    return isinstance(segment, Parameter) and segment.converter.spans_segments


def _format(route: Route, parameter: Parameter, value: Any) -> str:
    converter = parameter.converter
    fits = isinstance(value, converter.type) or (converter.type is float and isinstance(value, int))
    if not fits or (isinstance(value, bool) and converter.type is not bool):
        raise UrlError(
            f"url_for {route.name!r}: {parameter.name!r} is {value!r}, and {parameter} takes "
            f"{converter.type.__name__}"
        )
    text = converter.format(value)
    try:
        converter.parse(text)
    except ValueError:
        text = ""
    # Clients resolve "." and ".." even when they are quoted, so no such segment ever arrives.
    dots = {".", ".."}.intersection(text.split("/") if converter.spans_segments else [text])
    if dots or not (text or converter.spans_segments):
        raise UrlError(
            f"url_for {route.name!r}: {parameter.name!r} cannot be {value!r}: no path is read as that"
        )
    return text
