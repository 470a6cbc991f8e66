"""Content types by a file's name: the same on every machine, whatever its /etc/mime.types says."""

from __future__ import annotations

import re
from functools import lru_cache

# The web's own. Those of the standard library, for the rest, differ between versions of Python in these.
_TYPES = {
    "aac": "audio/aac",
    "apng": "image/apng",
    "atom": "application/atom+xml",
    "avif": "image/avif",
    "br": "application/octet-stream",
    "bz2": "application/x-bzip2",
    "cjs": "text/javascript",
    "css": "text/css",
    "csv": "text/csv",
    "eot": "application/vnd.ms-fontobject",
    "epub": "application/epub+zip",
    "flac": "audio/flac",
    "geojson": "application/geo+json",
    "gif": "image/gif",
    "glb": "model/gltf-binary",
    "gltf": "model/gltf+json",
    "gz": "application/gzip",
    "htm": "text/html",
    "html": "text/html",
    "ico": "image/vnd.microsoft.icon",
    "ics": "text/calendar",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "js": "text/javascript",
    "json": "application/json",
    "jsonld": "application/ld+json",
    "jxl": "image/jxl",
    "m3u8": "application/vnd.apple.mpegurl",
    "m4a": "audio/mp4",
    "map": "application/json",
    "md": "text/markdown",
    "mjs": "text/javascript",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "ndjson": "application/x-ndjson",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "ogv": "video/ogg",
    "opus": "audio/ogg",
    "otf": "font/otf",
    "pdf": "application/pdf",
    "png": "image/png",
    "rss": "application/rss+xml",
    "svg": "image/svg+xml",
    "tar": "application/x-tar",
    "tiff": "image/tiff",
    "ttf": "font/ttf",
    "txt": "text/plain",
    "vtt": "text/vtt",
    "wasm": "application/wasm",
    "wav": "audio/wav",
    "weba": "audio/webm",
    "webm": "video/webm",
    "webmanifest": "application/manifest+json",
    "webp": "image/webp",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "xhtml": "application/xhtml+xml",
    "xml": "application/xml",
    "xz": "application/x-xz",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "zip": "application/zip",
    "zst": "application/zstd",
}

_UNKNOWN = "application/octet-stream"

_COMPRESSIBLE = re.compile(
    r"text/.*|.*\+(?:json|xml)|image/(?:bmp|vnd\.microsoft\.icon)|font/(?:otf|ttf)|model/gltf-binary"
    r"|application/(?:json|javascript|xml|wasm|yaml|x-ndjson|x-tar|octet-stream|vnd\.ms-fontobject)"
)


def content_type_of(name: str) -> str:
    """Return the Content-Type for a file of this name; text is said to be UTF-8."""
    _, dot, extension = name.rpartition("/")[2].rpartition(".")
    return _content_type(extension.lower()) if dot and len(extension) < 16 else _UNKNOWN


@lru_cache(maxsize=256)
def _content_type(extension: str) -> str:
    media_type = _TYPES.get(extension) or _from_standard_library(extension)
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type


def _from_standard_library(extension: str) -> str:
    # Only now: it reads the machine's files when it is used first, although none of them counts here.
    from mimetypes import MimeTypes

    return MimeTypes().types_map[True].get(f".{extension}", _UNKNOWN)


@lru_cache(maxsize=256)
def is_compressible(content_type: str) -> bool:
    """Tell whether files of this type get smaller by compression: photographs and archives do not."""
    return _COMPRESSIBLE.fullmatch(content_type.partition(";")[0]) is not None
