"""The command ``asgiserve``: its flags, its help page, and what it does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import click

from . import config_file, sources
from ._version import __version__
from .config import SETTINGS
from .errors import AsgiserveError
from .launch import run_config
from .process import exit_soon, report
from .settings import Setting

#: The widest flag that has its meaning beside it on the help page; that of a wider one stands below.
_FLAG_WIDTH: Final = 28

_HELP: Final = """\
Serve an ASGI application. `main:app` is the attribute `app` of the module `main`:

\b
  asgiserve main:app                              on http://127.0.0.1:8000
  asgiserve main:app --reload                     while you develop
  asgiserve main:app --host 0.0.0.0 --workers 4   for all, in 4 processes

Each setting is a flag (--port 80), a variable (ASGISERVE_PORT=80), and a key in asgiserve.toml or in
[tool.asgiserve] of pyproject.toml (port = 80). A flag wins over a variable, and that over the file. Defaults
are in brackets. What is turned on by --reload is turned off by --no-reload, and so on.
"""

_EXIT_CODES: Final = [
    ("0", "A signal stopped it."),
    ("1", "It cannot listen, or it crashed."),
    ("2", "A setting is wrong, or the application cannot be found or loaded."),
    ("3", "The application failed to start."),
]


class Flag(click.Option):
    """The flag of a setting; it has no default, so that it is known who gave what."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        if setting.kind is bool:
            super().__init__([setting.name, f"{setting.flags[0]}/{setting.opposite}"], default=None)
        else:
            names = [setting.name, *setting.flags]
            super().__init__(names, type=str, default=None, multiple=setting.kind is tuple)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """The row of the help page: the flag and its other names; its meaning and its default."""
        flags = ", ".join(self.setting.flags)
        if self.setting.default is True:
            flags = flags.replace("--", "--[no-]", 1)
        default = default_in_words(self.setting)
        meaning = f"{self.setting.about.help} [{default}]" if default else self.setting.about.help
        return f"{flags} {self.setting.metavar}".rstrip(), meaning


def default_in_words(setting: Setting) -> str:
    """The default of a setting as the help page has it; empty if it needs no words."""
    default = setting.default
    if isinstance(default, bool):
        return "on" if default else ""
    if isinstance(default, tuple):
        default = " ".join(default)
    if isinstance(default, float):
        return f"{default:g}"
    return config_file.toml(default) if isinstance(default, int) else default or setting.about.unset


class Command(click.Command):
    """A command whose help page lists the flags under the headings of the settings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the flags, group by group, and what the exit codes mean."""
        groups: dict[str, list[tuple[str, str]]] = {"Configuration": []}
        for parameter in self.get_params(ctx):
            group = parameter.setting.about.group if isinstance(parameter, Flag) else "Configuration"
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                groups.setdefault(group, []).append(record)
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl(records, col_max=_FLAG_WIDTH)
        with formatter.section("Exit codes"):
            formatter.write_dl(_EXIT_CODES)


def _parameters() -> list[click.Parameter]:
    return [
        click.Argument(["app"], metavar=f"[{SETTINGS['app'].metavar}]", required=False, default=None),
        click.Option(
            ["config_path", "-c", "--config"],
            metavar="FILE",
            default="",
            help=f"Read settings from this file, not from {config_file.OWN} or {config_file.PROJECT}.",
        ),
        click.Option(
            ["--check-config"],
            is_flag=True,
            help="Print all settings, and where each comes from, instead of serving.",
        ),
        *(Flag(setting) for setting in SETTINGS.values() if setting.flags),
    ]


def _serve(config_path: str, check_config: bool, **flags: Any) -> None:
    try:
        code = _run(config_path or os.environ.get(sources.CONFIG_VARIABLE, ""), check_config, flags)
    except AsgiserveError as error:
        code = report(error)
    exit_soon(code)
    click.get_current_context().exit(code)


def _run(config_path: str, check_config: bool, flags: dict[str, Any]) -> int:
    for warning in sources.unknown_variables(os.environ):
        click.echo(f"asgiserve: warning: {warning}", err=True)
    path, table = config_file.read(config_path)
    given = sources.merged(
        sources.from_file(path, table), sources.from_variables(os.environ), sources.from_flags(flags)
    )
    config = sources.config_from(given)
    if not check_config:
        return run_config(config)
    click.echo(
        f"# asgiserve {__version__}; configuration file: {Path(path).absolute() if path else 'none'}\n"
    )
    click.echo(config_file.write(config, {name: one.origin for name, one in given.items()}))
    return 0


main: Final = Command(
    "asgiserve",
    callback=_serve,
    params=_parameters(),
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
click.version_option(__version__, prog_name="asgiserve", message="%(prog)s %(version)s")(main)
