"""The type variables of the package, in one place because two versions of each are needed.

They have defaults, so that ``Request`` alone means ``Request[Any]``. Type checkers know these (PEP 696)
whatever the Python; Python itself knows them from 3.13 on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import ParamSpec, TypeVar

    State = TypeVar("State", default=Any)
    Parameters = ParamSpec("Parameters", default=...)
    Error = TypeVar("Error", bound=Exception, default=Exception)
else:
    from typing import ParamSpec, TypeVar

    State = TypeVar("State")
    Parameters = ParamSpec("Parameters")
    Error = TypeVar("Error", bound=Exception)
