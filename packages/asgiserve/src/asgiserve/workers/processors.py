"""How many processors this process may use: those it is bound to, and what a container's quota leaves."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Final

#: The quota of a control group (Linux, cgroup v2): microseconds of processor time, and of the period.
_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


def available_processors() -> int:
    """At least one; a part of a processor counts as a whole one."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text().split()
        count = min(count, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        pass  # no control groups, or "max"
    return max(count, 1)
