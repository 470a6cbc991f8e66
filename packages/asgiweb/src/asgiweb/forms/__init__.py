"""Forms: fields and files that browsers send, as a whole or part by part, within limits."""

from .data import FormData
from .filenames import safe_filename
from .limits import FormLimits
from .parts import Part
from .uploads import UploadedFile

__all__ = ["FormData", "FormLimits", "Part", "UploadedFile", "safe_filename"]
