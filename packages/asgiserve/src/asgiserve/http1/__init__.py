"""HTTP/1.1 and HTTP/1.0 on a byte stream (RFC 9112).

The way of a request: `connection` gets bytes from the event loop, and its reading half, `inbound`, cuts a
request head out of them; a parser of `parsers` reads its fields; `request` applies the rules of RFC 9110
and 9112 to them; `scope` tells the application of it; `body` takes the framing off what follows. `response`
checks and renders what the application answers, and `outbound` writes it. `stages` says what happens to
those who take too long.
"""
