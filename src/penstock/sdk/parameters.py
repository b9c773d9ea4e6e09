"""A flow's parameters: bound to its signature, checked, recorded, described as JSON Schema.

pydantic is imported only for annotations and values that a look at the types cannot settle.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from penstock.sdk.errors import ParameterError

Function = Callable[..., Any]

#: the server accepts 512 KiB of parameters
MAX_RECORDED_BYTES = 400_000
_PLAIN = frozenset({int, float, str, bool, bytes, type(None)})
_UNCHECKED = frozenset({inspect.Parameter.empty, Any, object})
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@functools.lru_cache(maxsize=1024)
def signature_of(function: Function) -> inspect.Signature:
    """The function's signature."""
    return inspect.signature(function)


def bind(function: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters by name, defaults filled in; raises ParameterError when they do not fit."""
    try:
        bound = signature_of(function).bind(*args, **kwargs)
    except TypeError as error:
        raise ParameterError(f"{function.__name__}(): {error}") from None
    bound.apply_defaults()
    return bound.arguments


def call_arguments(
    function: Function, parameters: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments that pass bound parameters to the function."""
    bound = signature_of(function).bind_partial()
    bound.arguments = dict(parameters)
    return bound.args, bound.kwargs


def from_stored(
    function: Function, stored: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments from a run's record, for `bind`.

    A record made by a call holds what `*args` and `**kwargs` took under these names; one made
    by a client may also hold names that fit `**kwargs` beside the others.
    """
    parameters = signature_of(function).parameters.values()
    known = {one.name: stored[one.name] for one in parameters if one.name in stored}
    rest = {name: value for name, value in stored.items() if name not in known}
    for one in parameters:
        if one.kind is inspect.Parameter.VAR_KEYWORD:
            taken = known.pop(one.name, {})
            rest = {**(taken if isinstance(taken, dict) else {one.name: taken}), **rest}
        elif one.kind is inspect.Parameter.VAR_POSITIONAL:
            taken = known.get(one.name)
            if one.name in known and not isinstance(taken, list):
                known[one.name] = [taken]
    args, kwargs = call_arguments(function, known)
    return args, {**kwargs, **rest}


@functools.lru_cache(maxsize=1024)
def annotations_of(function: Function) -> dict[str, Any]:
    """The parameters' annotations, resolved; empty where a name in them cannot be resolved."""
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except NameError:  # imported for type checkers only
        return {}
    parameters = signature_of(function).parameters
    return {name: hints[name] for name in parameters if name in hints}


def validate(function: Function, parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters with values converted to their annotated types.

    Raises ParameterError naming each parameter that does not fit.
    """
    checked = annotations_of(function)
    if not any(
        _needs_check(checked[name], value) for name, value in parameters.items() if name in checked
    ):
        return parameters
    from pydantic import ValidationError

    model = parameter_model(function)
    known = {name: value for name, value in parameters.items() if name in _named(function)}
    try:
        validated = model.model_validate(known)
    except ValidationError as error:
        raise ParameterError(f"{function.__name__}(): {_problems(error)}") from None
    fields = {field.alias: name for name, field in model.model_fields.items()}
    return parameters | {name: getattr(validated, fields[name]) for name in known}


def _needs_check(annotation: Any, value: Any) -> bool:
    if annotation in _UNCHECKED:
        return False
    return not (annotation in _PLAIN and type(value) is annotation)


def _named(function: Function) -> list[str]:
    parameters = signature_of(function).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind not in _VARIADIC]


@functools.lru_cache(maxsize=256)
def parameter_model(function: Function) -> Any:
    """A pydantic model with the function's named parameters as aliases."""
    from pydantic import ConfigDict, Field, create_model

    annotations = annotations_of(function)
    fields: dict[str, Any] = {}
    for position, name in enumerate(_named(function)):
        default = signature_of(function).parameters[name].default
        fields[f"parameter_{position}"] = (
            annotations.get(name, Any),
            Field(
                default=... if default is inspect.Parameter.empty else default,
                alias=name,
                title=name,
                json_schema_extra={"position": position},
            ),
        )
    config = ConfigDict(arbitrary_types_allowed=True)
    return create_model("Parameters", __config__=config, **fields)


def parameter_schema(function: Function) -> dict[str, Any]:
    """The parameters as JSON Schema; types JSON cannot describe are left open."""
    from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

    class OpenSchema(GenerateJsonSchema):
        ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}

        def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
            return {}

    model = parameter_model(function)
    schema: dict[str, Any] = model.model_json_schema(
        by_alias=True, ref_template="#/definitions/{model}", schema_generator=OpenSchema
    )
    schema.setdefault("properties", {})
    if len(_named(function)) == len(signature_of(function).parameters):
        schema["additionalProperties"] = False  # the server refuses a misspelt name
    if "$defs" in schema:
        schema["definitions"] = schema.pop("$defs")
    return schema


def recordable(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as JSON for the run's record: what JSON cannot hold becomes its `repr`."""
    recorded = {name: _recordable_value(value) for name, value in parameters.items()}
    while len(encoded := orjson.dumps(recorded)) > MAX_RECORDED_BYTES:
        sizes = {name: len(orjson.dumps(value)) for name, value in recorded.items()}
        largest = max(sizes, key=lambda name: sizes[name])
        if sizes[largest] < 200:  # nothing left to shorten
            return {}
        recorded[largest] = f"<{type(parameters[largest]).__name__}: {sizes[largest]} bytes>"
    result: dict[str, Any] = orjson.loads(encoded)
    return result


def _recordable_value(value: Any) -> Any:
    try:
        return orjson.loads(
            orjson.dumps(value, default=_recordable_object, option=orjson.OPT_NON_STR_KEYS)
        )
    except (TypeError, RecursionError):  # not UTF-8, cyclic, too deep
        return _short_repr(value)


def _recordable_object(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    if dump is not None and not isinstance(value, type):
        return dump(mode="json")
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return _short_repr(value)


def _short_repr(value: Any) -> str:
    text = repr(value).encode(errors="replace").decode()
    return text if len(text) <= 500 else text[:500] + "..."


def _problems(error: Any) -> str:
    return "; ".join(
        ".".join(str(part) for part in problem["loc"]) + f": {problem['msg']}"
        for problem in error.errors(include_url=False)
    )
