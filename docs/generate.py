"""Write the tables of the reference that are made from code: `make docs`.

A table stands between ``<!-- NAME -->`` and ``<!-- /NAME -->``; a test fails if one is out of date.
"""

import re
from pathlib import Path

from asgiserve.config import SETTINGS
from asgiserve.config_file import toml
from asgiserve.settings import Setting

REFERENCE = Path(__file__).with_name("asgiserve.md")


def settings_table() -> str:
    """Every setting: name, flags, type, default and meaning, under the headings of the help page."""
    lines: list[str] = []
    group = ""
    for setting in SETTINGS.values():
        if setting.about.group != group:
            group = setting.about.group
            lines += [
                "",
                f"### {group}",
                "",
                "| setting | flag | type | default | meaning |",
                "|---|---|---|---|---|",
            ]
        cells = [f"`{setting.name}`", flags(setting), kind(setting), default(setting), setting.about.help]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines).strip()


def flags(setting: Setting) -> str:
    """What the setting is called on the command line."""
    return ", ".join(f"`{flag}`" for flag in setting.flags) or f"`{setting.metavar}`"


def kind(setting: Setting) -> str:
    """Its type, in one or a few words, or the values it may have."""
    if setting.choices:
        return " or ".join(f"`{choice}`" for choice in setting.choices)
    one = "several texts" if setting.kind is tuple else setting.kind.__name__
    return " or ".join((one, *(f"`{word}`" for word in setting.words)))


def default(setting: Setting) -> str:
    """Its default as the configuration file has it, with its unit; or what an empty one means."""
    if setting.default in (None, "", ()):
        return setting.about.unset or "none"
    return f"`{toml(setting.default)}` {setting.about.unit}".rstrip()


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
