"""The command line: every field of Config as a flag and as an ``ASGISERVE_*`` variable."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable
from typing import Any, Final

import click

from ._version import __version__
from .config import Config
from .errors import AsgiserveError
from .launch import run_config
from .process import exit_soon, report
from .settings import About, about, choices, plain_type, words


class Lines(click.types.StringParamType):
    """A text that may be given several times; in a variable, one a line."""

    envvar_list_splitter = "\n"


def _number_or(allowed: tuple[str, ...]) -> Callable[[str], int | str]:
    """The type of a whole number, or one of a few words."""

    def convert(value: int | str) -> int | str:
        if value in allowed:
            return value
        try:
            return int(value)
        except ValueError:
            raise click.BadParameter(f"{value!r} is neither a whole number nor {allowed[0]!r}") from None

    return convert


_PARAMETER_TYPES: Final[dict[type, Any]] = {int: int, float: float, str: str, tuple: Lines()}


class GroupedCommand(click.Command):
    """A command whose help page lists the options under the headings of the settings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, group by group."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                groups.setdefault(_GROUPS.get(parameter.name or "", "Other"), []).append(record)
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl(records)


_GROUPS: Final = {field.name: about(field).group for field in dataclasses.fields(Config)}


def _option(field: dataclasses.Field[Any], hint: Any) -> click.Option:
    """The flag of one setting."""
    about_it: About = about(field)
    flag = about_it.flag or "--" + field.name.replace("_", "-")
    kind = plain_type(hint)
    text = f"{about_it.help} [{about_it.unit}]" if about_it.unit else about_it.help
    names = [field.name, flag, *about_it.aliases]
    variables = dict.fromkeys("ASGISERVE_" + name.strip("-").replace("-", "_").upper() for name in names[:2])
    shared: dict[str, Any] = {"default": field.default, "help": text, "envvar": list(variables)}
    if kind is bool:
        names[1] = f"{flag}/--no-{flag.removeprefix('--')}"
        return click.Option(names, **shared, show_default=True)
    shared["show_default"] = field.default not in (None, "", ())
    if choices(hint):
        return click.Option(names, **shared, type=click.Choice(choices(hint)))
    if words(hint):
        metavar = "|".join(("INTEGER", *words(hint)))
        return click.Option(names, **shared, type=_number_or(words(hint)), metavar=metavar)
    return click.Option(names, **shared, type=_PARAMETER_TYPES[kind], multiple=kind is tuple)


def _parameters() -> list[click.Parameter]:
    hints = typing.get_type_hints(Config)
    argument = click.Argument(["app"], metavar="MODULE:ATTRIBUTE", envvar="ASGISERVE_APP")
    return [
        argument,
        *(_option(field, hints[field.name]) for field in dataclasses.fields(Config) if field.name != "app"),
    ]


def _serve(**settings: Any) -> None:
    try:
        code = run_config(Config(**settings))
    except AsgiserveError as error:
        code = report(error)
    exit_soon(code)
    click.get_current_context().exit(code)


main: Final = GroupedCommand(
    "asgiserve",
    callback=_serve,
    params=_parameters(),
    help=(
        "Serve the ASGI application MODULE:ATTRIBUTE, such as main:app.\n\n"
        "Each option is a variable too: --keep-alive-timeout is ASGISERVE_KEEP_ALIVE_TIMEOUT.\n\n"
        "Exit codes: 0 stopped by a signal, 1 cannot listen or crashed, 2 wrong settings or application, "
        "3 the application failed to start."
    ),
    context_settings={
        "auto_envvar_prefix": "ASGISERVE",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
)
click.version_option(__version__, prog_name="asgiserve", message="%(prog)s %(version)s")(main)
