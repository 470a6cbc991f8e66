"""A state, a middleware, a path parameter and an error: a small program in the way of aiohttp's.

asgiserve examples.welcome:app
curl http://127.0.0.1:8000/ada
"""

import logging
import time

from asgiweb import Application, Handler, HTTPNotFound, Request, Response

logging.basicConfig(level=logging.INFO)
logger = logging.getLogger("welcome")

Users = set[str]


async def load_users(app: Application[Users]) -> None:
    """Stand for what a real application reads from its database."""
    app.state = {"ada", "grace", "edsger"}


async def log_requests(request: Request[Users], handler: Handler) -> Response:
    started = time.perf_counter()
    response = await handler(request)
    duration = (time.perf_counter() - started) * 1000
    logger.info("%s %s -> %d in %.1f ms", request.method, request.path, response.status, duration)
    return response


async def welcome(request: Request[Users], username: str) -> Response:
    if username not in request.state:
        raise HTTPNotFound(f"no user is called {username}")
    return Response(f"Welcome, {username}!\n")


app: Application[Users] = Application(middlewares=[log_requests])
app.on_startup.append(load_users)
app.router.add_get("/{username}", welcome)

if __name__ == "__main__":
    import asgiserve

    asgiserve.run(app)
