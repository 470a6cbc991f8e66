"""Run the fuzzing client of the Autobahn Testsuite against asgiserve: ``make autobahn``.

``python -m tests.autobahn WSTEST [CASES ...]``, where CASES are patterns such as ``6.4.*``. Without them
it runs groups 1 to 7, 9, 10, 12 and 13: some 15 minutes, nearly all of it the suite's own. A case that is
neither OK nor informational (about what RFC 6455 leaves open) is printed, and makes the exit code 1.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.asgiserve.program import Program

#: Framing, pings, reserved bits, opcodes, fragments, UTF-8, closing, limits, and compression.
GROUPS: Final = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*", "12.*", "13.*")

GOOD: Final = frozenset(("OK", "INFORMATIONAL"))

#: What the suite calls the server in its reports.
AGENT: Final = "asgiserve"


def main() -> int:
    """Run the cases, and sum up what the suite has reported."""
    wstest, *cases = sys.argv[1:]
    with (
        tempfile.TemporaryDirectory() as name,
        Program("tests.asgiserve.websocket:echo", "--no-access-log") as server,
    ):
        address = server.url.replace("http:", "ws:")
        return report(run(wstest, address, cases or GROUPS, Path(name)))


def run(wstest: str, address: str, cases: Sequence[str], room: Path) -> dict[str, Any]:
    """Run the cases; return the suite's report on each."""
    specification = {
        "outdir": str(room),
        "servers": [{"agent": AGENT, "url": address}],
        "cases": list(cases),
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    (room / "specification.json").write_text(json.dumps(specification))
    command = [wstest, "-m", "fuzzingclient", "-s", str(room / "specification.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        promised = 0
        for line in process.stdout:
            if match := re.match(r"Ok, will run (\d+) test cases", line):
                promised = int(match[1])
    results: dict[str, Any] = json.loads((room / "index.json").read_text())[AGENT]
    if len(results) != promised:
        raise RuntimeError(f"{promised} cases were to be run, and {len(results)} were")
    return results


def report(results: dict[str, Any]) -> int:
    """Print how many cases went how, and those that did not go well; return 1 if there are any."""
    bad = []
    for case, result in results.items():
        if {result["behavior"], result["behaviorClose"]} - GOOD:
            bad.append(f"{case}: {result['behavior']}, and closed: {result['behaviorClose']}")
    counts = Counter(result["behavior"] for result in results.values())
    print(f"{len(results)} cases:", ", ".join(f"{count} {name}" for name, count in counts.items()))
    print("\n".join(sorted(bad)))
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
