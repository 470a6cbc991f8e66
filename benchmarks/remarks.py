"""What is to be said about results: when and where they were measured, who lost, and what disturbed them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from .results import Outcome, Results
from .servers import SERVERS

#: Shares of a core beyond which a measurement is not what it should be.
NOT_IDLE: Final = 0.02
SHARED: Final = 0.1
AT_ITS_LIMIT: Final = 0.97


def environment(results: Results, distributions: Iterable[str] = SERVERS) -> str:
    """When, on what, and with which versions."""
    machine, versions = results.machine, results.versions
    servers = ", ".join(f"{name} {versions[name]}" for name in distributions if name in versions)
    rounds = max((len(o.rounds) for s in results.scenarios for o in s.outcomes.values()), default=0)
    return (
        f"Measured {results.date} on {machine['processor']}, {machine['cores']} cores, {machine['memory']}, "
        f"{machine['system']}, {machine['kernel']}; {interpreter(versions)}, "
        f"uvloop {versions.get('uvloop', 'missing')}; {servers}; {rounds} rounds of {results.seconds} s."
    )


def interpreter(versions: dict[str, str]) -> str:
    """Name the interpreter and its version."""
    name = next(iter(versions))
    return f"{name} {versions[name]}"


def losses(results: Results) -> str:
    """Name the peers that are faster, and the servers that failed."""
    faster, failed = [], []
    for scenario in results.scenarios:
        ratios = {peer: ratio.median for peer in scenario.peers() if (ratio := scenario.ratio(peer))}
        peers = [f"{peer} {ratio:.2f}" for peer, ratio in ratios.items() if ratio < 1]
        faulty = [name for name, outcome in scenario.outcomes.items() if outcome.fault]
        faster += [f"“{scenario.title}” ({', '.join(peers)})"] if peers else []
        failed += [f"“{scenario.title}” ({', '.join(faulty)})"] if faulty else []
    said = f"A peer is faster at {'; '.join(faster)}." if faster else "No peer is faster in any of these."
    return f"{said} Not measured, because it failed: {'; '.join(failed)}." if failed else said


def verdict(results: Results) -> str:
    """Say for each target whether it was reached, and what else there is to know; for the terminal."""
    lines = []
    for scenario in results.scenarios:
        for target in scenario.reached():
            met = "met" if target.met else "MISSED"
            lines.append(
                f"{met}: {scenario.title}, {target.peer}: {target.ratio:.3f}, target {target.least:g}"
            )
    return "\n".join([*lines, losses(results), *remarks(results)])


def remarks(results: Results) -> list[str]:
    """Say which measurements were disturbed, or limited by something else than the server."""
    said: dict[str, list[str]] = {}
    for scenario in results.scenarios:
        for name, outcome in scenario.outcomes.items():
            for disturbance in _disturbances(outcome):
                said.setdefault(disturbance, []).append(f"{scenario.name} of {name}")
    return [f"{disturbance}: {', '.join(where)}" for disturbance, where in said.items()]


def _disturbances(outcome: Outcome) -> list[str]:
    idle_load = max((each.idle_load for each in outcome.rounds), default=0)
    other_load = max((each.other_load for each in outcome.rounds), default=0)
    client_load = outcome.median("client_load") or 0
    found = {
        f"The other servers took more than {NOT_IDLE:.0%} of their core": idle_load > NOT_IDLE,
        f"Other programs took more than {SHARED:.0%} of a core": other_load > SHARED,
        "The client was at its limit, so the rate says little, and the CPU time more": client_load
        > AT_ITS_LIMIT,
    }
    return [disturbance for disturbance, happened in found.items() if happened]
