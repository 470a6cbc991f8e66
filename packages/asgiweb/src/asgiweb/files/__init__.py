"""Answers that are files: opened once, described by what was opened, and closed whatever becomes of them."""

from .response import file_response
from .sending import FileResponse

__all__ = ["FileResponse", "file_response"]
