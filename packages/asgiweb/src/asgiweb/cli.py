"""The command line: ``asgiweb routes module:app`` shows what an application answers."""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from ._version import __version__
from .application import Application
from .errors import AsgiwebError
from .listing import table_of
from .signatures import arguments_of


class LoadError(AsgiwebError):
    """What was named on the command line is no application; the message says what to write instead."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says, and return the exit status."""
    parser = argparse.ArgumentParser(prog="asgiweb", description="Looks at applications of asgiweb.")
    parser.add_argument("--version", action="version", version=f"asgiweb {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    routes = commands.add_parser(
        "routes", help="show the routes of an application", description="Shows the routes of an application."
    )
    routes.add_argument("app", metavar="module:app", help="where it is, such as examples.hello:app")
    routes.add_argument(
        "--factory", action="store_true", help="it is a function that returns the application"
    )
    asked = parser.parse_args(arguments)
    try:
        table = table_of(load(asked.app, factory=asked.factory))
    except LoadError as error:
        print(f"asgiweb: {error}", file=sys.stderr)
        return 1
    return _show(table)


def _show(table: str) -> int:
    encoding = sys.stdout.encoding or "utf-8"
    try:
        # Not every terminal has all the characters of a path.
        print(table.encode(encoding, "backslashreplace").decode(encoding), end="", flush=True)
    except BrokenPipeError:
        # Who reads it has seen enough; and the interpreter must not try to write the rest at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def load(target: str, *, factory: bool = False) -> Application[Any]:
    """Import an application, or the function that makes it, from below the current directory. LoadError."""
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        # The name of a file is what comes to mind first.
        example = module_name.removesuffix(".py").replace("/", ".").replace(os.sep, ".") or "main"
        raise LoadError(
            f"{target!r} is not module:app; write '{example}:app' if the application is called app"
        )
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    value: Any = _imported(module_name, target)
    for name in attribute.split("."):
        if not hasattr(value, name):
            there = ", ".join(_applications(value)) or "none"
            raise LoadError(f"{module_name!r} has no {name!r}; applications that are there: {there}")
        value = getattr(value, name)
    if factory:
        return _made(value, target)
    if (inspect.isfunction(value) or inspect.ismethod(value)) and not arguments_of(value):
        raise LoadError(f"{target!r} takes no arguments, so it seems to make the application: add --factory")
    if not isinstance(value, Application):
        raise LoadError(
            f"{target!r} is of type {type(value).__qualname__}, and not an asgiweb.Application; name the one "
            f"that has the routes, and not what is around it"
        )
    return value


def _made(function: Any, target: str) -> Application[Any]:
    if not callable(function) or isinstance(function, Application):
        kind = type(function).__qualname__
        raise LoadError(f"{target!r} is of type {kind}, and not a function, which --factory needs")
    try:
        made = function()
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        raise LoadError(f"{target!r} failed, see above: {type(error).__name__}") from error
    if not isinstance(made, Application):
        kind = type(made).__qualname__
        raise LoadError(f"{target!r} has returned {kind}, and not an asgiweb.Application")
    return made


def _imported(module_name: str, target: str) -> object:
    if module_name.endswith(".py") or "/" in module_name:
        dotted = module_name.removesuffix(".py").strip("./").replace("/", ".")
        raise LoadError(f"{target!r}: a module is named with dots and without .py: {dotted!r}")
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name
        if missing is None:  # it was raised by hand, as here for extras, and says itself what to install
            raise LoadError(f"{module_name!r} cannot be imported: {error}") from error
        if module_name == missing or module_name.startswith(f"{missing}."):
            raise LoadError(
                f"there is no module {missing!r} in {os.getcwd()}, and none is installed"
            ) from None
        raise LoadError(f"{module_name!r} imports {missing!r}, which is not installed") from error
    except AsgiwebError as error:
        raise LoadError(f"{module_name!r} cannot be imported: {error}") from error
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        raise LoadError(f"{module_name!r} cannot be imported, see above: {type(error).__name__}") from error


def _applications(module: object) -> list[str]:
    names = getattr(module, "__dict__", {})
    return sorted(name for name, value in names.items() if isinstance(value, Application))
