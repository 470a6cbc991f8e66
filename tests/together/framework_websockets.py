"""What is asked of the websockets of every framework on asgiserve.

It is the contract of websockets without what is asgiweb's own, and with two matters of a server: compression,
and what it logs.
"""

from __future__ import annotations

import socket
from typing import Final

from websockets.sync.client import ClientConnection

from tests.together.applications.business import SECRET
from tests.together.contract import Point
from tests.together.servers import HOST, Server
from tests.together.websocket_contract import (
    both_ways,
    close_by_application,
    close_code_of_client,
    close_reason_of_client,
    close_without_code,
    closed,
    denial,
    empty_messages,
    end_of,
    error_before_acceptance,
    headers,
    lost_connection,
    messages,
    no_subprotocol,
    opened,
    parameters,
    parameters_in_utf_8,
    received,
    refusal,
    refused,
    sending_ends,
    sending_ends_behind_unread_messages,
    shutdown_while_open,
    state,
    subprotocols,
    unique,
    unknown_path,
)

#: Compressed, it is some hundred bytes.
REPETITIVE: Final = "say it again, " * 10_000


class Counted(socket.socket):
    """A socket that counts what it receives."""

    received = 0

    def recv(self, size: int, flags: int = 0) -> bytes:
        data = super().recv(size, flags)
        self.received += len(data)
        return data


def compression(server: Server) -> None:
    """/echo sends back text and data of a client that compresses, and compresses as well."""
    with Counted() as counted:
        counted.connect((HOST, server.port))
        with opened(server, "/echo", sock=counted, compression="deflate") as client:
            assert [extension.name for extension in client.protocol.extensions] == ["permessage-deflate"]
            for message in (REPETITIVE, REPETITIVE.encode(), "short", REPETITIVE):
                client.send(message)
                assert received(client) == message
    assert 0 < counted.received < len(REPETITIVE)


def no_compression(server: Server) -> None:
    """/echo sends back text and data of a client that cannot compress."""
    with opened(server, "/echo", compression=None) as client:
        assert client.protocol.extensions == []
        for message in (REPETITIVE, REPETITIVE.encode()):
            client.send(message)
            assert received(client) == message


def error_in_conversation(server: Server) -> None:
    """/error/later, whose handler raises, is closed with 1011 and no word of the inside; then all goes on."""
    with opened(server, "/error/later") as client:
        client.send("go")
        code, reason = closed(client)
    assert code == 1011, (code, reason)
    for inside in (SECRET, "Traceback", "RuntimeError", ".py"):
        assert inside not in reason, (code, reason)
    parameters(server)


def ordinary_ends(server: Server) -> None:
    """Nothing is logged as an error because clients close, or are gone, or the application closes."""
    logged = len(server.output)
    refused(server, "/closed")
    close_by_application(server)
    for path in ("/receiving", "/ticking"):
        for leave in (ClientConnection.close, _cut):
            key = unique()
            with opened(server, f"{path}/{key}") as client:
                leave(client)
            assert end_of(server, key)
    messages(server)  # meanwhile the server has logged what it has to
    told = server.output[logged:]
    assert "Traceback" not in told, told
    assert "ERROR" not in told, told


FRAMEWORK_WEBSOCKETS: Final[tuple[Point, ...]] = (
    messages,
    empty_messages,
    compression,
    no_compression,
    parameters,
    parameters_in_utf_8,
    state,
    subprotocols,
    no_subprotocol,
    headers,
    denial,
    unknown_path,
    refusal,
    error_before_acceptance,
    error_in_conversation,
    close_by_application,
    close_code_of_client,
    close_reason_of_client,
    close_without_code,
    lost_connection,
    sending_ends,
    sending_ends_behind_unread_messages,
    both_ways,
    ordinary_ends,
    shutdown_while_open,
)


def _cut(client: ClientConnection) -> None:
    """End the connection without a close frame."""
    client.socket.shutdown(socket.SHUT_RDWR)
