"""What the measurements of hardness share: the file of their results, and how they are shown."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from . import machine, results


def save(name: str, figures: dict[str, Any]) -> Path:
    """Write figures into the folder of results, with what they were measured on."""
    about = {
        "date": datetime.date.today().isoformat(),
        "interpreter": machine.interpreter(),
        "machine": machine.describe(),
        "versions": machine.versions(),
    }
    return results.write(name, about | figures)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out columns: the first one to the left, the others to the right."""
    lines = [heads, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join((line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:]))).rstrip()
        for line in lines
    )


def tell(progress: str) -> None:
    """Say how far it is, beside the results."""
    print(f"  {progress}", file=sys.stderr, flush=True)
