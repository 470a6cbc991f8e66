"""HTTP/1.1 and HTTP/1.0 on a byte stream (RFC 9112).

The way of a request: `connection` takes bytes from the transport and cuts a request head out of them;
a parser of `parsers` reads its fields; `request` applies the rules of RFC 9110 and 9112 to them; `body`
takes the framing off what follows. The response goes back through `response`, which checks and renders
its head and frames its body.
"""
