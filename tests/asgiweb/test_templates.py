"""Templates: escaped, bound to the request, and with errors that say where."""

from __future__ import annotations

import asyncio
import os
import traceback
from pathlib import Path
from typing import Any

import jinja2
import pytest

from asgiweb import Application, Request, Response, UrlError
from asgiweb.templates import Source, Templates
from tests.asgiweb.exchange import Exchange, http_scope


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


def request_of(app: Application[Any] | None = None, **changes: Any) -> Request:
    return Request(app or Application(), http_scope(**changes), Exchange().receive, None, {})


async def rendered(directory: Path, text: str, context: dict[str, Any] | None = None, **options: Any) -> str:
    (directory / "page.html").write_text(text)
    return await Templates(directory, **options).render(request_of(), "page.html", context)


@pytest.mark.parametrize(
    "name", ["a.html", "a.HTM", "a.xml", "a.svg", "a", "a.md", "a.html.jinja", "a.txt.html"]
)
async def test_everything_is_escaped(directory: Path, name: str) -> None:
    (directory / name).write_text("<b>{{ x }}</b>")
    page = await Templates(directory).render(request_of(), name, {"x": "<script>"})
    assert page == "<b>&lt;script&gt;</b>"


@pytest.mark.parametrize("name", ["a.txt", "a.txt.j2", "A.TXT"])
async def test_plain_text_is_not_escaped(directory: Path, name: str) -> None:
    (directory / name).write_text("{{ x }}")
    assert await Templates(directory).render(request_of(), name, {"x": "<&>"}) == "<&>"


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("a", "text/html; charset=utf-8"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.txt.jinja", "text/plain; charset=utf-8"),
        ("a.xml", "application/xml"),
        ("a.svg", "image/svg+xml"),
    ],
)
async def test_the_name_says_the_content_type(directory: Path, name: str, content_type: str) -> None:
    (directory / name).write_text("\u20ac {{ x }}")
    response = await Templates(directory).response(request_of(), name, {"x": 1}, 404, headers={"x-a": "b"})
    assert response.content_type == content_type
    assert response.body == "\u20ac 1".encode()
    assert response.status == 404
    assert response.headers["x-a"] == "b"


async def test_a_content_type_may_be_given(directory: Path) -> None:
    (directory / "feed.xml").write_text("<rss/>")
    templates = Templates(directory)
    response = await templates.response(request_of(), "feed.xml", content_type="application/rss+xml")
    assert response.content_type == "application/rss+xml"


async def test_an_undefined_name_is_an_error_that_says_which_and_where(directory: Path) -> None:
    with pytest.raises(jinja2.UndefinedError, match="'usr' is undefined") as error:
        await rendered(directory, "<p>\n{{ usr.name }}\n")
    frames = traceback.extract_tb(error.value.__traceback__)
    assert (str(directory / "page.html"), 2) in [(frame.filename, frame.lineno) for frame in frames]


async def test_a_name_may_be_optional(directory: Path) -> None:
    page = await rendered(directory, "{{ a | default('-') }}{% if b is defined %}b{% endif %}")
    assert page == "-"


async def test_a_syntax_error_says_file_and_line(directory: Path) -> None:
    with pytest.raises(jinja2.TemplateSyntaxError) as error:
        await rendered(directory, "<p>\n\n{% if %}\n")
    assert error.value.__notes__ == [f"in {directory / 'page.html'}, line 3"]
    frame = traceback.extract_tb(error.value.__traceback__)[-1]
    assert (frame.filename, frame.lineno) == (str(directory / "page.html"), 3)


async def test_a_missing_template_says_where_it_was_looked_for(directory: Path) -> None:
    other = directory / "other"
    other.mkdir()
    with pytest.raises(jinja2.TemplateNotFound, match=r"nowhere\.html") as error:
        await Templates([directory, other]).render(request_of(), "nowhere.html")
    assert error.value.__notes__ == [f"looked for in {directory}, {other}"]


async def test_a_missing_included_template_says_who_wants_it(directory: Path) -> None:
    with pytest.raises(jinja2.TemplateNotFound, match=r"nowhere\.html") as error:
        await rendered(directory, "a\n{% include 'nowhere.html' %}")
    frames = traceback.extract_tb(error.value.__traceback__)
    assert (str(directory / "page.html"), 2) in [(frame.filename, frame.lineno) for frame in frames]


async def test_the_debug_page_shows_the_line_of_the_template(directory: Path) -> None:
    (directory / "page.html").write_text("<p>\n{{ missing_thing }}\n")
    templates = Templates(directory)
    app: Application[Any] = Application(debug=True)

    @app.get("/")
    async def page(request: Request) -> Response:
        return await templates.response(request, "page.html")

    exchange = await Exchange(http_scope(headers=[(b"accept", b"text/html")])).run(app)
    assert exchange.status == 500
    assert "&#x27;missing_thing&#x27; is undefined" in exchange.body.decode()
    assert f"{directory / 'page.html'}, line 2" in exchange.body.decode()
    assert "{{ missing_thing }}" in exchange.body.decode()


def test_a_missing_directory_is_refused(directory: Path) -> None:
    with pytest.raises(NotADirectoryError, match="nowhere"):
        Templates(directory / "nowhere")


@pytest.mark.parametrize("name", ["../secret.html", "a/../../secret.html", "/secret.html"])
async def test_no_name_leads_out_of_the_directory(directory: Path, name: str) -> None:
    inside = directory / "templates"
    inside.mkdir()
    (directory / "secret.html").write_text("secret")
    with pytest.raises(jinja2.TemplateNotFound):
        await Templates(inside).render(request_of(), name)


async def test_url_for_is_that_of_the_request(directory: Path) -> None:
    app: Application[Any] = Application()
    app.get("/users/{name}", name="user")(_anything)
    (directory / "page.html").write_text("{{ url_for('user', name=who) }} {{ request.path }}")
    request = request_of(app, path="/mounted/x", root_path="/mounted")
    page = await Templates(directory).render(request, "page.html", {"who": "a&b c"})
    assert page == "/mounted/users/a&amp;b%20c /mounted/x"


async def test_a_wrong_url_is_a_url_error_at_its_line(directory: Path) -> None:
    with pytest.raises(UrlError, match="nobody") as error:
        await rendered(directory, "\n\n{{ url_for('nobody') }}")
    frames = traceback.extract_tb(error.value.__traceback__)
    assert (str(directory / "page.html"), 3) in [(frame.filename, frame.lineno) for frame in frames]


def _token(request: Request, suffix: str = "") -> str:
    return f"{request.path}{suffix}"


async def _async_token(request: Request) -> str:
    await asyncio.sleep(0)
    return request.path


CONTEXT: dict[str, Any] = {"token": _token, "async_token": _async_token, "site": "<S>"}


async def test_functions_of_the_context_are_called_with_the_request(directory: Path) -> None:
    text = "{{ token() }} {{ token('!') }} {{ async_token() }} {{ site }}"
    (directory / "page.html").write_text(text)
    page = await Templates(directory, context=CONTEXT).render(request_of(path="/p"), "page.html")
    assert page == "/p /p! /p &lt;S&gt;"


async def test_they_are_there_in_macros_and_included_templates(directory: Path) -> None:
    (directory / "forms.html").write_text("{% macro field() %}<{{ token() }}>{% endmacro %}")
    (directory / "part.html").write_text("[{{ token() }}]")
    (directory / "base.html").write_text("{% block body %}{% endblock %}({{ token() }})")
    (directory / "page.html").write_text(
        "{% extends 'base.html' %}{% from 'forms.html' import field %}"
        "{% block body %}{{ field() }}{% include 'part.html' %}{% endblock %}"
    )
    templates = Templates(directory, context=CONTEXT)
    for path in ("/a", "/b"):
        page = await templates.render(request_of(path=path), "page.html")
        assert page == f"<{path}>[{path}]({path})"


async def test_requests_at_the_same_time_do_not_mix(directory: Path) -> None:
    (directory / "page.html").write_text("{% for _ in range(5) %}{{ pause() }}{{ token() }} {% endfor %}")
    templates = Templates(directory, context={**CONTEXT, "pause": lambda request: asyncio.sleep(0, "")})
    pages = await asyncio.gather(
        *(templates.render(request_of(path=f"/{number}"), "page.html") for number in range(5))
    )
    assert pages == [f"/{number} " * 5 for number in range(5)]


async def test_a_template_may_be_rendered_while_another_is(directory: Path) -> None:
    (directory / "inner.html").write_text("{{ token() }}")
    (directory / "page.html").write_text("{{ inner() }} {{ token() }}")

    async def inner(request: Request) -> str:
        return await templates.render(request_of(path="/inner"), "inner.html")

    templates = Templates(directory, context={**CONTEXT, "inner": inner})
    assert await templates.render(request_of(path="/page"), "page.html") == "/inner /page"


async def test_a_template_is_compiled_once(directory: Path) -> None:
    (directory / "page.html").write_text("old")
    templates = Templates(directory)
    assert await templates.render(request_of(), "page.html") == "old"
    (directory / "page.html").unlink()
    assert await templates.render(request_of(), "page.html") == "old"


@pytest.mark.parametrize(
    ("auto_reload", "debug", "expected"),
    [(None, False, "old"), (None, True, "new"), (True, False, "new"), (False, True, "old")],
)
async def test_a_changed_file_is_read_again_where_that_is_wanted(
    directory: Path, auto_reload: bool | None, debug: bool, expected: str
) -> None:
    page = directory / "page.html"
    page.write_text("old")
    templates = Templates(directory, auto_reload=auto_reload)
    request = request_of(Application(debug=debug))
    await templates.render(request, "page.html")
    page.write_text("new")
    os.utime(page, (1, 1))
    assert await templates.render(request, "page.html") == expected


async def test_stream_yields_pieces_as_the_body_of_a_response(directory: Path) -> None:
    (directory / "page.html").write_text("<p>{% for x in xs %}{{ pause() }}{{ token() }}{{ x }}{% endfor %}")
    templates = Templates(directory, context={**CONTEXT, "pause": lambda request: asyncio.sleep(0, "")})
    app: Application[Any] = Application()

    @app.get("/")
    async def page(request: Request) -> Response:
        return Response(templates.stream(request, "page.html", {"xs": "&b"}), content_type="text/html")

    exchange = await Exchange().run(app)
    assert exchange.body == b"<p>/&amp;/b"
    assert len(exchange.sent) > 5
    assert exchange.complete


async def test_preload_finds_mistakes_before_anybody_else(directory: Path) -> None:
    (directory / "good.html").write_text("good")
    Templates(directory).preload()
    (directory / "bad.html").write_text("\n{% endif %}")
    with pytest.raises(jinja2.TemplateSyntaxError) as error:
        Templates(directory).preload()
    assert error.value.__notes__ == [f"in {directory / 'bad.html'}, line 2"]


@pytest.mark.parametrize(
    "source",
    [
        jinja2.DictLoader({"page.html": "{{ x }}"}),
        jinja2.Environment(
            loader=jinja2.DictLoader({"page.html": "{{ x }}"}), autoescape=True, enable_async=True
        ),
        jinja2.Environment(
            loader=jinja2.DictLoader({"page.html": "{{ x }}"}),
            autoescape=jinja2.select_autoescape(["html", "xml", "svg"]),
            enable_async=True,
        ),
    ],
    ids=["loader", "environment", "select_autoescape"],
)
async def test_a_loader_or_an_environment_will_do(source: Source) -> None:
    assert await Templates(source).render(request_of(), "page.html", {"x": "<"}) == "&lt;"


@pytest.mark.parametrize("options", [{}, {"autoescape": jinja2.select_autoescape(["html"])}])
def test_an_environment_that_escapes_nothing_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="autoescape=True"):
        Templates(jinja2.Environment(enable_async=True, **options))


def test_an_environment_that_is_not_async_is_refused() -> None:
    with pytest.raises(ValueError, match="enable_async=True"):
        Templates(jinja2.Environment(autoescape=True))


def test_the_environment_that_was_given_is_left_as_it_is() -> None:
    environment = jinja2.Environment(autoescape=True, enable_async=True)
    templates = Templates(environment, context=CONTEXT)
    assert "url_for" not in environment.globals
    assert "token" in templates.environment.globals


async def _anything(request: Request, name: str) -> Response:
    return Response()
