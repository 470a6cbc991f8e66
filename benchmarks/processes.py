"""What the kernel says about a process and its descendants: CPU time, and memory.

A server may be several processes (a supervisor and its worker) and several threads; all of them count.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """Return a process and its descendants, as far as they run."""
    found = [pid]
    for parent in found:  # which grows meanwhile
        try:
            for thread in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (thread / "children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time, of user and system, of the whole tree; the kernel counts it in hundredths of a second."""
    return sum(map(_ticks, tree(pid))) / _TICKS


def _ticks(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    # The second field is the name in parentheses, which may have blanks; utime and stime are 14th and 15th.
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def memory(pid: int, field: str = "VmRSS") -> int:
    """Bytes in a line of ``/proc/PID/status``, summed over the tree: ``VmRSS``, or ``VmHWM``, its peak.

    What processes of a tree share is counted for each of them.
    """
    return sum(_memory(each, field) for each in tree(pid))


def _memory(pid: int, field: str) -> int:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0
