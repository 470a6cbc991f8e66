"""Data that a client sends, made into what the application declares: by msgspec, into any type it knows.

What does not fit is an HTTPUnprocessableContent whose problem details say where (RFC 9457), by a JSON pointer
(RFC 6901) into the body. msgspec stops at the first mistake, so that is one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, get_origin
from urllib.parse import quote

import msgspec

from .exceptions import HTTPBadRequest, HTTPUnprocessableContent
from .headers import media_type

# Compiled when the first body does not fit, because each takes a hundredth of the import of this package.
# msgspec's messages end like this: - at `$.items[0].price`. For the key of an object: - at `key` in `$.a`.
_PATH = r"(?s)(?P<detail>.*) - at (?P<key>`key` in )?`\$(?P<path>[^`]*)`"
_STEP = r"\.(?P<name>[^.\[]+)|\[(?P<index>[0-9]+|\.\.\.)\]"
_MEMBER = r"(?s)Object (?P<what>missing required|contains unknown) field `(?P<name>.*)`"


#: Ends the detail where msgspec does not say which value of a mapping it is.
IN_A_VALUE = ", in one of the values"


class NotJSON(ValueError):
    """The text is no JSON at all (RFC 8259)."""


def decode_json(text: str | bytes, model: Any) -> Any:
    """Make a ``model`` of JSON. NotJSON, or msgspec.ValidationError for JSON that is no such thing."""
    try:
        return _decoder(model).decode(text)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise NotJSON(_reason(error)) from None


def decode_body(body: bytes, model: Any) -> Any:
    """Make a ``model`` of a request's body. HTTPBadRequest, or HTTPUnprocessableContent that says where."""
    try:
        return _decode_any(body) if model is Any else _decoder(model).decode(body)
    except msgspec.ValidationError as error:
        if model is Any:
            # All is well but a number that is too large.
            raise HTTPBadRequest(f"the body is {_reason(error)}") from None
        detail, steps = explain(error)
        raise misfit("body", detail, pointer=json_pointer(steps)) from None
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise HTTPBadRequest(f"the body is {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return "JSON that is nested too deeply" if isinstance(error, RecursionError) else f"not JSON: {error}"


_decode_any = msgspec.json.Decoder().decode


def _decoder(model: Any) -> msgspec.json.Decoder[Any]:
    try:
        return _kept_decoder(model)
    except TypeError:
        # It cannot be a key of the cache, or msgspec does not know it and says so again.
        return msgspec.json.Decoder(model, dec_hook=refuse_unknown)


# To make a decoder costs several times what a small message does. Models come from code, and are few.
@lru_cache(maxsize=256)
def _kept_decoder(model: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(model, dec_hook=refuse_unknown)


#: What JSON is made of. Texts of queries and forms are among it.
_PLAIN = (str, int, float, bool, type(None), list, dict)


def refuse_unknown(kind: Any, value: Any) -> Any:
    """Tell a class that msgspec makes nothing of; it calls this for a value that should be one.

    NotImplementedError: no client can send such a thing, so a 422 would blame the wrong side.
    """
    cls = get_origin(kind) or kind
    if isinstance(value, cls) or any(issubclass(plain, cls) for plain in _PLAIN):
        return value  # msgspec compares it with the class
    raise NotImplementedError(
        f"no {cls.__name__} can be made of what clients send: models are Structs of msgspec, dataclasses, "
        f"TypedDicts, and what these may hold"
    )


def misfit(what: str, detail: str, **place: str) -> HTTPUnprocessableContent:
    """Make the answer to a body, form or query that does not fit, with the place in its problem details."""
    where = "".join(f", at {name}" for name in place.values())
    message = f"the {what} is not what is expected here: {detail}{where}"
    return HTTPUnprocessableContent(message, members={"errors": [{"detail": detail, **place}]})


def explain(error: msgspec.ValidationError) -> tuple[str, list[str]]:
    """Take msgspec's message apart: what is wrong, and the names and indexes that lead there.

    They lead to where a missing member should be. Of a mapping msgspec does not tell the key: there they end.
    """
    detail = str(error)
    steps: list[str] = []
    match = re.fullmatch(_PATH, detail)
    if match is not None:
        detail = match["detail"]
        if match["key"]:
            detail += ", as a key"
        for step in re.finditer(_STEP, match["path"]):
            if step["index"] == "...":
                return detail + IN_A_VALUE, steps
            steps.append(step["name"] or step["index"])
    member = re.fullmatch(_MEMBER, detail)
    if member is not None:
        steps.append(member["name"])
        detail = "Missing" if member["what"] == "missing required" else "Unknown"
    return detail, steps


def json_pointer(steps: list[str]) -> str:
    """Write a JSON pointer as the fragment of a URI (RFC 6901, 6)."""
    text = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
    return "#" + quote(text, safe="/~!$&'()*+,;=:@?")


def is_json(content_type: str) -> bool:
    """Say whether a Content-Type is that of JSON: application/json, or one with "+json" (RFC 6839, 3.1)."""
    kind = media_type(content_type)
    return kind in ("application/json", "text/json") or kind.endswith("+json")
