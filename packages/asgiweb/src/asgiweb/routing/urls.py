"""Building the URL of a named route, so that a request for it finds that route with those parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from ..asgi import Scope
from ..errors import UrlError
from ..target_uri import quoted_path
from .converters import BUILT_IN, Converter
from .hosts import NAME_SIZE, port_of
from .paths import segments_of
from .patterns import Parameter, Segment, is_label
from .route import MOUNT, WEBSOCKET, Route

if TYPE_CHECKING:
    from yarl import URL

# What a segment may hold unquoted (RFC 3986, 3.3).
_SEGMENT_SAFE = "!$&'()*+,;=:@~"

_BELOW = Parameter("path", next(converter for converter in BUILT_IN if converter.name == "path"))


def build_url(
    route: Route, parameters: Mapping[str, Any], root_path: str = "", scope: Scope | None = None
) -> URL:
    """Return the path of a route, quoted, after its host if it is bound to one; otherwise as ``url_for``."""
    from yarl import URL  # a tenth of an import of this package, and many applications never ask for a URL

    pattern = route.pattern
    segments = pattern.segments
    names = route.parameter_names
    if route.methods == (MOUNT,) and "path" in parameters and "path" not in names:
        # A place below the mount, which only the mounted application knows.
        segments = (*segments, _BELOW)
        names = (*names, "path")
    if set(names) != parameters.keys():
        raise UrlError(
            f"url_for {route.name!r}: the parameters of {route.path!r} are "
            f"{', '.join(names) or 'none'}, not {', '.join(parameters) or 'none'}"
        )
    path = "".join(f"/{_quoted(route, segment, parameters)}" for segment in segments)
    if path.startswith("//"):
        # A browser would take what follows for a host (RFC 3986, 4.2).
        raise UrlError(f"url_for {route.name!r}: the path would begin with two slashes: {path!r}")
    path = _quoted_prefix(root_path.rstrip("/"), scope) + path
    if pattern.host is None:
        return URL(path or "/", encoded=True)
    host = ".".join(_label(route, label, parameters) for label in pattern.labels)
    if len(host) > NAME_SIZE:
        raise UrlError(f"url_for {route.name!r}: a host has at most {NAME_SIZE} characters: {host!r}")
    return URL(_origin(route, host, scope) + path, encoded=True)


def _quoted_prefix(root_path: str, scope: Scope | None) -> str:
    raw_path: bytes | None = None if scope is None else scope.get("raw_path")
    if scope is not None and root_path and raw_path is not None and b"%2f" in raw_path.lower():
        # It may have parameters, and only here it shows whether a slash belongs to one.
        sent = quoted_path(scope).split("/")
        prefix = "/".join(sent[: len(sent) - len(segments_of(scope)) + 1])
        if unquote(prefix) == root_path:
            return prefix
    return quote(root_path, safe="/" + _SEGMENT_SAFE)


def _quoted(route: Route, segment: Segment, parameters: Mapping[str, Any]) -> str:
    if isinstance(segment, str):
        return quote(segment, safe=_SEGMENT_SAFE)
    safe = _SEGMENT_SAFE + ("/" if segment.converter.spans_segments else "")
    return quote(_format(route, segment, parameters[segment.name]), safe=safe)


def _label(route: Route, label: Segment, parameters: Mapping[str, Any]) -> str:
    if isinstance(label, str):
        return label
    text = _format(route, label, parameters[label.name])
    if not is_label(text):
        raise UrlError(
            f"url_for {route.name!r}: {label.name!r} cannot be {parameters[label.name]!r}: no host is read "
            f"as that"
        )
    return text


def _origin(route: Route, host: str, scope: Scope | None) -> str:
    """Return what comes before the path: where the request came in, but for the route's own host."""
    if scope is None:
        return f"//{host}"
    secure = scope.get("scheme", "http") in ("https", "wss")
    scheme = "ws" if WEBSOCKET in route.methods else "http"
    port = port_of(scope)
    return f"{scheme}{'s' if secure else ''}://{host}{':' if port else ''}{port}"


def _format(route: Route, parameter: Parameter, value: Any) -> str:
    converter = parameter.converter
    fits = isinstance(value, converter.type) or (converter.type is float and isinstance(value, int))
    if not fits or (isinstance(value, bool) and converter.type is not bool):
        raise UrlError(
            f"url_for {route.name!r}: {parameter.name!r} is {value!r}, and {parameter} takes "
            f"{converter.type.__name__}"
        )
    text = converter.format(value)
    if not _is_readable(converter, text):
        raise UrlError(
            f"url_for {route.name!r}: {parameter.name!r} cannot be {value!r}: no path is read as that"
        )
    return text


def _is_readable(converter: Converter[Any], text: str) -> bool:
    """Tell whether a path can carry a text, so that the converter takes it."""
    try:
        converter.parse(text)
        # Half of a surrogate pair is no character.
        text.encode()
    except ValueError:
        return False
    if not text:
        return converter.spans_segments
    # Clients resolve "." and ".." even when they are quoted, so no such segment ever arrives.
    return not {".", ".."}.intersection(text.split("/") if converter.spans_segments else [text])
