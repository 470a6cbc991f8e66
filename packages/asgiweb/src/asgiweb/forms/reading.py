"""Reading a whole form, in either of the encodings that browsers have for one."""

from __future__ import annotations

import asyncio
from typing import Any

from multidict import MultiDict

from ..body import BodyReader
from ..exceptions import (
    HTTPBadRequest,
    HTTPContentTooLarge,
    HTTPException,
    HTTPUnsupportedMediaType,
)
from ..fields import Misfit, convert_fields
from ..headers import media_type
from ..models import json_pointer, misfit, refuse_unknown
from ..urlencoded import parse_urlencoded
from .data import FormData
from .limits import FormLimits
from .spool import Memory, Spool, close_files
from .uploads import UploadedFile


class FormReader:
    """The one reader of one request's form, which is kept for whoever asks next, and so is its mistake."""

    __slots__ = ("_body", "_error", "_form", "_reading")

    def __init__(self, body: BodyReader) -> None:
        self._body = body
        self._reading = asyncio.Lock()
        self._form: FormData | None = None
        self._error: HTTPException | None = None

    @property
    def complete(self) -> bool:
        """Whether the form was read."""
        return self._form is not None

    async def read(self, content_type: str, limits: FormLimits) -> FormData:
        """Return the form. HTTPBadRequest, HTTPContentTooLarge, HTTPUnsupportedMediaType."""
        async with self._reading:
            if self._error is not None:
                raise self._error
            if self._form is None:
                try:
                    self._form = await self._read(content_type, limits)
                except HTTPException as error:
                    self._error = error
                    raise
            return self._form

    async def _read(self, content_type: str, limits: FormLimits) -> FormData:
        kind = media_type(content_type)
        if kind == "application/x-www-form-urlencoded":
            return _parse_urlencoded(await self._body.read(), limits)
        if kind == "multipart/form-data":
            return await _read_multipart(self._body, content_type, limits)
        # A form without fields may come as nothing at all.
        if not kind and not await self._body.read():
            return FormData(MultiDict())
        raise HTTPUnsupportedMediaType(
            "the body is neither application/x-www-form-urlencoded nor multipart/form-data"
        )

    async def aclose(self) -> None:
        """Close the form's files."""
        if self._form is not None:
            await self._form.aclose()


def _parse_urlencoded(body: bytes, limits: FormLimits) -> FormData:
    if len(body) > limits.text_size:
        raise HTTPContentTooLarge("the texts of the form are too large")
    if body.count(b"&") >= limits.fields and body.strip(b"&"):
        raise HTTPContentTooLarge(f"the form has more than {limits.fields} fields")
    try:
        pairs = parse_urlencoded(body.decode(), "strict")
    except ValueError:
        raise HTTPBadRequest("the form is not text in UTF-8") from None
    return FormData(MultiDict(pairs))


async def _read_multipart(body: BodyReader, content_type: str, limits: FormLimits) -> FormData:
    from .multipart import read_parts

    fields: MultiDict[str | UploadedFile] = MultiDict()
    spools: list[Spool] = []
    memory = Memory(limits.memory_size)
    try:
        async for part in read_parts(body.stream(), content_type, limits):
            if part.filename is None:
                fields.add(part.name, await part.text())
                continue
            spool = Spool(memory)
            spools.append(spool)
            async for piece in part:
                await spool.write(piece)
            await spool.finish()
            # Browsers send a file without a name and content where none was chosen.
            if part.filename or spool.size:
                file = UploadedFile(part.filename, part.content_type, part.headers, spool.file, spool.size)
                fields.add(part.name, file)
    except BaseException:
        await close_files(spool.file for spool in spools)
        raise
    return FormData(fields)


def form_into(form: FormData, model: Any) -> Any:
    """Make a ``model`` of a form. HTTPUnprocessableContent that says which field does not fit."""
    try:
        return convert_fields(form.items(), model, _refuse_unknown)
    except Misfit as error:
        raise misfit("form", error.detail, pointer=json_pointer(error.steps)) from None


def _refuse_unknown(kind: Any, value: Any) -> Any:
    # A text where a file is wanted is the client's mistake.
    return value if kind is UploadedFile else refuse_unknown(kind, value)
