"""The contract of websockets: what the application in asgiweb says through every server.

Made like ``contract.py``; the client is that of the library `websockets`, which is strict.
"""

from __future__ import annotations

import json
import socket
import time
import uuid
from contextlib import AbstractContextManager
from typing import Any, Final

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.together.applications.business import SECRET
from tests.together.contract import Point, shown
from tests.together.servers import HOST, LIMIT, PATIENCE, Server

TEXTS: Final = ["plain", "Žofie 100%€ \N{PILE OF POO}", "x" * 70_000]
DATA: Final = bytes(range(256)) * 4096  # 1 MiB


def messages(server: Server) -> None:
    """/echo sends back text and binary messages as they are, the short and the long ones, in their order."""
    with opened(server, "/echo") as client:
        for text in TEXTS:
            client.send(text)
        client.send(DATA)
        assert [received(client) for _ in TEXTS] == TEXTS
        assert received(client) == DATA


def empty_messages(server: Server) -> None:
    """/echo sends back empty messages, of both kinds."""
    with opened(server, "/echo") as client:
        for message in ("", b"", "the last"):
            client.send(message)
        all_received = [received(client)]
        while all_received[-1] != "the last":
            all_received.append(received(client))
        assert all_received == ["", b"", "the last"]


def parameters(server: Server) -> None:
    """/rooms/{number:int}/{name} gives the handler the path's parameters converted, and the query."""
    with opened(server, "/rooms/7/Sofie?q=a%20b") as client:
        assert json.loads(received(client)) == [7, "Sofie", "a b"]


def parameters_in_utf_8(server: Server) -> None:
    """/rooms/{number:int}/{name} gives the handler a name and a query with percent-encoded UTF-8."""
    with opened(server, "/rooms/7/%C5%BDofie%20100%25?q=%E2%82%AC") as client:
        assert json.loads(received(client)) == [7, "Žofie 100%", "€"]


def state(server: Server) -> None:
    """/greeting finds what the lifespan has yielded."""
    with opened(server, "/greeting") as client:
        assert received(client) == "hello"


def json_messages(server: Server) -> None:
    """/moves reads and sends JSON, and closes with 1007 and the reason when something else comes."""
    with opened(server, "/moves") as client:
        client.send('{"x": 1, "y": 2}')
        assert json.loads(received(client)) == {"x": 2, "y": 3}
        client.send('{"x": 1}')
        assert closed(client) == (1007, "Object missing required field `y`")


def subprotocols(server: Server) -> None:
    """/subprotocols agrees to the one it likes best of those that the client offers."""
    with opened(server, "/subprotocols", subprotocols=["v0", "v1", "v2"]) as client:
        assert client.subprotocol == "v2"
        assert json.loads(received(client)) == ["v0", "v1", "v2"]


def no_subprotocol(server: Server) -> None:
    """/subprotocols agrees to none if the client offers none that it knows, or none at all."""
    for offered in (["v0"], None):
        with opened(server, "/subprotocols", subprotocols=offered) as client:
            assert client.subprotocol is None
            assert json.loads(received(client)) == (offered or [])


def headers(server: Server) -> None:
    """/headers gets the client's headers, and sends some of its own, also two of one name."""
    with opened(server, "/headers", additional_headers={"x-asked": "what"}) as client:
        assert received(client) == "what"
        assert client.response is not None
        assert client.response.headers.get("x-one") == "1", client.response
        assert client.response.headers.get_all("set-cookie") == ["a=1", "b=2"]


def one_path(server: Server) -> None:
    """/both answers requests and websockets."""
    with opened(server, "/both") as client:
        assert received(client) == "a message"
    with server.client() as http:
        assert http.get("/both").text == "a response"


def denial(server: Server) -> None:
    """/unauthorized, whose handler raises HTTPUnauthorized before it accepts, is answered with that."""
    response = refused(server, "/unauthorized")
    assert response.status_code == 401, response
    assert response.headers["www-authenticate"] == "Basic", response
    assert response.body == b"who are you?", response


def denial_by_error_handler(server: Server) -> None:
    """/forbidden is answered by the application's error handler."""
    response = refused(server, "/forbidden")
    assert response.status_code == 403, response
    assert response.headers.get("x-refused") == "yes", response
    assert json.loads(response.body or b"") == {"refused": "not you"}, response


def unknown_path(server: Server) -> None:
    """/nowhere is answered 404."""
    response = refused(server, "/nowhere")
    assert response.status_code == 404, response


def refusal(server: Server) -> None:
    """/closed, whose handler closes before it accepts, is answered 403; then all goes on."""
    response = refused(server, "/closed")
    assert response.status_code == 403, response
    parameters(server)


def error_before_acceptance(server: Server) -> None:
    """/error, whose handler raises before it accepts, is answered 500 without a word of the inside."""
    response = refused(server, "/error")
    assert response.status_code == 500, response
    body = (response.body or b"").decode()
    for inside in (SECRET, "Traceback", "RuntimeError", ".py"):
        assert inside not in body, response
    parameters(server)


def error_after_acceptance(server: Server) -> None:
    """/error/later, whose handler raises after it accepted, is closed with 1011, logged once; all goes on."""
    logged = server.output.count("websocket '/error/later' failed")
    with opened(server, "/error/later") as client:
        client.send("go")
        assert closed(client) == (1011, "")
    parameters(server)
    assert server.output.count("websocket '/error/later' failed") == logged + 1
    assert server.output.count("Exception in ASGI") == 0


def no_upgrade(server: Server) -> None:
    """GET /echo without an upgrade is answered 426 with Upgrade: websocket (RFC 9110, 15.5.22)."""
    with server.client() as http:
        response = http.get("/echo")
        assert response.status_code == 426, shown(response)
        assert response.headers["upgrade"] == "websocket", shown(response)
        assert "upgrade" in response.headers["connection"].lower(), shown(response)
        assert http.get("/both").status_code == 200


def close_by_application(server: Server) -> None:
    """/enough closes with code 4001 and a reason in UTF-8, once."""
    with opened(server, "/enough") as client:
        assert received(client) == "first"
        assert closed(client) == (4001, "enough €")


def close_code_of_client(server: Server) -> None:
    """/receiving finds the code with which the client closes."""
    key = unique()
    with opened(server, f"/receiving/{key}") as client:
        client.send("a message before it")
        client.close(4002, "bye €")
    assert end_of(server, key)[0] == 4002


def close_reason_of_client(server: Server) -> None:
    """/receiving finds the reason with which the client closes."""
    key = unique()
    with opened(server, f"/receiving/{key}") as client:
        client.close(1000, "bye €")
    assert end_of(server, key)[1] == "bye €"


def close_without_code(server: Server) -> None:
    """/receiving finds 1005 if the client closes without a code (RFC 6455, 7.1.5)."""
    key = unique()
    with opened(server, f"/receiving/{key}") as client:
        with client.send_context():
            client.protocol.send_close()
        closed(client)
    assert end_of(server, key) == [1005, ""]


def lost_connection(server: Server) -> None:
    """/receiving finds 1006 if the connection ends without a close frame."""
    key = unique()
    with opened(server, f"/receiving/{key}") as client:
        client.send("a message before it")
        client.socket.shutdown(socket.SHUT_RDWR)
        assert end_of(server, key) == [1006, ""]


def sending_ends(server: Server) -> None:
    """/ticking, which sends and never receives, ends when the client closes."""
    key = unique()
    with opened(server, f"/ticking/{key}") as client:
        assert received(client) == "tick"
    assert end_of(server, key)


def sending_ends_behind_unread_messages(server: Server) -> None:
    """/ticking ends as well if the client has sent what nobody reads, and is gone without a close frame."""
    key = unique()
    with opened(server, f"/ticking/{key}") as client:
        for _ in range(10):
            client.send("unread")
            assert received(client) == "tick"
        client.socket.shutdown(socket.SHUT_RDWR)
        assert end_of(server, key)


def sending_without_pause_ends(server: Server) -> None:
    """/without-pause ends too, at whatever moment of the closing handshake it sends; nothing is logged."""
    for _ in range(4):
        key = unique()
        with opened(server, f"/without-pause/{key}", max_queue=None) as client:
            assert received(client) == "tick"
        assert end_of(server, key)
    assert "websocket '/without-pause" not in server.output


def both_ways(server: Server) -> None:
    """/both-ways sends from one task what it likes, and from another what is received."""
    with opened(server, "/both-ways") as client:
        for number in range(50):
            client.send(f"{number}")
        all_received = [received(client) for _ in range(150)]
        client.close()
    assert [text for text in all_received if text.startswith("count")] == [f"count {n}" for n in range(100)]
    assert [text for text in all_received if text.startswith("echo")] == [f"echo '{n}'" for n in range(50)]


def shutdown_while_open(server: Server) -> None:
    """SIGTERM ends the server although a websocket is open: that is closed, and the lifespan ends too."""
    with opened(server, "/echo") as client:
        server.stop()
        assert closed(client)[0] in (1000, 1001, 1006, 1012)
    written = server.shutdown_file.read_text()
    assert written == "shutdown\n", f"the application has written {written!r}"


WEBSOCKET_CONTRACT: Final[tuple[Point, ...]] = (
    messages,
    empty_messages,
    parameters,
    parameters_in_utf_8,
    state,
    json_messages,
    subprotocols,
    no_subprotocol,
    headers,
    one_path,
    denial,
    denial_by_error_handler,
    unknown_path,
    refusal,
    error_before_acceptance,
    error_after_acceptance,
    no_upgrade,
    close_by_application,
    close_code_of_client,
    close_reason_of_client,
    close_without_code,
    lost_connection,
    sending_ends,
    sending_ends_behind_unread_messages,
    sending_without_pause_ends,
    both_ways,
    shutdown_while_open,
)


def opened(server: Server, path: str, **options: Any) -> AbstractContextManager[ClientConnection]:
    """Open a websocket, and close it in the end."""
    url = f"ws://{HOST}:{server.port}{path}"
    client: AbstractContextManager[ClientConnection] = connect(
        url, open_timeout=PATIENCE, close_timeout=PATIENCE, proxy=None, **options
    )
    return client


def received(client: ClientConnection) -> Any:
    """Return the next message."""
    return client.recv(PATIENCE)


def closed(client: ClientConnection) -> tuple[int, str]:
    """Return how the server closes it, after which messages there may be."""
    try:
        while True:
            client.recv(PATIENCE)
    except ConnectionClosed as end:
        return (end.rcvd.code, end.rcvd.reason) if end.rcvd is not None else (1006, "")


def refused(server: Server, path: str) -> Any:
    """Return the response to a websocket that is refused."""
    with pytest.raises(InvalidStatus) as caught, opened(server, path):
        pass
    return caught.value.response


def unique() -> str:
    """Return a key that no other test has."""
    return uuid.uuid4().hex


def end_of(server: Server, key: str) -> Any:
    """Return code and reason that a handler has found, as soon as it has found them."""
    deadline = time.monotonic() + LIMIT
    with server.client() as http:
        while (response := http.get(f"/ends/{key}")).status_code == 404:
            assert time.monotonic() < deadline, "the handler has not ended"
            time.sleep(0.02)
        return response.json()
