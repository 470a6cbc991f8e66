"""Every exception of this package that is not itself an answer.

    Exception
    ├── AsgiwebError
    │   ├── RegistrationError    a route, converter or handler that cannot be right; raised while importing
    │   ├── UrlError             url_for() cannot build the URL that it is asked for
    │   ├── HeaderError          a response header or cookie that must not be sent
    │   ├── BodyConsumed         the body was streamed and cannot be read a second time
    │   ├── StateError           the state was asked for before anybody had set it
    │   ├── SessionError         a session that cannot be kept, or that nobody has set up
    │   └── WebSocketError       a websocket is used out of turn, or closed with a code that there is not
    ├── ValueError
    │   ├── InvalidMessage       the client sends what the handler of a websocket does not read
    │   └── InvalidSignature     a text was not signed here, or too long ago
    └── ConnectionError
        ├── StoreUnavailable     a store of sessions or limits does not answer
        └── ClientDisconnected   nobody is there any more to send the body or to read the answer
            └── WebSocketDisconnect   the websocket is closed: by the client, the server or the application

The exceptions that are answers, one for each status, are in ``asgiweb.exceptions``.
"""

from __future__ import annotations


class AsgiwebError(Exception):
    """A mistake in how this package is used: the message says what to write instead."""


class RegistrationError(AsgiwebError):
    """A route, converter, handler or middleware that cannot be right, with the file and line it is in."""


class UrlError(AsgiwebError):
    """``url_for()`` was given a name or parameters from which no URL can be built."""


class HeaderError(AsgiwebError):
    """A header or cookie that must not be sent, such as one with a line break in it (RFC 9110, 5.5)."""


class BodyConsumed(AsgiwebError):
    """The request's body was streamed, so it is not there any more to be read as a whole or again."""


class StateError(AsgiwebError):
    """``state`` was asked for, but no lifespan has yielded it and nobody has assigned it."""


class SessionError(AsgiwebError):
    """A session that cannot be kept as it is, too large or no JSON, or that no ``Sessions`` has set up."""


class WebSocketError(AsgiwebError):
    """A websocket is used out of turn, such as before it is accepted, or with a code that there is not."""


class InvalidMessage(ValueError):
    """A message is not what the handler of a websocket reads here: the fault of the client.

    If nobody handles it, the websocket is closed with ``code`` and ``reason`` (RFC 6455, 7.4.1).
    """

    def __init__(self, reason: str, *, code: int = 1007) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class InvalidSignature(ValueError):
    """A text was not signed with these secrets for this purpose, or it was too long ago."""


class StoreUnavailable(ConnectionError):
    """What is kept elsewhere, such as sessions in Redis, cannot be read or written now."""


class ClientDisconnected(ConnectionError):
    """The client has left. Not an error of the application: it is answered and logged by nobody."""


class WebSocketDisconnect(ClientDisconnected):
    """The websocket is closed, with ``code`` and ``reason``; no error of a handler that it leaves.

    1005: the client gave no code. 1006: the connection was lost (RFC 6455, 7.4.1).
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"the websocket is closed: {code} {reason}".rstrip())
        self.code = code
        self.reason = reason
