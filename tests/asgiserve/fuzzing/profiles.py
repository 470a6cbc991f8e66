"""How many examples Hypothesis tries: always the same ones, or ``FUZZ`` times as many."""

from __future__ import annotations

import os
from typing import Final

from hypothesis import HealthCheck, Phase, settings

#: ``FUZZ=20 make test ARGS=tests/asgiserve/fuzzing`` tries twenty times as many, chosen at random;
#: ``FUZZ=0.25`` the first quarter of those that are always tried.
FACTOR: Final = float(os.environ.get("FUZZ", "1"))


#: Seconds for a test that finds something: it then makes the example as short as it can.
PATIENCE: Final = 600


def examples(number: int) -> settings:
    """Settings for a test with so many examples."""
    return settings(
        max_examples=max(1, round(number * FACTOR)),
        derandomize=FACTOR <= 1,
        database=None,
        deadline=None,
        phases=[phase for phase in Phase if phase is not Phase.explain],  # it traces, and takes minutes
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
