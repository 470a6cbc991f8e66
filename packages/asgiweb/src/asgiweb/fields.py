"""Names and texts, as queries and forms have them, made into a model: by msgspec, which converts the texts.

Three things are not said by msgspec but here. A name that comes several times is for a field that takes
several values, and a mistake for another. An empty text is a value for fields of text alone: in any other it
means that nothing was filled in. And a checkbox says "on".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec
from multidict import MultiMapping

from .models import IN_A_VALUE, explain, misfit, refuse_unknown

Hook: TypeAlias = Callable[[Any, Any], Any]

_NOTHING = object()

# float() and Decimal() know these words, which are no numbers in JSON, and which limits such as "ge" do not
# hold. Decimal() takes them with spaces around and underscores in between, too.
_NO_NUMBER = r"[+-]?(?:inf(?:inity)?|s?nan\d*)"


class Misfit(ValueError):
    """A value does not fit: ``steps`` are the name of its field, and what leads to it from there."""

    def __init__(self, detail: str, steps: list[str]) -> None:
        super().__init__(detail)
        self.detail = detail
        self.steps = steps


@dataclass(slots=True, frozen=True)
class Field:
    """What a field of a model takes; ``many`` values, or one."""

    many: bool = False
    text: bool = True
    null: bool = False
    boolean: bool = False
    number: bool = False

    def value(self, name: str, given: list[Any]) -> Any:
        """Return what msgspec is to convert, or _NOTHING."""
        if not self.text:
            given = [self._plain(name, value) for value in given if value != ""]
        if self.many:
            return given
        if len(given) > 1:
            raise Misfit(f"Expected one value, got {len(given)}", [name])
        if given:
            return given[0]
        return None if self.null else _NOTHING

    def _plain(self, name: str, value: Any) -> Any:
        if self.boolean and value in ("on", "off"):
            return "true" if value == "on" else "false"
        if self.number and isinstance(value, str) and _is_no_number(value):
            raise Misfit("Expected a finite number", [name])
        return value


def _is_no_number(text: str) -> bool:
    return re.fullmatch(_NO_NUMBER, text.strip().replace("_", ""), re.IGNORECASE) is not None


def convert_fields(pairs: Iterable[tuple[str, Any]], model: Any, hook: Hook = refuse_unknown) -> Any:
    """Make a ``model`` of names and values, texts or files. Misfit if they do not fit.

    ``hook`` is called for values of types that msgspec does not know.
    """
    try:
        fields, others = _fields(model)
    except TypeError:
        # It cannot be a key of the cache, or it is no model and says so again.
        fields, others = _inspect(model)
    given: dict[str, list[Any]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    data = {}
    for name, values in given.items():
        field = fields.get(name, others)
        value = values[0] if field is None else field.value(name, values)
        if value is not _NOTHING:
            data[name] = value
    try:
        return msgspec.convert(data, model, strict=False, dec_hook=hook)
    except msgspec.ValidationError as error:
        raise _misfit(error, data, model) from None


def _misfit(error: msgspec.ValidationError, data: Mapping[str, Any], model: Any) -> Misfit:
    detail, steps = explain(error)
    if not steps and detail.endswith(IN_A_VALUE):
        # Of a dict msgspec does not say which key it is.
        for name, value in data.items():
            try:
                msgspec.convert({name: value}, model, strict=False)
            except msgspec.ValidationError:
                return Misfit(detail.removesuffix(IN_A_VALUE), [name])
    return Misfit(detail, steps)


def query_into(query: MultiMapping[str], model: Any) -> Any:
    """Make a ``model`` of a query. HTTPUnprocessableContent that says which parameter does not fit."""
    try:
        return convert_fields(query.items(), model)
    except Misfit as error:
        # What a model finds wrong as a whole has no name.
        place = {"parameter": error.steps[0]} if error.steps else {}
        raise misfit("query", error.detail, **place) from None


def _inspect(model: Any) -> tuple[Mapping[str, Field], Field | None]:
    """Return the fields of a model by name, and what all others are, None if they are none of it."""
    from msgspec import inspect

    fields: dict[str, Field] = {}
    others = None
    for kind in _alternatives(inspect.type_info(model)):
        if isinstance(kind, inspect.DictType):
            others = _field(kind.value_type)
        elif isinstance(kind, (inspect.StructType, inspect.DataclassType, inspect.TypedDictType)):
            if getattr(kind, "array_like", False):
                raise TypeError(f"{model!r} is array_like: a query or form has names")
            fields.update({field.encode_name: _field(field.type) for field in kind.fields})
        else:
            raise TypeError(
                f"a query or form becomes a Struct, a dataclass, a TypedDict or a dict, not {model!r}"
            )
    return fields, others


# To inspect a model costs a hundred times what converting to it does.
_fields = lru_cache(maxsize=256)(_inspect)


def _field(kind: Any) -> Field:
    from msgspec import inspect

    kinds = list(_alternatives(kind))
    null = any(isinstance(each, inspect.NoneType) for each in kinds)
    many = False
    for each in list(kinds):
        if isinstance(each, (inspect.CollectionType, inspect.TupleType)):
            many = True
            items = each.item_types if isinstance(each, inspect.TupleType) else (each.item_type,)
            kinds += [alternative for item in items for alternative in _alternatives(item)]
    return Field(
        many=many,
        text=any(_takes_empty_text(each) for each in kinds),
        null=null,
        boolean=any(isinstance(each, inspect.BoolType) for each in kinds),
        number=any(isinstance(each, (inspect.FloatType, inspect.DecimalType)) for each in kinds),
    )


def _alternatives(kind: Any) -> Iterator[Any]:
    from msgspec import inspect

    if isinstance(kind, inspect.UnionType):
        for each in kind.types:
            yield from _alternatives(each)
    elif isinstance(kind, inspect.Metadata):
        yield from _alternatives(kind.type)
    else:
        yield kind


def _takes_empty_text(kind: Any) -> bool:
    from msgspec import inspect

    if isinstance(kind, inspect.EnumType):
        return any(member.value == "" for member in kind.cls)
    if isinstance(kind, inspect.LiteralType):
        return "" in kind.values
    return isinstance(kind, (inspect.StrType, inspect.AnyType, inspect.RawType))
