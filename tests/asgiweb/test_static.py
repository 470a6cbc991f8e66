"""Static directories: nothing outside of them, index pages, variants, and how long clients keep a file."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from asgiweb import Application, Group, Handler, HeaderError, RegistrationError, Request, Response, UrlError
from asgiweb.files.fingerprints import READ_FOR_CLIENTS, with_digest, without_digest
from asgiweb.static import IMMUTABLE, StaticDirectory
from asgiweb.testing import TestClient
from tests.asgiweb.exchange import Exchange, http_scope
from tests.asgiweb.test_files import open_descriptors

SECRET = b"outside"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with something to see, beside something that is not for anybody's eyes."""
    outside = tmp_path.resolve() / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_bytes(SECRET)
    root = tmp_path.resolve() / "static"
    (root / "css" / "deep").mkdir(parents=True)
    (root / "app.css").write_text("a { }")
    (root / "css" / "a b.css").write_text("b { }")
    (root / "css" / "index.html").write_text("css")
    (root / "index.html").write_text("home")
    (root / ".env").write_bytes(SECRET)
    (root / ".well-known").mkdir()
    (root / ".well-known" / "security.txt").write_bytes(SECRET)
    return root


def app_of(root: Path, **options: Any) -> Application[None]:
    app: Application[None] = Application()
    app.static("/static", root, **options)
    return app


async def get(
    root: Path, path: str, asked: dict[str, str] | None = None, method: str = "GET", **options: Any
) -> httpx.Response:
    async with TestClient(app_of(root, **options)) as client:
        return await client.request(method, f"/static/{path}", headers=asked)


async def get_decoded(root: Path, path: str, **options: Any) -> Exchange:
    """Ask for a path that no client would write, as a server without raw_path passes it on."""
    scope = http_scope(raw_path=None)
    scope["path"] = f"/static/{path}"
    return await Exchange(scope).run(app_of(root, **options))


class TestTraversal:
    @pytest.mark.parametrize(
        "path",
        [
            "../outside/secret.txt",
            "css/../../outside/secret.txt",
            "..",
            "../",
            "../static/app.css",
            "css/../app.css",
            "./app.css",
            ".",
            "css/.",
            "css/./a b.css",
            "css/..",
            "css//a b.css",
            "/app.css",
            "//app.css",
            "/etc/passwd",
            "//etc/passwd",
            "..\\outside\\secret.txt",
            "css\\a b.css",
            "..\\..\\etc\\passwd",
            "app.css\0",
            "app.css\0.html",
            "\0",
            "C:/app.css",
            "C:\\app.css",
            "app.css::$DATA",
            "CON",
            "app.css/",
            "app.css/x",
            "APP.CSS",
            "app.css ",
            "app.css.",
            "app.css%00",
            "%2e%2e/outside/secret.txt",
            "..%2foutside%2fsecret.txt",
            "....//outside/secret.txt",
            "..;/outside/secret.txt",
            "a\ud800",
            "ab\udcff",
            "abc\ufffd",
            "\uff0e\uff0e/outside/secret.txt",
            "..\uff0foutside\uff0fsecret.txt",
            "x" * 300,
            "x/" * 5000,
            "x" * 70_000,
            "~root",
            "$HOME",
            "*",
            "?",
        ],
    )
    @pytest.mark.parametrize("dot_files", [False, True])
    async def test_what_is_no_name_of_a_file_below_the_directory_is_404(
        self, root: Path, path: str, dot_files: bool
    ) -> None:
        exchange = await get_decoded(root, path, dot_files=dot_files)
        assert exchange.status == 404
        assert SECRET not in exchange.body

    @pytest.mark.parametrize(
        "target",
        [
            "%2e%2e/outside/secret.txt",
            "%2e%2e%2foutside%2fsecret.txt",
            "..%2Foutside%2Fsecret.txt",
            "%252e%252e%252foutside%252fsecret.txt",
            "%252e%252e/outside/secret.txt",
            "..%5coutside%5csecret.txt",
            "%c0%ae%c0%ae/outside/secret.txt",
            "%e0%80%ae%e0%80%ae/outside/secret.txt",
            "%uff0e%uff0e/outside/secret.txt",
            "css%2Fa%20b.css",
            "css%2f..%2fapp.css",
            "%2Fetc%2Fpasswd",
            "/etc/passwd",
            "app.css%00",
            "app.css%00.html",
            "%ff",
            "%ed%a0%80",
            ".%65nv",
            "%2eenv",
        ],
    )
    async def test_encodings_change_nothing(self, root: Path, target: str) -> None:
        async with TestClient(app_of(root)) as client:
            url = httpx.URL("http://test").copy_with(raw_path=b"/static/" + target.encode())
            response = await client.get(url)
        assert response.status_code == 404
        assert SECRET not in response.content

    async def test_the_one_way_to_a_file(self, root: Path) -> None:
        assert (await get(root, "css/a%20b.css")).text == "b { }"
        assert (await get(root, "%61pp.css")).text == "a { }"
        (root / "\u00e9.txt").write_text("e")
        assert (await get(root, "%C3%A9.txt")).text == "e"
        (root / "..a").write_text("two dots")
        assert (await get(root, "..a")).status_code == 404
        assert (await get(root, "..a", dot_files=True)).text == "two dots"

    async def test_a_slash_that_is_encoded_before_the_files_is_no_matter(self, root: Path) -> None:
        app: Application[None] = Application()
        app.router.add_get("/{tenant}/{path:path}", StaticDirectory(root))
        scope = http_scope("/a/b/app.css", raw_path=b"/a%2Fb/app.css")
        assert (await Exchange(scope).run(app)).body == b"a { }"
        scope = http_scope("/a/css/a b.css", raw_path=b"/a/css%2Fa%20b.css")
        assert (await Exchange(scope).run(app)).status == 404


class TestLinks:
    async def test_out_of_the_directory_they_lead_nowhere(self, root: Path) -> None:
        (root / "secret.txt").symlink_to("../outside/secret.txt")
        (root / "absolute.txt").symlink_to(root.parent / "outside" / "secret.txt")
        (root / "folder").symlink_to("../outside")
        (root / "twice").symlink_to("folder")
        (root / "passwd").symlink_to("/etc/passwd")
        # Its name begins as that of the directory does.
        (root.parent / "static-not").mkdir()
        (root.parent / "static-not" / "secret.txt").write_bytes(SECRET)
        (root / "beside").symlink_to("../static-not")
        for path in (
            "secret.txt",
            "absolute.txt",
            "folder/secret.txt",
            "twice/secret.txt",
            "passwd",
            "beside/secret.txt",
        ):
            assert (await get(root, path)).status_code == 404
            if path != "passwd":
                assert (await get(root, path, follow_symlinks=True)).content == SECRET

    async def test_within_the_directory_they_are_followed(self, root: Path) -> None:
        (root / "link.css").symlink_to("app.css")
        (root / "current").symlink_to("css")
        assert (await get(root, "link.css")).text == "a { }"
        assert (await get(root, "current/a%20b.css")).text == "b { }"
        assert (await get(root, "current/")).text == "css"

    async def test_a_variant_or_a_digest_is_no_way_out(self, root: Path) -> None:
        (root / "app.css.br").symlink_to("../outside/secret.txt")
        response = await get(root, "app.css", {"accept-encoding": "br"})
        assert response.text == "a { }"
        (root / "secret.txt").symlink_to("../outside/secret.txt")
        assert (await get(root, "secret.0123456789ab.txt")).status_code == 404

    async def test_loops_and_what_leads_to_nothing(self, root: Path) -> None:
        (root / "loop").symlink_to("loop")
        (root / "dangling").symlink_to("nothing")
        for path in ("loop", "loop/x", "dangling"):
            assert (await get(root, path)).status_code == 404

    async def test_the_directory_may_be_a_link_itself(self, root: Path) -> None:
        (root.parent / "current").symlink_to("static")
        assert (await get(root.parent / "current", "app.css")).text == "a { }"


class TestHidden:
    async def test_dot_files_are_hidden_unless_they_are_asked_for(self, root: Path) -> None:
        for path in (".env", ".well-known/security.txt"):
            assert (await get(root, path)).status_code == 404
            assert (await get(root, path, dot_files=True)).content == SECRET

    async def test_directories_are_not_listed(self, root: Path) -> None:
        for path in ("css/deep", "css/deep/", "nothing/"):
            assert (await get(root, path)).status_code == 404
        for path in ("", "css", "css/"):
            assert (await get(root, path, index=None)).status_code == 404

    async def test_pipes_sockets_and_devices_are_no_files(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        os.mkfifo(root / "pipe")
        (root / "null").symlink_to("/dev/null")
        monkeypatch.chdir(root)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket")
            for path in ("pipe", "socket", "null", "pipe.0123456789ab"):
                assert (await get(root, path)).status_code == 404
                assert (await get(root, path, follow_symlinks=True)).status_code == 404
                assert (await get(root, path, in_threads=True)).status_code == 404

    async def test_a_404_is_answered_by_error_handlers_inside_of_middlewares(self, root: Path) -> None:
        async def marking(request: Request[Any], handler: Handler) -> Response:
            response = await handler(request)
            response.headers["x"] = "y"
            return response

        app: Application[None] = Application(middlewares=[marking])
        app.static("/static", root)

        @app.error_handler(404)
        async def not_found(request: Request, error: Exception) -> Response:
            return Response("lost", 404)

        async with TestClient(app) as client:
            response = await client.get("/static/nothing")
        assert (response.text, response.headers["x"]) == ("lost", "y")


class TestIndex:
    async def test_it_answers_for_its_directory(self, root: Path) -> None:
        assert (await get(root, "")).text == "home"
        assert (await get(root, "css/")).text == "css"
        assert (await get(root, "css/index.html")).text == "css"
        (root / "css" / "start.htm").write_text("start")
        assert (await get(root, "css/", index="start.htm")).text == "start"

    async def test_without_its_slash_a_directory_is_a_relative_redirect(self, root: Path) -> None:
        response = await get(root, "css?a=%20b")
        assert (response.status_code, response.headers["location"]) == (308, "css/?a=%20b")
        (root / "a:b c").symlink_to("css")
        response = await get(root, "a:b%20c")
        assert response.headers["location"] == "a%3Ab%20c/"
        assert str(response.url.join(response.headers["location"])) == "http://test/static/a%3Ab%20c/"

    @pytest.mark.parametrize("index", ["", "..", "a/b", "a\\b", "a\0"])
    async def test_it_is_the_name_of_a_file(self, root: Path, index: str) -> None:
        with pytest.raises(RegistrationError, match="index"):
            app_of(root, index=index)


class TestCaching:
    async def test_clients_ask_again_unless_it_is_said_otherwise(self, root: Path) -> None:
        response = await get(root, "app.css")
        assert response.headers["cache-control"] == "no-cache"
        again = await get(root, "app.css", {"if-none-match": response.headers["etag"]})
        assert (again.status_code, again.headers["cache-control"]) == (304, "no-cache")

    async def test_static_cache_control_is_a_setting(self, root: Path) -> None:
        """What starlette PR #3248 asks for."""
        response = await get(root, "app.css", cache_control="public, max-age=3600")
        assert response.headers["cache-control"] == "public, max-age=3600"
        with pytest.raises(HeaderError):
            app_of(root, cache_control="a\nb")

    async def test_names_with_the_digests_of_a_bundler_never_change(self, root: Path) -> None:
        (root / "assets").mkdir()
        for name in ("index-BfSx1a_2.js", "other.js"):
            (root / "assets" / name).write_text("1")
        for pattern in (r"^assets/", r"-[\w-]{8}\.js$"):
            response = await get(root, "assets/index-BfSx1a_2.js", immutable=pattern)
            assert response.headers["cache-control"] == IMMUTABLE
            response = await get(root, "app.css", immutable=pattern)
            assert response.headers["cache-control"] == "no-cache"
        response = await get(root, "assets/other.js", immutable=r"-[\w-]{8}\.js$")
        assert response.headers["cache-control"] == "no-cache"

    async def test_a_file_that_changes_is_never_stale(self, root: Path) -> None:
        async with TestClient(app_of(root)) as client:
            for content in ("one", "two", "three"):
                (root / "app.css").write_text(content)
                assert (await client.get("/static/app.css")).text == content

    async def test_nobody_guesses_the_type(self, root: Path) -> None:
        assert (await get(root, "app.css")).headers["x-content-type-options"] == "nosniff"


class TestDigests:
    def app(self, root: Path, **options: Any) -> tuple[Application[None], StaticDirectory]:
        app: Application[None] = Application()
        assets = app.static("/static", root, **options)

        @app.get("/url/{path:path}")
        async def url(request: Request, path: str) -> Response:
            return Response(str(assets.url(request, path)))

        return app, assets

    async def test_a_url_with_a_digest_is_kept_for_ever_and_changes_with_the_content(
        self, root: Path
    ) -> None:
        app, _ = self.app(root)
        async with TestClient(app) as client:
            first = (await client.get("/url/app.css")).text
            assert first.startswith("/static/app.")
            response = await client.get(first)
            assert (response.text, response.headers["cache-control"]) == ("a { }", IMMUTABLE)
            assert response.headers["content-type"] == "text/css; charset=utf-8"
            (root / "app.css").write_text("a { color: red }")
            second = (await client.get("/url/app.css")).text
            assert second != first
            assert (await client.get(second)).headers["cache-control"] == IMMUTABLE
            # A page from before, or from a process that has other files: better this than nothing, for now.
            old = await client.get(first)
            assert (old.text, old.headers["cache-control"]) == ("a { color: red }", "no-cache")

    @pytest.mark.parametrize("in_threads", [False, True])
    async def test_no_client_makes_it_read_a_large_file_for_its_digest(
        self, root: Path, in_threads: bool
    ) -> None:
        for name, size in (("large.bin", READ_FOR_CLIENTS), ("larger.bin", READ_FOR_CLIENTS + 1)):
            (root / name).touch()
            os.truncate(root / name, size)
        app, _ = self.app(root)
        async with TestClient(app) as client:
            large, larger = [(await client.get(f"/url/{name}.bin")).text for name in ("large", "larger")]
        app, _ = self.app(root, in_threads=in_threads)
        async with TestClient(app) as client:
            assert (await client.head(large)).headers["cache-control"] == IMMUTABLE
            response = await client.head(larger)
            assert (response.status_code, response.headers["cache-control"]) == (200, "no-cache")
            assert (await client.get("/url/larger.bin")).text == larger
            assert (await client.head(larger)).headers["cache-control"] == IMMUTABLE

    async def test_names_are_quoted_and_below_the_mount(self, root: Path) -> None:
        app, _ = self.app(root)
        async with TestClient(app) as client:
            url = (await client.get("/url/css/a%20b.css")).text
            assert url.startswith("/static/css/a%20b.")
            assert (await client.get(url)).text == "b { }"
        exchange = await Exchange(http_scope("/below/url/app.css", root_path="/below")).run(app)
        assert exchange.body.startswith(b"/below/static/app.")

    async def test_urls_in_groups_and_mounted_applications(self, root: Path) -> None:
        app: Application[None] = Application()
        group: Group[None] = Group("/{tenant}", name="shop")
        mounted: Application[None] = Application()
        for place in (group, mounted):
            assets = place.static("/static", root)

            @place.get("/url")
            async def url(request: Request, assets: StaticDirectory = assets) -> Response:
                return Response(str(assets.url(request, "app.css")))

        app.include(group)
        app.mount("/mounted", mounted)
        async with TestClient(app) as client:
            for prefix in ("/a%20b", "/mounted"):
                found = (await client.get(f"{prefix}/url")).text
                assert found.startswith(f"{prefix}/static/app.")
                assert (await client.get(found)).headers["cache-control"] == IMMUTABLE

    async def test_the_url_of_a_host_has_the_port_that_the_request_came_in_by(self, root: Path) -> None:
        app: Application[None] = Application()
        assets = app.static("/static", root, host="{shop}.test")

        @app.get("/url", host="{shop}.test")
        async def url(request: Request, shop: str) -> Response:
            return Response(str(assets.url(request, "app.css")))

        async with TestClient(app, base_url="http://a.test:8000") as client:
            found = (await client.get("/url")).text
            assert found.startswith("http://a.test:8000/static/app.")
            assert (await client.get(found)).headers["cache-control"] == IMMUTABLE

    async def test_variants_are_sent_for_it(self, root: Path) -> None:
        (root / "app.css.br").write_bytes(b"compressed")
        app, _ = self.app(root)
        async with TestClient(app) as client:
            url = (await client.get("/url/app.css")).text
            async with client.stream("GET", url, headers={"accept-encoding": "br"}) as response:
                assert response.headers["content-encoding"] == "br"
                assert response.headers["cache-control"] == IMMUTABLE

    async def test_a_directory_may_have_such_a_name(self, root: Path) -> None:
        (root / "v.0123456789ab").mkdir()
        (root / "v.0123456789ab" / "index.html").write_text("v")
        assert (await get(root, "v.0123456789ab")).headers["location"] == "v.0123456789ab/"

    async def test_a_file_of_that_very_name_comes_first(self, root: Path) -> None:
        (root / "app.0123456789ab.css").write_text("bundled")
        response = await get(root, "app.0123456789ab.css")
        assert (response.text, response.headers["cache-control"]) == ("bundled", "no-cache")

    @pytest.mark.parametrize(
        "path", ["nothing.css", "../outside/secret.txt", ".env", "css", "", "pipe", "link"]
    )
    async def test_only_files_that_can_be_seen_have_one(self, root: Path, path: str) -> None:
        os.mkfifo(root / "pipe")
        (root / "link").symlink_to("../outside/secret.txt")
        app, assets = self.app(root)
        request = Request(app, http_scope(), Exchange().receive, None, {})
        with pytest.raises(UrlError, match="static"):
            assets.url(request, path)
        with pytest.raises(UrlError, match="no route"):
            StaticDirectory(root).url(request, "app.css")

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("app.css", "app.0123456789ab.css"),
            ("js/app.min.js", "js/app.min.0123456789ab.js"),
            ("LICENSE", "LICENSE.0123456789ab"),
            ("v1.2/LICENSE", "v1.2/LICENSE.0123456789ab"),
            (".env", ".env.0123456789ab"),
        ],
    )
    def test_names_are_made_and_taken_apart(self, name: str, expected: str) -> None:
        assert with_digest(name, "0123456789ab") == expected
        assert without_digest(expected) == (name, "0123456789ab")

    @pytest.mark.parametrize(
        "name", ["app.css", "app.0123456789AB.css", "0123456789ab.css", "a/.0123456789ab"]
    )
    def test_other_names_have_none(self, name: str) -> None:
        assert without_digest(name) == (name, "")


class TestVariants:
    @pytest.fixture
    def compressed(self, root: Path) -> Path:
        for suffix in (".br", ".zst", ".gz"):
            (root / f"app.css{suffix}").write_bytes(suffix.encode())
        return root

    async def coding(self, root: Path, accepted: str | None, path: str = "app.css", **options: Any) -> str:
        headers = [(b"host", b"test")]
        if accepted is not None:
            headers.append((b"accept-encoding", accepted.encode()))
        scope = http_scope(f"/static/{path}", headers=headers)
        exchange = await Exchange(scope).run(app_of(root, **options))
        coding = exchange.headers.get("content-encoding", "")
        body = {"": b"a { }", "br": b".br", "zstd": b".zst", "gzip": b".gz"}[coding]
        assert exchange.body == body
        return coding

    @pytest.mark.parametrize(
        ("accepted", "expected"),
        [
            (None, ""),
            ("", ""),
            ("gzip, deflate, br, zstd", "br"),
            ("gzip, zstd", "zstd"),
            ("gzip", "gzip"),
            ("x-gzip", "gzip"),
            ("GZIP", "gzip"),
            ("deflate", ""),
            ("gzip;q=1, br;q=0.5", "gzip"),
            ("gzip; q=0.5 , br ; q=0.5", "br"),
            ("br;q=0, gzip;q=0, zstd;q=0", ""),
            ("br;q=0.000, gzip;q=0.001", "gzip"),
            ("*", "br"),
            ("br;q=0, *", "zstd"),
            ("*;q=0", ""),
            ("identity", ""),
            ("identity, gzip;q=0.5", ""),
            ("identity;q=0.5, gzip", "gzip"),
            ("identity;q=0.5, gzip;q=0.5", "gzip"),
            ("identity;q=0, gzip;q=0.001", "gzip"),
            ("identity;q=0", ""),
            ("br;q=2", ""),
            ("br;q=nan", ""),
            ("br;level=1", "br"),
            ("br" + " " * 1000, "br"),
        ],
    )
    async def test_12_5_3_the_best_that_the_client_accepts(
        self, compressed: Path, accepted: str | None, expected: str
    ) -> None:
        assert await self.coding(compressed, accepted) == expected

    async def test_a_variant_has_headers_of_its_own(self, compressed: Path) -> None:
        async with TestClient(app_of(compressed)) as client:
            heads = [
                await client.head("/static/app.css", headers={"accept-encoding": coding})
                for coding in ("identity", "br", "gzip")
            ]
        assert len({head.headers["etag"] for head in heads}) == 3
        for head, length in zip(heads, ("5", "3", "3"), strict=True):
            assert head.headers["vary"] == "accept-encoding"
            assert head.headers["content-type"] == "text/css; charset=utf-8"
            assert head.headers["content-length"] == length
            assert not head.headers["etag"].startswith("W/")

    async def test_conditions_and_ranges_are_those_of_the_variant(self, compressed: Path) -> None:
        async with TestClient(app_of(compressed)) as client:
            headers = {"accept-encoding": "br"}
            etag = (await client.head("/static/app.css", headers=headers)).headers["etag"]
            response = await client.get("/static/app.css", headers=headers | {"if-none-match": etag})
            assert (response.status_code, response.headers["vary"]) == (304, "accept-encoding")
            response = await client.head(
                "/static/app.css", headers={"accept-encoding": "gzip", "if-none-match": etag}
            )
            assert response.status_code == 200
            async with client.stream(
                "GET", "/static/app.css", headers=headers | {"range": "bytes=1-"}
            ) as partial:
                assert partial.headers["content-range"] == "bytes 1-2/3"
                assert b"".join([piece async for piece in partial.aiter_raw()]) == b"br"

    async def test_a_variant_of_an_older_state_is_not_sent(self, compressed: Path) -> None:
        file = compressed / "app.css"
        now = file.stat().st_mtime_ns
        os.utime(compressed / "app.css.br", ns=(now, now - 3_000_000_000))
        assert await self.coding(compressed, "br, gzip") == "gzip"
        assert await self.coding(compressed, "br") == ""
        assert open_descriptors(compressed / "app.css.br") == 0
        # Tools that copy the time of the file round it.
        os.utime(compressed / "app.css.br", ns=(now, now // 1_000_000_000 * 1_000_000_000))
        assert await self.coding(compressed, "br") == "br"

    async def test_a_variant_without_its_file_is_none(self, compressed: Path) -> None:
        (compressed / "app.css").unlink()
        assert (await get(compressed, "app.css", {"accept-encoding": "br"})).status_code == 404
        assert open_descriptors(compressed / "app.css.br") == 0

    async def test_it_can_be_turned_off_and_is_not_looked_for_where_nothing_is_gained(
        self, compressed: Path
    ) -> None:
        assert await self.coding(compressed, "br", precompressed=False) == ""
        response = await get(compressed, "app.css", precompressed=False)
        assert "vary" not in response.headers
        (compressed / "a.png").write_bytes(b"a { }")
        (compressed / "a.png.br").write_bytes(b".br")
        assert await self.coding(compressed, "br", "a.png") == ""
        assert "vary" not in (await get(compressed, "a.png")).headers

    async def test_a_variant_can_be_asked_for_as_itself(self, compressed: Path) -> None:
        response = await get(compressed, "app.css.gz")
        assert response.headers["content-type"] == "application/gzip"
        assert "content-encoding" not in response.headers


class TestRegistration:
    def test_a_directory_that_is_not_there(self, root: Path) -> None:
        for path in (root / "nothing", root / "app.css"):
            with pytest.raises(RegistrationError, match="no directory"):
                app_of(path)

    async def test_it_is_a_route_like_others(self, root: Path) -> None:
        async def marking(request: Request[Any], handler: Handler) -> Response:
            response = await handler(request)
            response.headers["x"] = "y"
            return response

        app: Application[None] = Application()
        app.static("/", root, name="assets", middlewares=[marking])
        assert str(app.url_for("assets", path="css/a b.css")) == "/css/a%20b.css"
        with pytest.raises(RegistrationError, match="registered already"):
            app.static("/", root)
        async with TestClient(app) as client:
            assert (await client.get("/app.css")).headers["x"] == "y"
            assert (await client.post("/app.css")).status_code == 405
            assert (await client.options("/app.css")).headers["allow"] == "GET, HEAD, OPTIONS"

    async def test_other_routes_come_before_it(self, root: Path) -> None:
        app: Application[None] = Application()
        app.static("/", root)

        @app.get("/app.css")
        async def handler(request: Request) -> Response:
            return Response("mine")

        async with TestClient(app) as client:
            assert (await client.get("/app.css")).text == "mine"
            assert (await client.get("/")).text == "home"
