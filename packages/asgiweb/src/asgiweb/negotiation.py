"""Content negotiation: which of the offers a client likes best, by its Accept headers (RFC 9110, 12.5).

What is malformed in a header is left out, and a header of which nothing remains says nothing. Of offers that
the client likes equally well, one that it names exactly comes before one that a wildcard allows, and then
the first. Of a header MAX_ELEMENTS elements are read: browsers send ten, and nobody pays for more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

MAX_ELEMENTS = 100

# Most headers are one of few, and short. Longer ones are read each time, and never kept.
_CACHED_SIZE = 256

# Compiled when they are needed, because not every program negotiates.
_ELEMENT = r'(?s)(?:[^",]+|"(?:[^"\\]+|\\.)*"?)+'
_PARAMETER = r'(?s)(?:[^";]+|"(?:[^"\\]+|\\.)*"?)+'
_ESCAPED = r"(?s)\\(.)"
# RFC 9110, 12.4.2 has three digits and a leading zero; some clients have not.
_WEIGHT = r"(?:[01](?:\.[0-9]{0,16})?|\.[0-9]{1,16})"


class Element(NamedTuple):
    """One element of an Accept header, in lower case; a weight ``q`` of 0 means "not this"."""

    value: str
    parameters: tuple[tuple[str, str], ...]
    q: float


def best_media_type(accept: str | None, offers: Sequence[str]) -> str | None:
    """Return the media type that the client prefers, None if it takes none of them (RFC 9110, 12.5.1).

    The first if the client does not say. ``q=0`` refuses, and the most specific range that matches counts.
    """
    ranges = [element for element in elements(accept) if _is_range(element.value)]
    if not ranges:
        return offers[0] if offers else None
    return _best(offers, (_media_type_rank(offer, ranges) for offer in offers))


class Encodings(NamedTuple):
    """What a client takes of the content codings that are offered."""

    #: The best first; none that it likes less than the body as it is.
    accepted: tuple[str, ...]
    #: Whether it does not take the body as it is.
    required: bool


_NO_ENCODINGS = Encodings((), required=False)


def accepted_encodings(accept_encoding: str | None, offers: tuple[str, ...]) -> Encodings:
    """Return what the client takes, and how it likes it (12.5.3); nothing without the header.

    That would allow every coding, and who sends none rarely knows any.
    """
    if not accept_encoding:
        return _NO_ENCODINGS
    if len(accept_encoding) <= _CACHED_SIZE:
        return _kept_encodings(accept_encoding, offers)
    return _rank_encodings(accept_encoding, offers)


def _rank_encodings(accept_encoding: str, offers: tuple[str, ...]) -> Encodings:
    weights = {_CODINGS.get(element.value, element.value): element.q for element in elements(accept_encoding)}
    others = weights.get("*", 0.0)
    # Also where the header does not say so, the body may be sent as it is, rather than not at all.
    identity = weights.get("identity", weights.get("*"))
    ranked = [(weights.get(offer, others), offer in weights, offer) for offer in offers]
    # Of equals the first: sorting keeps them in their order.
    ranked.sort(key=lambda rank: rank[:2], reverse=True)
    accepted = tuple(offer for q, _, offer in ranked if q and q >= (identity or 0.0))
    return Encodings(accepted, required=identity == 0)


_kept_encodings = lru_cache(maxsize=256)(_rank_encodings)


def best_encoding(accept_encoding: str | None, offers: Sequence[str]) -> str | None:
    """Return the content coding that the client prefers; None to send the body as it is (12.5.3)."""
    accepted = accepted_encodings(accept_encoding, tuple(offers)).accepted
    return accepted[0] if accepted else None


def best_language(accept_language: str | None, offers: Sequence[str]) -> str | None:
    """Return the language that the client prefers, None if it wants none of them (12.5.4; RFC 4647).

    The first if the client does not say. "de" allows "de-CH", and "de-CH" falls back to "de".
    """
    ranges = elements(accept_language)
    if not ranges:
        return offers[0] if offers else None
    return _best(offers, (_language_rank(offer.lower(), ranges) for offer in offers))


def _best(offers: Sequence[str], ranks: Iterable[tuple[float, int]]) -> str | None:
    best = None
    best_rank = (0.0, 0)
    for offer, rank in zip(offers, ranks, strict=True):
        if rank[0] and rank > best_rank:
            best, best_rank = offer, rank
    return best


def _is_range(value: str) -> bool:
    kind, slash, subtype = value.partition("/")
    if kind == "*":
        # Some clients write "*" alone.
        return subtype == "*" or not slash
    return bool(kind and subtype)


def _media_type_rank(offer: str, ranges: Iterable[Element]) -> tuple[float, int]:
    value, parameters, _ = _offered(offer)
    whole_type = value.partition("/")[0] + "/*"
    found = (0, 0.0)
    for media_range in ranges:
        if media_range.value == value:
            if not _has_parameters(parameters, media_range.parameters):
                continue
            specificity = 3 + len(media_range.parameters)
        elif media_range.value == whole_type:
            specificity = 2
        elif media_range.value in ("*/*", "*"):
            specificity = 1
        else:
            continue
        found = max(found, (specificity, media_range.q))
    return found[1], found[0]


def _has_parameters(offered: tuple[tuple[str, str], ...], wanted: tuple[tuple[str, str], ...]) -> bool:
    # Clients ask for "application/json; charset=utf-8", which has no charset (RFC 8259, 11).
    names = {name for name, _ in offered}
    return all(pair in offered or (pair[0] == "charset" and "charset" not in names) for pair in wanted)


def _language_rank(offer: str, ranges: Iterable[Element]) -> tuple[float, int]:
    found = (0, 0.0)
    for language, _, q in ranges:
        if language == offer:
            specificity = 4
        elif offer.startswith(language + "-"):
            specificity = 3
        elif language.startswith(offer + "-") and q:
            specificity = 2
        elif language == "*":
            specificity = 1
        else:
            continue
        found = max(found, (specificity, q))
    return found[1], found[0]


# Names from the time before they were registered (RFC 9110, 8.4.1).
_CODINGS = {"x-gzip": "gzip", "x-compress": "compress"}


def elements(header: str | None) -> tuple[Element, ...]:
    """Read the elements of an Accept header; none if there is no header."""
    if not header:
        return ()
    return _kept(header) if len(header) <= _CACHED_SIZE else _parse(header)


def _parse(header: str) -> tuple[Element, ...]:
    """Read the elements of a header, in time that is linear in its length."""
    if '"' in header:
        texts: Iterable[str] = (match[0] for match in re.finditer(_ELEMENT, header))
    else:
        texts = header.split(",", MAX_ELEMENTS)
    elements = (_parse_element(text) for text in islice(texts, MAX_ELEMENTS))
    return tuple(element for element in elements if element is not None)


_kept = lru_cache(maxsize=256)(_parse)


def _parse_element(text: str) -> Element | None:
    value, _, rest = text.partition(";")
    q = 1.0
    parameters = []
    for parameter in re.findall(_PARAMETER, rest) if rest else ():
        name, _, content = parameter.partition("=")
        name, content = name.strip(" \t").lower(), content.strip(" \t")
        if name == "q":
            if re.fullmatch(_WEIGHT, content) is None:
                return None
            q = min(float(content), 1.0)
        elif name:
            parameters.append((name, _unquoted(content).lower()))
    value = value.strip(" \t").lower()
    if not value:
        return None
    return Element(value, tuple(parameters), q)


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == '"':
        return re.sub(_ESCAPED, r"\1", text[1:-1])
    return text


@lru_cache(maxsize=256)
def _offered(offer: str) -> Element:
    """Take apart what code offers, which repeats."""
    return _parse_element(offer) or Element(offer, (), 1.0)
