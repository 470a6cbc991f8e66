"""Templates by Jinja2, as pages: everything is escaped, and a name that is not there is an error.

What a template may call with the request, ``url_for`` above all, is known in macros and included templates,
too. Needs Jinja2: ``pip install asgiweb[templates]``.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, TypeAlias

try:
    import jinja2
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("asgiweb.templates needs Jinja2: pip install 'asgiweb[templates]'") from error

from yarl import URL

from .request import Request
from .response import Headers, Response

Directory: TypeAlias = str | os.PathLike[str]
Source: TypeAlias = Directory | Sequence[Directory] | jinja2.BaseLoader | jinja2.Environment

_CONTENT_TYPES: Final = {
    ".txt": "text/plain; charset=utf-8",
    ".xml": "application/xml",
    ".svg": "image/svg+xml",
}

_request: ContextVar[Request[Any]] = ContextVar("asgiweb.templates.request")


class Templates:
    """The templates of a directory, of several, of a Jinja2 loader, or of an Environment of your own.

    ``context`` has what all of them may use; its functions are called with the request, and then with what
    the template gives them. ``auto_reload`` is whether a file that has changed is read again; None: if the
    application has ``debug``.
    """

    def __init__(
        self, source: Source, *, context: Mapping[str, Any] | None = None, auto_reload: bool | None = None
    ) -> None:
        #: Jinja2's Environment, for filters, tests and extensions.
        self.environment = _environment(source)
        self.environment.globals["url_for"] = _url_for
        for name, value in (context or {}).items():
            self.environment.globals[name] = partial(_with_request, value) if callable(value) else value
        self._auto_reload = auto_reload

    async def render(self, request: Request[Any], name: str, context: Mapping[str, Any] | None = None) -> str:
        """Render a template, which has ``request`` and what is in ``context``.

        jinja2.TemplateNotFound, jinja2.TemplateSyntaxError, or jinja2.UndefinedError for an unknown name; the
        traceback of all that is raised shows the template's file and line.
        """
        token = _request.set(request)
        try:
            template = self._load(request, name)
            return await template.render_async({**(context or {}), "request": request})
        except jinja2.TemplateError as error:
            self._annotate(error)
            raise
        finally:
            _request.reset(token)

    async def response(
        self,
        request: Request[Any],
        name: str,
        context: Mapping[str, Any] | None = None,
        status: int = 200,
        *,
        headers: Headers | None = None,
        content_type: str | None = None,
    ) -> Response:
        """Answer with a rendered template. Raises what ``render`` does.

        The name says the content type: HTML, unless it ends in .txt, .xml or .svg.
        """
        text = await self.render(request, name, context)
        content_type = content_type or _CONTENT_TYPES.get(_extension(name), "text/html; charset=utf-8")
        return Response(text, status, headers=headers, content_type=content_type)

    async def stream(
        self, request: Request[Any], name: str, context: Mapping[str, Any] | None = None
    ) -> AsyncIterator[str]:
        """Yield a template piece by piece as it is rendered, as the body of a Response.

        What is raised on the way cuts the response: it can be no error page any more.
        """
        # Not reset: generators have no context of their own, and this may end in another than it began in.
        _request.set(request)
        try:
            template = self._load(request, name)
            async for piece in template.generate_async({**(context or {}), "request": request}):
                yield piece
        except jinja2.TemplateError as error:
            self._annotate(error)
            raise

    def preload(self) -> None:
        """Compile all templates, at startup for example: mistakes show, and no request waits for it."""
        for name in self.environment.list_templates():
            try:
                self.environment.get_template(name)
            except jinja2.TemplateError as error:
                self._annotate(error)
                raise

    def _load(self, request: Request[Any], name: str) -> jinja2.Template:
        # Reads and compiles the file once, in the event loop: some milliseconds at the first use.
        self.environment.auto_reload = request.app.debug if self._auto_reload is None else self._auto_reload
        return self.environment.get_template(name)

    def _annotate(self, error: jinja2.TemplateError) -> None:
        """Say where, for those who see the message without the traceback."""
        if isinstance(error, jinja2.TemplateSyntaxError):
            error.add_note(f"in {error.filename or error.name}, line {error.lineno}")
        elif isinstance(error, jinja2.TemplateNotFound):
            loader = self.environment.loader
            where = loader.searchpath if isinstance(loader, jinja2.FileSystemLoader) else [repr(loader)]
            error.add_note(f"looked for in {', '.join(where)}")


def _environment(source: Source) -> jinja2.Environment:
    if isinstance(source, jinja2.Environment):
        _check_environment(source)
        environment = source.overlay()
        environment.globals = dict(source.globals)
        return environment
    loader = source if isinstance(source, jinja2.BaseLoader) else _loader(source)
    # Names are those of files, and few: a dict is enough, and templates never have to be compiled twice.
    return jinja2.Environment(
        loader=loader, autoescape=_escapes, enable_async=True, undefined=jinja2.StrictUndefined, cache_size=-1
    )


def _loader(source: Directory | Sequence[Directory]) -> jinja2.BaseLoader:
    directories = [source] if isinstance(source, str | os.PathLike) else list(source)
    for directory in directories:
        if not os.path.isdir(directory):
            raise NotADirectoryError(f"templates: there is no directory {os.fspath(directory)!r}")
    return jinja2.FileSystemLoader(directories)


def _check_environment(environment: jinja2.Environment) -> None:
    escapes = environment.autoescape
    if not all(escapes(f"x.{kind}") if callable(escapes) else escapes for kind in ("html", "xml", "svg")):
        raise ValueError("this Environment escapes nothing in pages: Environment(autoescape=True, ...)")
    if not environment.is_async:
        raise ValueError(
            "this Environment cannot render in an event loop: Environment(enable_async=True, ...)"
        )


def _extension(name: str) -> str:
    stem, extension = os.path.splitext(name.lower())
    # page.txt.jinja is text like page.txt.
    return os.path.splitext(stem)[1] if extension in (".jinja", ".jinja2", ".j2") else extension


def _escapes(name: str | None) -> bool:
    return name is None or _extension(name) != ".txt"


def _url_for(name: str, /, **parameters: Any) -> URL:
    return _request.get().url_for(name, **parameters)


def _with_request(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    return function(_request.get(), *args, **kwargs)
