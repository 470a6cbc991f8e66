"""Content negotiation (RFC 9110, 12.5): what the client prefers of what is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from asgiweb import Application, Request, Response
from asgiweb.negotiation import (
    MAX_ELEMENTS,
    Encodings,
    accepted_encodings,
    best_encoding,
    best_language,
    best_media_type,
)
from tests.asgiweb.exchange import client_of

JSON, HTML, TEXT = "application/json", "text/html", "text/plain"

CHROMIUM = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)


class TestMediaTypes:
    @pytest.mark.parametrize(
        ("accept", "offers", "expected"),
        [
            (None, (JSON, HTML), JSON),
            ("", (JSON, HTML), JSON),
            ("*/*", (JSON, HTML), JSON),
            ("text/html", (JSON, HTML), HTML),
            ("text/*", (JSON, HTML), HTML),
            ("image/png", (JSON, HTML), None),
            ("text/html;q=0.5, application/json", (HTML, JSON), JSON),
            ("text/html, application/json", (JSON, HTML), JSON),
            ("text/html, application/json", (HTML, JSON), HTML),
            (CHROMIUM, (JSON, HTML), HTML),
            (CHROMIUM, (JSON,), JSON),
            ("application/json, text/plain, */*", (HTML, JSON), JSON),
            ("TEXT/HTML", (HTML,), HTML),
            ("text/html", ("Text/HTML; charset=utf-8",), "Text/HTML; charset=utf-8"),
            ("application/json", ("application/problem+json",), None),
            ("text/html", (), None),
            (None, (), None),
        ],
    )
    def test_the_offer_with_the_greatest_weight_and_then_the_first(
        self, accept: str | None, offers: Sequence[str], expected: str | None
    ) -> None:
        assert best_media_type(accept, offers) == expected

    @pytest.mark.parametrize(
        ("accept", "offers", "expected"),
        [
            ("text/*, text/html;q=0", (HTML,), None),
            ("text/*;q=0.3, text/html;q=0.7, */*;q=0.5", (HTML, JSON, TEXT), HTML),
            ("text/*;q=0.3, text/html;q=0.2, */*;q=0.5", (HTML, JSON), JSON),
            ("*/*, application/json;q=0", (JSON, HTML), HTML),
            ("*/*;q=0", (JSON,), None),
            ("*/*;q=0, text/html;q=0.1", (JSON, HTML), HTML),
            ("text/html;q=0, text/html", (HTML,), HTML),
        ],
    )
    def test_the_most_specific_range_counts(
        self, accept: str, offers: Sequence[str], expected: str | None
    ) -> None:
        assert best_media_type(accept, offers) == expected

    @pytest.mark.parametrize(
        ("accept", "offers", "expected"),
        [
            ("text/html;level=1", ("text/html", "text/html;level=1"), "text/html;level=1"),
            ("text/html;level=1", ("text/html;level=2",), None),
            ("text/html;level=1, text/html;q=0.4", ("text/html;level=2", JSON), "text/html;level=2"),
            ("text/html;level=1;q=0.1, text/html", ("text/html;level=1", "text/html"), "text/html"),
            ('text/html;x="a,b;q=0"', ('text/html; x="a,b;q=0"',), 'text/html; x="a,b;q=0"'),
            (r'text/html;x="a\"b", text/plain', (TEXT,), TEXT),
            (r'text/html;x="a\"b"', (r'text/html;x="a\"B"',), r'text/html;x="a\"B"'),
            ("application/json; charset=utf-8", (JSON,), JSON),
            ("text/html;charset=latin-1", ("text/html;charset=utf-8",), None),
        ],
    )
    def test_parameters_of_a_range_are_those_of_the_offer(
        self, accept: str, offers: Sequence[str], expected: str | None
    ) -> None:
        assert best_media_type(accept, offers) == expected

    @pytest.mark.parametrize(
        ("accept", "expected"),
        [
            ("garbage", JSON),
            (",,,", JSON),
            (";q=1", JSON),
            ("*/html", JSON),
            ("text/, /html", JSON),
            ("text/html;q=high", JSON),
            ("text/html;q=-1", JSON),
            ("text/html;q=nan", JSON),
            ("text/html;q=", JSON),
            ("text/html;q=1_0", JSON),
            ("text/html;q=high, text/plain", TEXT),
            ("garbage, text/html ; Q=.5", HTML),
            ("\ttext/html\t", HTML),
            ("text/html;;q=0.1;", HTML),
            ("text/html;q=1.5", HTML),
            ('text/html;x="', None),
            ("*", JSON),
        ],
    )
    def test_what_is_malformed_is_left_out(self, accept: str, expected: str | None) -> None:
        assert best_media_type(accept, (JSON, HTML, TEXT)) == expected


class TestEncodings:
    @pytest.mark.parametrize(
        ("header", "expected"),
        [
            (None, None),
            ("", None),
            ("identity", None),
            ("gzip, deflate, br, zstd", "zstd"),
            ("gzip, deflate, br", "br"),
            ("gzip;q=1.0, br;q=0.5", "gzip"),
            ("GZip", "gzip"),
            ("x-gzip", "gzip"),
            ("deflate", None),
            ("*", "zstd"),
            ("*;q=0.5, gzip", "gzip"),
            ("*, zstd;q=0", "br"),
            ("gzip;q=0", None),
            ("*;q=0", None),
            ("gzip;q=0.5, identity", None),
            ("gzip;q=0.5, identity;q=0.5", "gzip"),
            ("identity;q=0, gzip;q=0.1", "gzip"),
            ("br;q=x, gzip", "gzip"),
        ],
    )
    def test_the_coding_with_the_greatest_weight_or_none(
        self, header: str | None, expected: str | None
    ) -> None:
        assert best_encoding(header, ("zstd", "br", "gzip")) == expected

    @pytest.mark.parametrize(
        ("header", "accepted", "required"),
        [
            (None, "", False),
            ("gzip, br", "br gzip", False),
            ("gzip, br;q=0.5, *;q=0.1", "gzip br zstd", False),
            ("gzip, br;q=0.5, identity;q=0.7", "gzip", False),
            ("gzip;q=0.3, *;q=0.5", "zstd br", False),
            ("gzip, identity;q=0", "gzip", True),
            ("gzip, *;q=0", "gzip", True),
            ("*;q=0, identity", "", False),
            ("identity;q=0", "", True),
        ],
    )
    def test_what_a_client_takes_and_whether_it_has_to_be_that(
        self, header: str | None, accepted: str, required: bool
    ) -> None:
        found = accepted_encodings(header, ("zstd", "br", "gzip"))
        assert found == Encodings(tuple(accepted.split()), required)

    def test_usual_headers_are_read_once_and_long_ones_are_not_kept(self) -> None:
        offers = ("br", "gzip")
        assert accepted_encodings("gzip, br", offers) is accepted_encodings("gzip, br", offers)
        long = "gzip, br" + " " * 1000
        assert accepted_encodings(long, offers) is not accepted_encodings(long, offers)


class TestLanguages:
    @pytest.mark.parametrize(
        ("header", "expected"),
        [
            (None, "en"),
            ("", "en"),
            ("de", "de-CH"),
            ("de-ch", "de-CH"),
            ("fr-CA", "fr"),
            ("fr-CA, en;q=0.9", "fr"),
            ("en-GB, fr;q=0.9", "en"),
            ("it", None),
            ("it, *;q=0.1", "en"),
            ("*, en;q=0", "de-CH"),
            ("fr-CA;q=0", None),
            ("fr-CA;q=0, fr;q=0.1", "fr"),
            ("d", None),
        ],
    )
    def test_a_language_allows_its_variants_and_falls_back_to_what_is_more_general(
        self, header: str | None, expected: str | None
    ) -> None:
        assert best_language(header, ("en", "de-CH", "fr")) == expected


@pytest.mark.parametrize("best", [best_media_type, best_encoding, best_language])
@pytest.mark.parametrize(
    "header",
    [
        "," * 1_000_000,
        "text/html," * 100_000,
        ";" * 1_000_000,
        "a/b" + ";a=b" * 250_000,
        '"' * 1_000_000,
        'a/b;x="' + "\\" * 1_000_000,
        'a/b;x="' + "\\a," * 300_000,
        '",' * 500_000,
        '"' + "a" * 1_000_000,
        "a/b;q=" + "0" * 1_000_000,
        " " * 1_000_000 + "a",
    ],
    ids=lambda header: repr(header[:12]) if isinstance(header, str) else None,
)
def test_hostile_headers_take_linear_time(best: Callable[[Any, Any], str | None], header: str) -> None:
    start = time.process_time()
    best(header, ("text/html", "gzip", "en"))
    assert time.process_time() - start < 2


def test_only_so_many_elements_are_read() -> None:
    fillers = ["image/png"] * (MAX_ELEMENTS - 1)
    assert best_media_type(",".join([*fillers, HTML]), (JSON, HTML)) == HTML
    assert best_media_type(",".join([*fillers, "image/png", HTML]), (JSON, HTML)) is None
    assert best_media_type(",".join([*fillers, 'image/png;x=""', HTML]), (JSON, HTML)) is None


async def test_a_request_says_what_its_client_accepts() -> None:
    app = Application()

    @app.get("/")
    async def index(request: Request) -> Response:
        media_type = request.accepts(JSON, HTML)
        return Response(f"{media_type} {request.accepts_language('en', 'de')}")

    async with client_of(app) as client:
        headers = [("accept", "text/plain"), ("accept", "text/*;q=0.5"), ("accept-language", "de")]
        assert (await client.get("/", headers=headers)).text == "text/html de"
        del client.headers["accept"]
        assert (await client.get("/")).text == "application/json en"
        assert (await client.get("/", headers={"accept": "image/png"})).text == "None en"
