"""Directories whose files are served: nothing outside of them, and nothing in them that is hidden.

A path names a file only if it is written in the one way that leads there: no empty segments, no dots, no
backslash, and no slash that was percent-encoded. What counts is what was opened and not its name: of a link,
where it has led.
"""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from yarl import URL

from .errors import RegistrationError, UrlError
from .exceptions import HTTPNotFound
from .files.fingerprints import READ_FOR_CLIENTS, Fingerprints, with_digest, without_digest
from .files.response import Representation, find
from .headers import header_pair
from .request import Request
from .response import Response, redirect
from .routing import RouteOptions
from .routing.urls import build_url
from .target_uri import quoted_query

if TYPE_CHECKING:
    from .routing import Route

#: What is said of a file whose content is in its name: a year is for ever (RFC 9111, 5.2.2; RFC 8246).
IMMUTABLE = "public, max-age=31536000, immutable"

_PLAIN = re.compile(r"(?:[^./\\\0][^/\\\0]*/)*(?:[^./\\\0][^/\\\0]*)?")
_PLAIN_OR_HIDDEN = re.compile(r"(?:(?!\.{1,2}/)[^/\\\0]+/)*(?:(?!\.{1,2}\Z)[^/\\\0]+)?")


class StaticOptions(RouteOptions, total=False):
    """What may be said of a static directory: how it is served, and what may be said of every route."""

    #: The file that answers for a directory; None for none.
    index: str | None
    #: Cache-Control; "no-cache" unless it is said otherwise: kept, and asked for again each time.
    cache_control: str
    #: Where this is found in a path, the file never changes, because a digest of it is in its name.
    immutable: str | re.Pattern[str] | None
    #: Whether ``app.js.br``, ``.zst`` and ``.gz`` are sent for ``app.js``. True unless it is said otherwise.
    precompressed: bool
    #: Whether names that begin with a dot are served.
    dot_files: bool
    #: Whether links that lead out of the directory are followed.
    follow_symlinks: bool
    #: For file systems that are slow to open a file, such as those of a network.
    in_threads: bool


class StaticDirectory:
    """A handler that answers with the files of a directory; made by ``app.static()``.

    The directory's real path is taken once, now. RegistrationError if there is no such directory.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        index: str | None = "index.html",
        cache_control: str = "no-cache",
        immutable: str | re.Pattern[str] | None = None,
        precompressed: bool = True,
        dot_files: bool = False,
        follow_symlinks: bool = False,
        in_threads: bool = False,
    ) -> None:
        if not os.path.isdir(directory):
            raise RegistrationError(f"static: there is no directory {os.fspath(directory)!r}")
        if index is not None and (not _PLAIN_OR_HIDDEN.fullmatch(index) or "/" in index or not index):
            raise RegistrationError(f"static: the index is the name of a file, not {index!r}")
        header_pair("cache-control", cache_control)
        #: The real path.
        self.directory = os.path.realpath(directory)
        self._root = self.directory.rstrip(os.sep) + os.sep
        self._within = "" if follow_symlinks else self._root
        self._index = index
        self._cache_control = cache_control
        self._immutable = None if immutable is None else re.compile(immutable)
        self._precompressed = precompressed
        self._names = _PLAIN_OR_HIDDEN if dot_files else _PLAIN
        self._in_threads = in_threads
        self._fingerprints = Fingerprints(self._within)
        self._route: tuple[Any, Route] | None = None

    def __repr__(self) -> str:
        return f"<StaticDirectory {self.directory!r}>"

    async def __call__(self, request: Request[Any], path: str) -> Response:
        """Answer with the file of this path below the directory. HTTPNotFound if there is none to be seen."""
        if self._names.fullmatch(path) is None or _has_encoded_slash(request, path):
            raise HTTPNotFound
        name = path
        if not path or path.endswith("/"):
            if self._index is None:
                raise HTTPNotFound
            name += self._index
        found = await self._find(request, name)
        if found is None:
            return await self._other(request, path)
        immutable = self._immutable is not None and self._immutable.search(name)
        return await self._answer(request, found, IMMUTABLE if immutable else self._cache_control)

    async def _find(self, request: Request[Any], name: str) -> Representation | None:
        return await find(
            request,
            self._root + name,
            precompressed=self._precompressed,
            within=self._within,
            in_threads=self._in_threads,
        )

    async def _answer(self, request: Request[Any], found: Representation, cache_control: str) -> Response:
        found.headers["cache-control"] = cache_control
        return await found.response(request)

    async def _other(self, request: Request[Any], path: str) -> Response:
        """Answer for a path that is no file: a name with a digest, a directory without its slash, or 404."""
        name, digest = without_digest(path)
        before = digest and await self._digest(name)
        if before:
            found = await self._find(request, name)
            if found is not None:
                # A digest of another state comes from a page that is older or newer than this process' files.
                current = before == digest == await self._digest(name)
                return await self._answer(request, found, IMMUTABLE if current else self._cache_control)
        if path and not path.endswith("/") and self._index is not None:
            found = await self._find(request, f"{path}/{self._index}")
            if found is not None:
                found.file.close()
                return self._with_slash(request, path)
        raise HTTPNotFound

    def _with_slash(self, request: Request[Any], path: str) -> Response:
        """Redirect to the URL from which links in the index lead to files beside it (RFC 3986, 5.2)."""
        query = quoted_query(request.scope)
        location = quote(path.rpartition("/")[2], safe="") + "/" + (query and f"?{query}")
        return redirect(location, 308, headers={"cache-control": self._cache_control})

    async def _digest(self, name: str) -> str:
        path = self._root + name
        known = None if self._in_threads else self._fingerprints.known(path)
        if known is not None:
            return known
        return await asyncio.to_thread(self._fingerprints.of, path, READ_FOR_CLIENTS)

    def url(self, request: Request[Any], path: str) -> URL:
        """Return the URL of a file with a digest of its content in it, which clients may keep for ever.

        Reads the file once, and looks whether it has changed after that. UrlError if there is none.
        """
        if self._names.fullmatch(path) is None:
            raise UrlError(f"static: {path!r} is no path of a file below {self.directory!r}")
        digest = self._fingerprints.of(self._root + path)
        if not digest:
            raise UrlError(f"static: there is no file {path!r} in {self.directory!r}")
        route = self._own_route(request)
        parameters = {name: request.match_info.get(name) for name in route.parameter_names}
        parameters["path"] = with_digest(path, digest)
        return build_url(route, parameters, request.scope.get("root_path", ""), request.scope)

    def _own_route(self, request: Request[Any]) -> Route:
        app = request.app
        if self._route is None or self._route[0] is not app:
            handler: object = self
            found = [route for route in app.router.routes if route.handler is handler]
            if not found:
                raise UrlError(f"static: {self!r} answers no route of this application")
            self._route = (app, found[0])
        return self._route[1]


def _has_encoded_slash(request: Request[Any], path: str) -> bool:
    """Tell whether a slash of the path came as "%2F", which is part of a name, and of no file's."""
    raw_path: bytes | None = request.scope.get("raw_path")
    if raw_path is None or b"%2" not in raw_path:
        return False
    segments = raw_path.partition(b"?")[0].split(b"/")
    return any(b"%2f" in segment.lower() for segment in segments[-path.count("/") - 1 :])
