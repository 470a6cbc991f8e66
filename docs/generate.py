"""Write the tables of the reference that are made from code: `make docs`.

A table stands between ``<!-- NAME -->`` and ``<!-- /NAME -->``; a test fails if one is out of date.
"""

import dataclasses
import re
import typing
from pathlib import Path

from asgiserve.config import Config
from asgiserve.settings import about, choices, plain_type

REFERENCE = Path(__file__).with_name("asgiserve.md")


def settings_table() -> str:
    """Every setting: name, type, default, unit and meaning, under the headings of the help page."""
    hints = typing.get_type_hints(Config)
    lines: list[str] = []
    group = ""
    for field in dataclasses.fields(Config):
        said = about(field)
        if field.name == "app":
            continue
        if said.group != group:
            group = said.group
            lines += [
                "",
                f"### {group}",
                "",
                "| setting | flag | type | default | meaning |",
                "|---|---|---|---|---|",
            ]
        hint = hints[field.name]
        flags = [said.flag or "--" + field.name.replace("_", "-"), *said.aliases]
        kind = " or ".join(f"`{choice}`" for choice in choices(hint)) or plain_type(hint).__name__
        default = f"`{field.default!r}`" + (f" {said.unit}" if said.unit else "")
        shown = ", ".join(f"`{flag}`" for flag in flags)
        lines.append(
            f"| `{field.name}` | {shown} | {kind} | {default} | {said.help.replace('|', chr(92) + '|')} |"
        )
    return "\n".join(lines).strip()


def render(text: str) -> str:
    """The reference with its tables made anew."""
    table = settings_table()
    return re.sub(
        r"(<!-- settings -->\n).*?(<!-- /settings -->)",
        lambda m: f"{m[1]}\n{table}\n\n{m[2]}",
        text,
        flags=re.S,
    )


if __name__ == "__main__":
    REFERENCE.write_text(render(REFERENCE.read_text()))
