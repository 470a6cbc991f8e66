"""Look for new inputs, guided by coverage: ``python -m tests.asgiserve.fuzzing [MINUTES]``, or ``make fuzz``.

It begins with the corpus and the tables of the other tests. What reaches code, or an order of it, that
nothing else reaches, is kept in the corpus; an input that the server does not handle as `properties` has it
is printed as a line of the corpus, and makes the exit code 1.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.asgiserve.fuzzing.case import Case
from tests.asgiserve.fuzzing.seeds import seeds
from tests.asgiserve.fuzzing.tokens import TOKENS

CORPUS: Final = Path(__file__).with_name("corpus.txt")
HEADER: Final = """\
# What `make fuzz` has found interesting: what the application does, how the client ends, how it reads,
# where the first piece ends, how long the next ones are (0 0: all at once), and what is sent.
"""

#: Longer ones find nothing more: the limits that the server runs with here are lower.
MAX_LENGTH: Final = 700


def main() -> int:
    """Search, and write the corpus anew."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        found, kept, faults = (room / kind for kind in ("found", "kept", "faults"))
        for directory in (found, kept, faults):
            directory.mkdir()
        inputs = [*read_corpus(), *seeds()]
        for case in inputs:
            write(found, case)
        (room / "dictionary").write_text("".join(map(entry, TOKENS)))
        print(f"Looking for {minutes:g} minutes, from {len(inputs)} inputs ...", flush=True)
        code, log = search(
            str(found),
            f"-max_total_time={minutes * 60:.0f}",
            f"-max_len={MAX_LENGTH}",
            f"-dict={room / 'dictionary'}",
            f"-artifact_prefix={faults}/",
            "-timeout=20",
            "-print_final_stats=1",
        )
        print(*re.findall(r"stat::number_of_executed_units.*|(?<=DONE   )cov: \d+ ft: \d+", log), sep="\n")
        search("-set_cover_merge=1", f"-max_len={MAX_LENGTH}", str(kept), str(found))
        cases = sorted(map(str, read(kept)))
        CORPUS.write_text(HEADER + "".join(f"{case}\n" for case in cases))
        print(f"{len(cases)} inputs are in {CORPUS.name}.")
        for case in read(faults):
            print(f"The server does not handle this one:\n{case}\n{log[log.find('=== Uncaught') :]}")
    return min(code, 1)


def search(*arguments: str) -> tuple[int, str]:
    """Run libFuzzer; return its exit code, and what it says."""
    command = [sys.executable, "-m", "tests.asgiserve.fuzzing.target", *arguments]
    ended = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return ended.returncode, ended.stdout.decode(errors="replace")


def read_corpus() -> list[Case]:
    """The inputs that were kept so far."""
    return [Case.from_line(line) for line in CORPUS.read_text().splitlines() if not line.startswith("#")]


def write(directory: Path, case: Case) -> None:
    """Give an input the file that libFuzzer expects."""
    source = case.to_bytes()
    (directory / hashlib.sha1(source).hexdigest()).write_bytes(source)


def read(directory: Path) -> list[Case]:
    """The inputs that libFuzzer has left in a directory."""
    return [Case.from_bytes(path.read_bytes()) for path in sorted(directory.iterdir())]


def entry(token: bytes) -> str:
    """A line of libFuzzer's dictionary."""
    return '"{}"\n'.format("".join(f"\\x{byte:02x}" for byte in token))


if __name__ == "__main__":
    sys.exit(main())
