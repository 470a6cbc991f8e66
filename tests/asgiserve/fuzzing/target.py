"""What atheris (libFuzzer) calls with input after input, measuring which code of the server each one reaches.

Started by `coverage`, in a process of its own: a fault ends it, and leaves the input behind.
"""

from __future__ import annotations

import importlib
import random
import shlex
import sys
from collections.abc import Callable
from typing import Any, Final

from tests.asgiserve.fuzzing.tokens import TOKENS

#: Whose branches count as new ground: the server's, and those of the parser that is written in Python.
INSTRUMENTED: Final = ["asgiserve", "h11"]


def mutate(source: bytes, size: int, seed: int, otherwise: Callable[[bytes, int], bytes]) -> bytes:
    """Change a case as a grammar would have it, every other time: repeat, drop or insert a line, or a token.

    What libFuzzer does to bytes seldom leaves a request that comes further than its first line.
    """
    choice = random.Random(seed)
    control, data = source[:3], source[3:]
    lines = data.splitlines(keepends=True)
    if not lines or choice.random() < 0.5:
        return otherwise(source, size)
    begin = choice.randrange(len(lines))
    end = min(begin + choice.randint(1, 4), len(lines))
    match choice.randrange(4):
        case 0:
            lines[end:end] = lines[begin:end]
        case 1:
            lines[begin:end] = []
        case 2:
            lines.insert(begin, choice.choice(TOKENS))
        case _:
            place = choice.randrange(len(lines[begin]) + 1)
            lines[begin] = lines[begin][:place] + choice.choice(TOKENS) + lines[begin][place:]
    return (control + b"".join(lines))[:size]


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
        atheris.Setup(
            [command, *sys.argv[1:]],
            test,
            custom_mutator=lambda data, size, seed: mutate(data, size, seed, atheris.Mutate),
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
