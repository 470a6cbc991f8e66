"""What atheris (libFuzzer) calls with input after input, measuring which code of the server each one reaches.

Started by `coverage`, in a process of its own: a fault ends it, and leaves the input behind.
"""

from __future__ import annotations

import importlib
import shlex
import sys
from typing import Any, Final

#: Whose branches count as new ground: the server's, and those of the parser that is written in Python.
INSTRUMENTED: Final = ["asgiserve", "h11"]


def main() -> None:
    """Run libFuzzer with the arguments of the command line."""
    atheris: Any = importlib.import_module("atheris")  # here: it is not there for every Python
    with atheris.instrument_imports(include=INSTRUMENTED):
        properties = importlib.import_module("tests.asgiserve.fuzzing.properties")
    from tests.asgiserve.fuzzing.case import Case
    from tests.asgiserve.fuzzing.in_process import Harness
    from tests.asgiserve.fuzzing.known import is_known

    with Harness("httptools") as httptools, Harness("h11") as h11:

        def test(source: bytes) -> None:
            case = Case.from_bytes(source)
            if not is_known(case):
                properties.check(case, httptools, h11)

        # libFuzzer starts itself again to merge a corpus, through a shell.
        command = f"{shlex.quote(sys.executable)} -m tests.asgiserve.fuzzing.target"
        atheris.Setup([command, *sys.argv[1:]], test)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
