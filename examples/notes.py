"""Notes with logins, pages, attachments, an API, and lists that change while one looks at them.

pip install 'asgiweb[standard]' aiosqlite
asgiserve examples.notes:app

pip install asyncpg
NOTES_SECRET=... NOTES_DATABASE=postgresql://user@host/name asgiserve examples.notes:app --workers 2

Without the setting, the notes are in notes.sqlite3. NOTES_SECRET signs the sessions: several workers need it,
and without it there is a new one at each start, after which everybody has to log in again. What is kept, and
how, is in notes_database.py, and the pages are in notes_pages.
"""

import asyncio
import hashlib
import hmac
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from asgiweb import (
    Application,
    Broadcast,
    Group,
    Handler,
    HTTPBadRequest,
    HTTPNotFound,
    HTTPSeeOther,
    HTTPUnauthorized,
    InvalidSignature,
    Request,
    Response,
    json_response,
    redirect,
)
from asgiweb.files import content_disposition
from asgiweb.middleware import (
    CSRF,
    Compression,
    RateLimit,
    RequestId,
    SecurityHeaders,
    Sessions,
    csrf_token,
    session_of,
)
from asgiweb.signing import Signer
from asgiweb.sse import Event, event_response, last_event_id
from asgiweb.templates import Templates
from examples.notes_database import Database, NameTaken, Note, User, open_database

PAGES = Path(__file__).with_name("notes_pages")

#: In bytes: an attachment, with what is around it in the request.
LARGEST_UPLOAD = 10_000_000

Title = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Text = Annotated[str, msgspec.Meta(max_length=10_000)]


class Credentials(msgspec.Struct):
    """What the form of the login page sends."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    password: Annotated[str, msgspec.Meta(min_length=8, max_length=200)]
    action: Literal["login", "register"] = "login"


class Draft(msgspec.Struct):
    """What is written into a note, in a form or through the API."""

    title: Title
    text: Text = ""


class Search(msgspec.Struct):
    """The query of lists of notes."""

    containing: str = ""


@dataclass
class State:
    """What the requests of a worker share."""

    database: Database
    changed: Broadcast[None]


@asynccontextmanager
async def lifespan(app: Application[State]) -> AsyncIterator[State]:
    address = os.environ.get("NOTES_DATABASE", "notes.sqlite3")
    # Of many changes in a row the last is enough: whoever hears of it looks at all there is.
    async with open_database(address) as database, Broadcast[None](limit=1, overflow="drop") as changed:
        state = State(database, changed)
        watching = asyncio.create_task(watch(state))
        yield state
        watching.cancel()


async def watch(state: State) -> None:
    """Tell this worker's clients whatever has changed, in this worker or another one."""
    async for _ in state.database.changes():
        await state.changed.publish("changed", None)


SECRET = os.environ.get("NOTES_SECRET") or secrets.token_urlsafe(32)
keys = Signer(SECRET, purpose="keys of the API")


def names_a_key(request: Request[Any]) -> bool:
    """Tell whether a request says itself who it is from: no browser does that for a page of another site."""
    return "authorization" in request.headers


app = Application(
    lifespan=lifespan,
    middlewares=[
        RequestId(),
        SecurityHeaders(),
        Compression(),
        Sessions(SECRET),
        # The one form with files is streamed: its token comes in the header, where the browser needs one.
        CSRF(SECRET, exempt=names_a_key, multipart=False),
    ],
)
assets = app.static("/static", PAGES / "static")
templates = Templates(PAGES, context={"asset": assets.url, "csrf_token": csrf_token})


async def signed_in(request: Request[State], handler: Handler) -> Response:
    """Send those to the login page who have not logged in."""
    user = await request.state.database.user(id=(await session_of(request)).get("user"))
    if user is None:
        raise HTTPSeeOther(request.url_for("login"))
    request.context["user"] = user
    return await handler(request)


async def with_key(request: Request[State], handler: Handler) -> Response:
    """Refuse those who have no key, and have not logged in either."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme:
        try:
            id = int(keys.unsign(key)) if scheme.lower() == "bearer" else None
        except InvalidSignature:
            id = None
    else:
        id = (await session_of(request)).get("user")
    user = await request.state.database.user(id=id)
    if user is None:
        raise HTTPUnauthorized("log in, or send your key", headers={"www-authenticate": "Bearer"})
    request.context["user"] = user
    return await handler(request)


def user_of(request: Request[State]) -> User:
    """Return who sends the request, whom one of these middlewares has found."""
    user: User = request.context["user"]
    return user


# Logging in


@app.get("/login", name="login")
async def login_page(request: Request[State]) -> Response:
    return await templates.response(request, "login.html", {"name": ""})


@app.post("/login", middlewares=[RateLimit(20, per=60)])
async def log_in(request: Request[State]) -> Response:
    given = await request.form(Credentials)
    database = request.state.database
    if given.action == "register":
        try:
            user = await database.add_user(given.name, await asyncio.to_thread(hashed, given.password))
        except NameTaken:
            return await login_failed(request, given.name, "Somebody has this name already.")
    else:
        found = await database.user(name=given.name)
        # It takes as long for a name that nobody has, so nobody learns which there are.
        kept = found.password if found is not None else NOBODY
        if not await asyncio.to_thread(matches, given.password, kept) or found is None:
            return await login_failed(request, given.name, "There is nobody with this name and password.")
        user = found
    session = await session_of(request)
    session.renew()
    session["user"] = user.id
    return redirect(request.url_for("notes"))


async def login_failed(request: Request[State], name: str, problem: str) -> Response:
    return await templates.response(request, "login.html", {"name": name, "problem": problem}, status=403)


@app.post("/logout", name="logout")
async def log_out(request: Request[State]) -> Response:
    (await session_of(request)).clear()
    return redirect(request.url_for("login"))


def hashed(password: str, salt: bytes | None = None) -> str:
    """Make of a password what is kept of it: 50 ms of work for whoever tries to guess it."""
    salt = salt or secrets.token_bytes(16)
    return f"{salt.hex()}${hashlib.scrypt(password.encode(), salt=salt, n=16384, r=8, p=1).hex()}"


def matches(password: str, kept: str) -> bool:
    """Tell whether this is the password of which that was kept."""
    return hmac.compare_digest(hashed(password, bytes.fromhex(kept.partition("$")[0])), kept)


NOBODY = hashed(secrets.token_urlsafe())


# Pages

pages = Group[State](middlewares=[signed_in])


@pages.get("/", name="notes")
async def notes(request: Request[State]) -> Response:
    user = user_of(request)
    search = request.query_as(Search)
    found = await request.state.database.notes(user.id, search.containing)
    context = {"user": user, "notes": found, "containing": search.containing, "key": keys.sign(str(user.id))}
    return await templates.response(request, "notes.html", context)


@pages.get("/list", name="list")
async def list_of_notes(request: Request[State]) -> Response:
    search = request.query_as(Search)
    found = await request.state.database.notes(user_of(request).id, search.containing)
    return await templates.response(request, "list.html", {"notes": found})


@pages.post("/")
async def add_note(request: Request[State]) -> Response:
    draft = await request.form(Draft)
    await request.state.database.add_note(user_of(request).id, draft.title, draft.text)
    return redirect(request.url_for("notes"))


@pages.get("/notes/{id:int}", name="note")
async def note(request: Request[State], id: int) -> Response:
    user = user_of(request)
    shown = existing(await request.state.database.note(user.id, id))
    attachments = await request.state.database.attachments(user.id, id)
    return await templates.response(
        request, "note.html", {"user": user, "note": shown, "attachments": attachments}
    )


@pages.post("/notes/{id:int}")
async def change_note(request: Request[State], id: int) -> Response:
    draft = await request.form(Draft)
    existing(await request.state.database.change_note(user_of(request).id, id, draft.title, draft.text))
    return redirect(request.url_for("notes"))


@pages.post("/notes/{id:int}/delete", name="delete")
async def delete_note(request: Request[State], id: int) -> Response:
    existing(await request.state.database.delete_note(user_of(request).id, id))
    return redirect(request.url_for("notes"))


@pages.post("/notes/{id:int}/attachments", name="attach", max_body_size=LARGEST_UPLOAD)
async def attach(request: Request[State], id: int) -> Response:
    async for part in request.multipart():
        if part.name == "file" and part.filename:
            name, content = part.filename, await part.read()
            attached = await request.state.database.attach(user_of(request).id, id, name, content)
            if attached is None:
                raise HTTPNotFound(f"no note {id}")
            if request.accepts("text/html", "application/json") == "application/json":
                return json_response(attached, 201)
            return redirect(request.url_for("note", id=id))
    raise HTTPBadRequest("there is no file in the form")


@pages.get("/attachments/{id:int}", name="attachment")
async def attachment(request: Request[State], id: int) -> Response:
    found = await request.state.database.attached(user_of(request).id, id)
    if found is None:
        raise HTTPNotFound(f"no attachment {id}")
    name, content = found
    # Whatever it is, it is kept and not opened: a page would run as one of this site.
    return Response(content, headers={"content-disposition": content_disposition("attachment", name)})


@pages.get("/events", name="events")
async def events(request: Request[State]) -> Response:
    """Say when notes have changed; the id of an event is the user's revision that it tells of."""
    database, id = request.state.database, user_of(request).id

    async def changes() -> AsyncIterator[Event]:
        async with request.state.changed.subscribe("changed") as messages:
            # A browser that comes back says what it has seen.
            seen = last_event_id(request) or str(user_of(request).revision)
            while True:
                user = await database.user(id=id)
                if user is None:
                    return
                if str(user.revision) != seen:
                    seen = str(user.revision)
                    yield Event("", event="changed", id=seen)
                await anext(messages)

    return event_response(changes(), retry=1)


def existing(note: Note | None) -> Note:
    """HTTPNotFound where the user has no such note."""
    if note is None:
        raise HTTPNotFound("you have no such note")
    return note


# The API

api = Group[State]("/api/notes", name="api", middlewares=[with_key])


@api.get("/", name="notes")
async def api_notes(request: Request[State]) -> Response:
    search = request.query_as(Search)
    return json_response(await request.state.database.notes(user_of(request).id, search.containing))


@api.post("/")
async def api_add(request: Request[State]) -> Response:
    draft = await request.json(Draft)
    note = await request.state.database.add_note(user_of(request).id, draft.title, draft.text)
    location = str(request.url_for("api.note", id=note.id))
    return json_response(note, 201, headers={"location": location})


@api.get("/{id:int}", name="note")
async def api_note(request: Request[State], id: int) -> Response:
    return json_response(existing(await request.state.database.note(user_of(request).id, id)))


@api.put("/{id:int}")
async def api_change(request: Request[State], id: int) -> Response:
    draft = await request.json(Draft)
    database, user = request.state.database, user_of(request)
    return json_response(existing(await database.change_note(user.id, id, draft.title, draft.text)))


@api.delete("/{id:int}")
async def api_delete(request: Request[State], id: int) -> Response:
    existing(await request.state.database.delete_note(user_of(request).id, id))
    return Response(None, 204)


app.include(pages)
app.include(api)
