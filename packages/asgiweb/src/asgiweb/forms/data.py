"""A form that was read as a whole."""

from __future__ import annotations

from multidict import MultiDictProxy

from .uploads import UploadedFile


class FormData(MultiDictProxy["str | UploadedFile"]):
    """The fields of a form by name, in the order in which they came: texts and files."""

    def text(self, name: str, default: str = "") -> str:
        """Return the first text of this name; files do not count."""
        return next((value for value in self.getall(name, ()) if isinstance(value, str)), default)

    def file(self, name: str) -> UploadedFile | None:
        """Return the first file of this name, None if no file was chosen."""
        return next(iter(self.files(name)), None)

    def files(self, name: str) -> list[UploadedFile]:
        """Return all files of this name."""
        return [value for value in self.getall(name, ()) if isinstance(value, UploadedFile)]

    async def aclose(self) -> None:
        """Close the files, which removes them; happens by itself when the request has been answered."""
        for value in self.values():
            if isinstance(value, UploadedFile):
                await value.aclose()
