"""Where examples/notes.py keeps its notes: in SQLite, or in PostgreSQL, with the same statements.

``open_database("notes.sqlite3")`` or ``open_database("postgresql://...")``. What differs between these is in
two classes at the end: how one connects, runs a statement, and hears that somebody has changed something.
Several processes may have the same database open.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, TypeVar

import aiosqlite
import msgspec

#: Seconds after which SQLite is asked whether anything has changed.
LOOK_AGAIN = 0.2

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS users (
        id {key}, name TEXT NOT NULL UNIQUE, password TEXT NOT NULL, revision INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE IF NOT EXISTS notes (
        id {key}, owner INTEGER NOT NULL REFERENCES users, title TEXT NOT NULL, text TEXT NOT NULL,
        changed DOUBLE PRECISION NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS attachments (
        id {key}, note INTEGER NOT NULL REFERENCES notes ON DELETE CASCADE, name TEXT NOT NULL,
        content BYTEA NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS notes_of_an_owner ON notes (owner, changed)",
    "CREATE INDEX IF NOT EXISTS attachments_of_a_note ON attachments (note)",
)

Row = TypeVar("Row")


class User(msgspec.Struct, frozen=True):
    """Somebody with notes; ``revision`` counts what was changed of these."""

    id: int
    name: str
    password: str
    revision: int


class Note(msgspec.Struct, frozen=True):
    """A note; ``changed`` is in seconds since 1970."""

    id: int
    title: str
    text: str
    changed: float


class Attachment(msgspec.Struct, frozen=True):
    """A file that belongs to a note, without its content."""

    id: int
    note: int
    name: str
    size: int


class NameTaken(Exception):
    """Somebody else has this name."""


class Connection(Protocol):
    """What the statements below need: parameters are written $1, $2, ... in both databases."""

    async def fetch(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Run a statement, and return its rows."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """Let all that is done in an ``async with``, or nothing of it, be kept."""
        ...

    async def announce(self) -> None:
        """Let all processes know, when the transaction is over, that something has changed."""
        ...

    def changes(self) -> AsyncIterator[None]:
        """Yield each time that somebody has changed something: this process or another one."""
        ...


class Database:
    """Users, notes and attachments. All of a user's are found by the user's id, and nobody else's are."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # One connection runs one transaction at a time.
        self._turn = asyncio.Lock()

    async def add_user(self, name: str, password: str) -> User:
        """Add somebody. NameTaken if there is one of this name."""
        statement = """INSERT INTO users (name, password) VALUES ($1, $2)
            ON CONFLICT DO NOTHING RETURNING id, name, password, revision"""
        users = await self._rows(User, statement, name, password)
        if not users:
            raise NameTaken(name)
        return users[0]

    async def user(self, *, id: int | None = None, name: str | None = None) -> User | None:
        """Find somebody by id or name."""
        column, value = ("id", id) if name is None else ("name", name)
        statement = f"SELECT id, name, password, revision FROM users WHERE {column} = $1"
        return _only(await self._rows(User, statement, value))

    async def notes(self, owner: int, containing: str = "") -> list[Note]:
        """Return the notes of an owner that contain a text, those that were changed last first."""
        statement = r"""SELECT id, title, text, changed FROM notes
            WHERE owner = $1 AND lower(title || ' ' || text) LIKE $2 ESCAPE '\'
            ORDER BY changed DESC, id DESC"""
        return await self._rows(Note, statement, owner, f"%{_literally(containing.lower())}%")

    async def note(self, owner: int, id: int) -> Note | None:
        """Find a note by its id."""
        statement = "SELECT id, title, text, changed FROM notes WHERE owner = $1 AND id = $2"
        return _only(await self._rows(Note, statement, owner, id))

    async def add_note(self, owner: int, title: str, text: str) -> Note:
        """Write a new note."""
        statement = """INSERT INTO notes (owner, title, text, changed) VALUES ($1, $2, $3, $4)
            RETURNING id, title, text, changed"""
        (note,) = await self._change(Note, owner, statement, owner, title, text, time.time())
        return note

    async def change_note(self, owner: int, id: int, title: str, text: str) -> Note | None:
        """Write a note anew; None if there is none."""
        statement = """UPDATE notes SET title = $3, text = $4, changed = $5 WHERE owner = $1 AND id = $2
            RETURNING id, title, text, changed"""
        return _only(await self._change(Note, owner, statement, owner, id, title, text, time.time()))

    async def delete_note(self, owner: int, id: int) -> Note | None:
        """Delete a note with its attachments, and return it; None if there is none."""
        statement = "DELETE FROM notes WHERE owner = $1 AND id = $2 RETURNING id, title, text, changed"
        return _only(await self._change(Note, owner, statement, owner, id))

    async def attach(self, owner: int, note: int, name: str, content: bytes) -> Attachment | None:
        """Keep a file with a note; None if there is no such note."""
        statement = """INSERT INTO attachments (note, name, content)
            SELECT id, $3, $4 FROM notes WHERE owner = $1 AND id = $2
            RETURNING id, note, name, length(content) AS size"""
        return _only(await self._change(Attachment, owner, statement, owner, note, name, content))

    async def attachments(self, owner: int, note: int) -> list[Attachment]:
        """Return what was attached to a note."""
        statement = """SELECT a.id, a.note, a.name, length(a.content) AS size
            FROM attachments a JOIN notes n ON n.id = a.note WHERE n.owner = $1 AND n.id = $2 ORDER BY a.id"""
        return await self._rows(Attachment, statement, owner, note)

    async def attached(self, owner: int, id: int) -> tuple[str, bytes] | None:
        """Return the name and the content of an attachment."""
        statement = """SELECT a.name, a.content FROM attachments a JOIN notes n ON n.id = a.note
            WHERE n.owner = $1 AND a.id = $2"""
        async with self._turn:
            rows = await self._connection.fetch(statement, owner, id)
        return (rows[0]["name"], bytes(rows[0]["content"])) if rows else None

    def changes(self) -> AsyncIterator[None]:
        """Yield each time that somebody has changed something, in whichever process."""
        return self._connection.changes()

    async def _rows(self, kind: type[Row], statement: str, *values: Any) -> list[Row]:
        async with self._turn:
            return [kind(**row) for row in await self._connection.fetch(statement, *values)]

    async def _change(self, kind: type[Row], owner: int, statement: str, *values: Any) -> list[Row]:
        async with self._turn, self._connection.transaction():
            rows = [kind(**row) for row in await self._connection.fetch(statement, *values)]
            if rows:
                await self._connection.fetch("UPDATE users SET revision = revision + 1 WHERE id = $1", owner)
                await self._connection.announce()
            return rows


def _only(rows: list[Row]) -> Row | None:
    return rows[0] if rows else None


def _literally(text: str) -> str:
    for special in "\\%_":
        text = text.replace(special, "\\" + special)
    return text


@asynccontextmanager
async def open_database(address: str) -> AsyncIterator[Database]:
    """Open a database for the time of an ``async with``: a PostgreSQL URL, or the name of a SQLite file."""
    opened = _open_postgresql(address) if address.startswith("postgresql:") else _open_sqlite(address)
    async with opened as connection:
        yield Database(connection)


class _SQLite:
    """A connection by aiosqlite, which has a thread for it."""

    def __init__(self, path: str, connection: aiosqlite.Connection) -> None:
        self._path = path
        self._connection = connection

    async def fetch(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        rows = await self._connection.execute_fetchall(statement.replace("$", "?"), values)
        return [dict(row) for row in rows]

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        await self.fetch("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            await self.fetch("ROLLBACK")
            raise
        await self.fetch("COMMIT")

    async def announce(self) -> None:
        """Nothing: whoever looks sees it."""

    async def changes(self) -> AsyncIterator[None]:
        # A connection sees by its data_version what others have committed, so this needs one of its own.
        async with aiosqlite.connect(self._path, isolation_level=None) as watch:
            before = None
            while True:
                ((now,),) = await watch.execute_fetchall("PRAGMA data_version")
                if before is not None and now != before:
                    yield
                before = now
                await asyncio.sleep(LOOK_AGAIN)


@asynccontextmanager
async def _open_sqlite(path: str) -> AsyncIterator[_SQLite]:
    async with aiosqlite.connect(path, isolation_level=None) as connection:
        connection.row_factory = aiosqlite.Row
        sqlite = _SQLite(path, connection)
        # Readers do not wait for writers, and writers wait for each other.
        for setting in ("busy_timeout = 10000", "journal_mode = WAL", "foreign_keys = ON"):
            await sqlite.fetch(f"PRAGMA {setting}")
        async with sqlite.transaction():
            for statement in SCHEMA:
                await sqlite.fetch(statement.format(key="INTEGER PRIMARY KEY"))
        yield sqlite


class _PostgreSQL:
    """A connection by asyncpg."""

    def __init__(self, address: str, connection: Any) -> None:
        self._address = address
        self._connection = connection

    async def fetch(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in await self._connection.fetch(statement, *values)]

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        return self._connection.transaction()  # type: ignore[no-any-return]  # asyncpg has no types

    async def announce(self) -> None:
        await self._connection.execute("NOTIFY notes")

    async def changes(self) -> AsyncIterator[None]:
        import asyncpg

        heard = asyncio.Event()
        listener = await asyncpg.connect(self._address)
        try:
            await listener.add_listener("notes", lambda *_: heard.set())
            while True:
                await heard.wait()
                heard.clear()
                yield
        finally:
            await listener.close()


@asynccontextmanager
async def _open_postgresql(address: str) -> AsyncIterator[_PostgreSQL]:
    import asyncpg  # not needed for SQLite

    connection = await asyncpg.connect(address)
    try:
        postgresql = _PostgreSQL(address, connection)
        async with connection.transaction():
            # Of two processes that start at once, one waits here for the other's tables.
            await postgresql.fetch("SELECT pg_advisory_xact_lock(7)")
            for statement in SCHEMA:
                await postgresql.fetch(
                    statement.format(key="INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
                )
        yield postgresql
    finally:
        await connection.close()
