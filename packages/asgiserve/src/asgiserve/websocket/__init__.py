"""WebSockets (RFC 6455), with compression (RFC 7692), on the ASGI side of HTTP/1.1.

`handshake` reads what a client asks for and renders the 101; `frames` cuts the input into messages;
`deflate` compresses; `exchange` is the application's side, `connection` the asyncio Protocol that takes a
connection over from HTTP/1.1 once the application has accepted it, `timed` its deadlines.
"""
