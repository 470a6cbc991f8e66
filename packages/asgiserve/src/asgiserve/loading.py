"""From ``module:attribute`` to the application, with errors that a newcomer understands."""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from .errors import LoadError
from .types import ASGIApplication, Receive, Scope, Send


def load_application(
    app: str | ASGIApplication, *, factory: bool = False, app_dir: str = ""
) -> ASGIApplication:
    """The application that `app` names, or `app` itself if it is one already.

    Attributes may be dotted, ``module:site.app``. Raises LoadError, saying what was looked for and where.
    """
    where = "the application"
    found: Any = app
    if isinstance(app, str):
        where = repr(app)
        found = _resolve(app, str(Path(app_dir).resolve()))
    if factory:
        if not callable(found):
            raise LoadError(f"{where} is {_kind(found)}, which cannot be called; --factory needs a function")
        try:
            found = found()
        except (Exception, SystemExit) as error:
            raise LoadError(f"the factory {where} failed:\n{_traceback(error)}") from error
    if not callable(found):
        raise LoadError(f"{where} is {_kind(found)}, not an ASGI application: it cannot be called")
    if not factory and inspect.isfunction(found) and _takes(found, 0) and not _takes(found, 3):
        raise LoadError(f"{where} takes no arguments, so it seems to make the application; add --factory")
    if _takes(found, 1) and not _takes(found, 3):
        return _from_asgi2(found)
    application: ASGIApplication = found
    return application


def _from_asgi2(app: Any) -> ASGIApplication:
    """Wrap an application of ASGI 2, which is called twice: with the scope, then with receive and send."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope)(receive, send)

    return application


def _resolve(name: str, directory: str) -> Any:
    """Import the module and walk to the attribute."""
    module_name, _, attributes = name.partition(":")
    if not module_name or not attributes or not attributes.replace(".", "_").isidentifier():
        raise LoadError(
            f"write the application as 'module:attribute', such as 'main:app', instead of {name!r}"
        )
    if directory not in sys.path:
        sys.path.insert(0, directory)
    found: Any = _import(module_name, directory)
    place = f"module {module_name!r} ({getattr(found, '__file__', None) or 'a namespace package'})"
    for attribute in attributes.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            names = ", ".join(sorted(key for key in dir(found) if not key.startswith("_")))
            raise LoadError(f"{place} has no attribute {attribute!r}; it has: {names or 'nothing'}") from None
        place = f"{place}, attribute {attribute!r}"
    return found


def _import(name: str, directory: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise LoadError(
                f"there is no module {error.name!r}; looked in {directory} and the rest of sys.path"
                + _hint(name, directory)
            ) from None
        raise LoadError(f"module {name!r} failed to import:\n{_traceback(error)}") from error
    except (Exception, SystemExit) as error:
        raise LoadError(f"module {name!r} failed to import:\n{_traceback(error)}") from error


def _hint(name: str, directory: str) -> str:
    """What was probably meant, if it is there."""
    if name.endswith(".py") or "/" in name:
        return f"; write {name.removesuffix('.py').replace('/', '.')!r}, the name without path and suffix"
    for folder in ("src", "app"):
        if (Path(directory) / folder / name.split(".")[0]).with_suffix(".py").exists():
            return f"; it lies in {folder!r}: add --app-dir {folder}"
    return ""


def _traceback(error: BaseException) -> str:
    """The traceback from the user's first line on: our own frames and the importer's say nothing."""
    frames: TracebackType | None = error.__traceback__
    while frames is not None and _is_internal(frames):
        frames = frames.tb_next
    return "".join(traceback.format_exception(error.with_traceback(frames))).rstrip()


def _is_internal(frame: TracebackType) -> bool:
    file = frame.tb_frame.f_code.co_filename
    return file == __file__ or file.startswith("<frozen importlib") or file == importlib.__file__


def _kind(value: Any) -> str:
    return (
        f"the module {value.__name__!r}" if inspect.ismodule(value) else f"of type {type(value).__name__!r}"
    )


def _takes(found: Any, count: int) -> bool:
    """Whether a callable can be called with `count` positional arguments; yes if it does not tell."""
    try:
        inspect.signature(found).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:
        return True
    return True
