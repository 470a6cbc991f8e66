"""Answers that are files: opened once, described by what was opened, and closed whatever becomes of them."""

from .disposition import content_disposition
from .response import file_response
from .sending import FileResponse

__all__ = ["FileResponse", "content_disposition", "file_response"]
