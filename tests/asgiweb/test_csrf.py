"""CSRF: what pages of other sites cause is refused, by what browsers say of it, or else by a token."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from asgiweb import Application, BodyConsumed, RegistrationError, Request, Response, WebSocket
from asgiweb.errors import SessionError
from asgiweb.forms import FormLimits
from asgiweb.middleware import CSRF, csrf_token
from asgiweb.testing import TestClient
from tests.asgiweb.exchange import Exchange, http_scope

SECRET = "a secret of more than 32 characters for tests"


def application(csrf: CSRF) -> Application[Any]:
    app = Application(middlewares=[csrf])

    @app.route("/", methods=("GET", "POST", "PUT", "DELETE", "PATCH"))
    async def index(request: Request) -> Response:
        return Response(await request.body())

    @app.get("/token")
    async def token(request: Request) -> Response:
        return Response(csrf_token(request))

    @app.websocket("/ws")
    async def socket(ws: WebSocket) -> None:
        async with ws:
            await ws.send_text("hello")

    return app


async def status(headers: dict[str, str], method: str = "POST", **settings: Any) -> int:
    """The answer to a request with these headers, over HTTPS."""
    async with TestClient(application(CSRF(SECRET, **settings)), base_url="https://site.test") as client:
        return (await client.request(method, "/", headers=headers)).status_code


class TestFetchMetadata:
    @pytest.mark.parametrize("site", ["same-origin", "none"])
    async def test_what_this_site_or_the_user_sends_passes(self, site: str) -> None:
        assert await status({"sec-fetch-site": site}) == 200

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
    @pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense", ""])
    async def test_what_another_site_sends_is_refused(self, site: str, method: str) -> None:
        assert await status({"sec-fetch-site": site}, method) == 403

    async def test_an_origin_cannot_make_good_what_the_metadata_says(self) -> None:
        assert await status({"sec-fetch-site": "cross-site", "origin": "https://site.test"}) == 403

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_safe_methods_pass(self, method: str) -> None:
        assert await status({"sec-fetch-site": "cross-site"}, method) == 200

    async def test_a_trusted_origin_passes(self) -> None:
        headers = {"sec-fetch-site": "same-site", "origin": "https://app.site.test"}
        assert await status(headers, trusted_origins=["https://app.site.test"]) == 200
        assert await status(headers, trusted_origins=["https://other.site.test"]) == 403


class TestOrigin:
    @pytest.mark.parametrize("origin", ["https://site.test", "HTTPS://SITE.test"])
    async def test_the_own_one_passes(self, origin: str) -> None:
        assert await status({"origin": origin}) == 200

    @pytest.mark.parametrize(
        "origin",
        [
            "https://evil.test",
            "http://site.test",
            "https://site.test:8443",
            "https://site.test.evil.test",
            "https://evil-site.test",
            "null",
            "",
        ],
    )
    async def test_others_are_refused(self, origin: str) -> None:
        assert await status({"origin": origin}) == 403

    async def test_the_default_port_does_not_count(self) -> None:
        assert await status({"origin": "https://site.test", "host": "site.test:443"}) == 200
        assert await status({"origin": "https://site.test", "host": "site.test:80"}) == 403

    @pytest.mark.parametrize(
        ("referer", "expected"),
        [
            ("https://site.test/a/b?c", 200),
            ("https://site.test:443/", 200),
            ("https://evil.test/https://site.test/", 403),
            ("https://site.test@evil.test/", 403),
            ("https://[/", 403),
            ("/a", 403),
        ],
    )
    async def test_the_referer_counts_where_there_is_no_origin(self, referer: str, expected: int) -> None:
        assert await status({"referer": referer}) == expected
        assert await status({"referer": referer, "origin": "https://evil.test"}) == 403

    @pytest.mark.parametrize("origin", ["site.test", "https://site.test/", "https://site.test/a", "null"])
    def test_a_trusted_origin_that_is_none_is_refused_at_once(self, origin: str) -> None:
        with pytest.raises(RegistrationError, match="no origin as browsers write it"):
            CSRF(SECRET, trusted_origins=[origin])


class TestTokens:
    async def test_who_says_nothing_needs_one(self) -> None:
        async with TestClient(application(CSRF(SECRET))) as client:
            refused = await client.post("/")
            assert refused.status_code == 403
            assert "x-csrf-token" in refused.text
            token = (await client.get("/token")).text
            assert (await client.post("/", headers={"x-csrf-token": token})).status_code == 200
            form = await client.post("/", data={"a": "1", "csrf_token": token})
            assert (form.status_code, form.text.partition("&")[0]) == (200, "a=1")

    async def test_each_is_another_text_and_all_are_valid(self) -> None:
        async with TestClient(application(CSRF(SECRET))) as client:
            first = await client.get("/token")
            assert "set-cookie" in first.headers
            second = await client.get("/token")
            assert "set-cookie" not in second.headers
            assert first.text != second.text
            for token in (first.text, second.text):
                assert (await client.post("/", headers={"x-csrf-token": token})).status_code == 200

    @pytest.mark.parametrize(
        "token",
        ["", "x", "é", "AAAA", base64.urlsafe_b64encode(bytes(64)).decode(), "A" * 10_000],
        ids=["empty", "short", "latin", "bytes", "zeros", "long"],
    )
    async def test_one_that_was_made_up_is_refused(self, token: str) -> None:
        async with TestClient(application(CSRF(SECRET))) as client:
            await client.get("/token")
            assert (await client.post("/", data={"csrf_token": token})).status_code == 403

    async def test_it_belongs_to_its_cookie(self) -> None:
        app = application(CSRF(SECRET))
        async with TestClient(app) as one, TestClient(app) as other:
            token = (await one.get("/token")).text
            await other.get("/token")
            assert (await other.post("/", headers={"x-csrf-token": token})).status_code == 403
            one.cookies.clear()
            assert (await one.post("/", headers={"x-csrf-token": token})).status_code == 403

    async def test_a_cookie_that_was_not_signed_here_is_none(self) -> None:
        """What a subdomain may plant."""
        async with TestClient(application(CSRF("another secret of more than 32 characters"))) as client:
            token = (await client.get("/token")).text
            cookie = client.cookies["csrf"]
        headers = {"x-csrf-token": token, "cookie": f"csrf={cookie}"}
        async with TestClient(application(CSRF(SECRET))) as client:
            assert (await client.post("/", headers=headers)).status_code == 403
            assert "set-cookie" in (await client.get("/token", headers=headers)).headers

    async def test_it_is_bound_to_whoever_bind_names(self) -> None:
        csrf = CSRF(SECRET, bind=lambda request: request.headers.get("x-user", ""))
        async with TestClient(application(csrf)) as client:
            token = (await client.get("/token", headers={"x-user": "ada"})).text
            for user, expected in (("ada", 200), ("eve", 403)):
                headers = {"x-user": user, "x-csrf-token": token}
                assert (await client.post("/", headers=headers)).status_code == expected

    async def test_it_may_be_asked_for_whatever_the_browser_says(self) -> None:
        headers = {"sec-fetch-site": "same-origin", "origin": "https://site.test"}
        assert await status(headers, require_token=True) == 403
        async with TestClient(application(CSRF(SECRET, require_token=True))) as client:
            headers["x-csrf-token"] = (await client.get("/token")).text
            assert (await client.post("/", headers=headers)).status_code == 200
            headers["sec-fetch-site"] = "cross-site"
            assert (await client.post("/", headers=headers)).status_code == 403

    async def test_a_page_with_one_is_kept_private(self) -> None:
        async with TestClient(application(CSRF(SECRET)), base_url="https://test") as client:
            headers = (await client.get("/token")).headers
            assert (headers["vary"], headers["cache-control"]) == ("cookie", "no-store")
            assert headers["set-cookie"].endswith("; Path=/; SameSite=Lax; Secure; HttpOnly")
            assert (await client.get("/token")).headers["cache-control"] == "private, no-cache"
            assert "vary" not in (await client.get("/")).headers

    async def test_a_plain_form_with_a_file_has_it_in_its_field(self) -> None:
        app = Application(middlewares=[CSRF(SECRET)])

        @app.route("/", methods=["GET", "POST"])
        async def upload(request: Request) -> Response:
            if request.method == "GET":
                return Response(csrf_token(request))
            file = (await request.form()).file("file")
            return Response(b"" if file is None else await file.read())

        files = {"file": ("a.txt", b"content")}
        async with TestClient(app) as client:
            token = (await client.get("/")).text
            answer = await client.post("/", data={"csrf_token": token}, files=files)
            assert (answer.status_code, answer.text) == (200, "content")
            for data in ({"csrf_token": token[:-4]}, {"other": token}):
                assert (await client.post("/", data=data, files=files)).status_code == 403
            client.cookies.clear()
            assert (await client.post("/", data={"csrf_token": token}, files=files)).status_code == 403

    async def test_a_handler_that_streams_such_a_form_is_told_where_it_is(self) -> None:
        app = application(CSRF(SECRET))

        @app.post("/parts")
        async def parts(request: Request) -> Response:
            async for _ in request.multipart():
                pass
            return Response("")

        async with TestClient(app) as client:
            token = (await client.get("/token")).text
            with pytest.raises(BodyConsumed, match=r"request\.form\(\) has it"):
                await client.post("/parts", data={"csrf_token": token}, files={"file": b""})

    async def test_nothing_is_read_for_who_has_no_cookie(self) -> None:
        for kind in (b"multipart/form-data; boundary=x", b"application/x-www-form-urlencoded"):
            headers = [(b"host", b"test"), (b"content-type", kind), (b"transfer-encoding", b"chunked")]
            exchange = Exchange(http_scope(method="POST", headers=headers), body=[b"--x", b"--"])
            await exchange.run(application(CSRF(SECRET)))
            assert (exchange.status, exchange.received) == (403, 0)

    async def test_an_upload_that_is_streamed_is_not_read_for_it(self) -> None:
        app = application(CSRF(SECRET, multipart=False))
        async with TestClient(app) as client:
            token = (await client.get("/token")).text
            cookie = f"csrf={client.cookies['csrf']}".encode()
        headers = [
            (b"host", b"test"),
            (b"content-type", b"multipart/form-data; boundary=x"),
            (b"cookie", cookie),
        ]
        exchange = Exchange(http_scope(method="POST", headers=headers), body=[b"--x", b"--"])
        await exchange.run(app)
        assert (exchange.status, exchange.received) == (403, 0)
        headers.append((b"x-csrf-token", token.encode()))
        exchange = Exchange(http_scope(method="POST", headers=headers), body=[b"--x", b"--"])
        await exchange.run(app)
        assert (exchange.status, exchange.body) == (200, b"--x--")

    async def test_a_form_is_read_within_the_limit(self) -> None:
        app = application(CSRF(SECRET))
        app.max_body_size = 100
        async with TestClient(app) as client:
            await client.get("/token")
            assert (await client.post("/", data={"csrf_token": "x" * 100})).status_code == 413

    async def test_a_form_is_read_within_the_limits_of_forms(self) -> None:
        app = application(CSRF(SECRET))
        app.form_limits = FormLimits(fields=10)
        async with TestClient(app) as client:
            token = (await client.get("/token")).text
            for others, expected in ((9, 200), (10, 413)):
                data = {"csrf_token": token} | {f"field{number}": "" for number in range(others)}
                assert (await client.post("/", data=data)).status_code == expected
            headers = {"content-type": "application/x-www-form-urlencoded"}
            answer = await client.post("/", content=b"csrf_token=%FF", headers=headers)
            assert answer.status_code == 400

    async def test_without_the_middleware_the_error_says_what_to_do(self) -> None:
        app = Application()

        @app.get("/")
        async def index(request: Request) -> Response:
            return Response(csrf_token(request))

        async with TestClient(app) as client:
            with pytest.raises(SessionError, match=r"put CSRF\(\.\.\.\) into the middlewares"):
                await client.get("/")


class TestExemptions:
    async def test_paths(self) -> None:
        foreign = {"sec-fetch-site": "cross-site"}
        assert await status(foreign, exempt=["/"]) == 200
        assert await status(foreign, exempt=["/other"]) == 403
        with pytest.raises(RegistrationError, match="a list of paths"):
            CSRF(SECRET, exempt="/")

    async def test_a_predicate(self) -> None:
        def signed(request: Request) -> bool:
            return "x-signature" in request.headers

        assert await status({"sec-fetch-site": "cross-site", "x-signature": "1"}, exempt=signed) == 200
        assert await status({"sec-fetch-site": "cross-site"}, exempt=signed) == 403


class TestWebSockets:
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"origin": "http://test"},
            # A proxy has ended TLS.
            {"origin": "https://test"},
            {"sec-fetch-site": "same-origin", "origin": "http://test"},
        ],
    )
    async def test_those_of_this_site_and_of_programs_are_accepted(self, headers: dict[str, str]) -> None:
        async with (
            TestClient(application(CSRF(SECRET, require_token=True))) as client,
            client.websocket("/ws", headers=headers) as ws,
        ):
            assert await ws.receive_text() == "hello"

    @pytest.mark.parametrize(
        "headers",
        [
            {"origin": "http://evil.test"},
            {"origin": "https://test:8000"},
            {"origin": "null"},
            {"sec-fetch-site": "cross-site", "origin": "http://test"},
        ],
    )
    async def test_those_of_other_sites_are_refused(self, headers: dict[str, str]) -> None:
        """Cross-site websocket hijacking: they would come with the user's cookies."""
        async with TestClient(application(CSRF(SECRET))) as client:
            with pytest.raises(Exception, match="403"):
                async with client.websocket("/ws", headers=headers):
                    pass
