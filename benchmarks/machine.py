"""What was measured on, and what with: results say nothing without it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Final

#: Distributions whose versions decide what a server does.
DISTRIBUTIONS: Final = (
    *("asgiserve", "uvicorn", "granian", "hypercorn", "daphne", "sanic", "aiohttp"),
    *("asgiweb", "blacksheep", "falcon", "starlette", "fastapi", "litestar", "quart"),
    *("uvloop", "httptools", "h11", "twisted", "websockets", "wsproto"),
)


def interpreter() -> str:
    """Name the interpreter, as results are named: ``cpython-3.11``."""
    major, minor, _ = platform.python_version_tuple()
    return f"{platform.python_implementation().lower()}-{major}.{minor}"


def describe() -> dict[str, str]:
    """Describe the machine: processor, cores, memory, kernel and distribution."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _first_value("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
    }


def versions() -> dict[str, str]:
    """Versions of the interpreter, of wrk, and of what is installed of `DISTRIBUTIONS`."""
    found = {platform.python_implementation(): platform.python_version(), "wrk": _wrk()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def _first_value(file: str, name: str) -> str:
    for line in Path(file).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _wrk() -> str:
    """Name wrk's version, which it tells before it complains that it got no address."""
    try:
        words = subprocess.run(["wrk", "--version"], capture_output=True, text=True).stdout.split()
    except FileNotFoundError:
        return "missing"
    return words[1] if len(words) > 1 else "unknown"
