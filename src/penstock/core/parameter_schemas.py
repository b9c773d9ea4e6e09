"""JSON Schemas that users wrote: of a deployment's parameters and of a pool's job variables.

Compiling is apart from validating, so that callers keep what is compiled.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from jsonschema_rs import Draft202012Validator, FancyRegexOptions, ReferencingError
from jsonschema_rs import ValidationError as SchemaError

from penstock.core import documents
from penstock.core.errors import Conflict, InvalidInput
from penstock.core.schema_costs import SchemaCost, extent, parts, resolved

#: a pattern that needs more steps than this on one text refuses the text
BACKTRACK_LIMIT = 100_000
#: bytes a compiled pattern may take
PATTERN_SIZE = 1_000_000
_TEMPLATE = ("body", "base_job_template")
MAX_PROBLEMS = 20
#: parts of a schema times parts of a document, up to which all problems are collected
MAX_COLLECTED = 50_000
#: steps of validating (see `schema_costs`) up to which it is not slow: some 50 ms, 100 with errors
MAX_STEPS = 500_000
#: parts of a schema up to which compiling it is not slow: some 100 ms
MAX_COMPILED = 20_000
#: a pattern takes up to a millisecond to compile
_PER_PATTERN = 100
MAX_DEPTH = 100

_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "additionalItems", "not", "if", "then", "else")
_MORE_SINGLE = ("contains", "propertyNames", "unevaluatedItems", "unevaluatedProperties")
#: keywords that would refuse null whatever `type` says
_BINDING = frozenset({"const", "$ref", "allOf", "anyOf", "oneOf", "not", "if"})
_PLACEHOLDER = re.compile(r"{{\s*([\w.\-\[\]$]+)\s*}}")
_PATTERNS = FancyRegexOptions(backtrack_limit=BACKTRACK_LIMIT, size_limit=PATTERN_SIZE)
_UUID = "^[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}$"
#: a block given by reference instead of by value
_BLOCK_REFERENCE = {
    "type": "object",
    "required": ["$ref"],
    "properties": {
        "$ref": {
            "anyOf": [
                {"type": "string", "pattern": _UUID},
                {"type": "object", "additionalProperties": {"type": "string"}},
            ]
        }
    },
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a value is not acceptable, and where it stands."""

    #: keys and indices from the outermost in; empty for the whole
    path: tuple[str | int, ...]
    message: str

    def __str__(self) -> str:
        place = ".".join(map(str, self.path))
        return f"{place}: {self.message}" if place else self.message


class CompiledSchema:
    """A schema ready to validate many values.

    InvalidInput when it is no JSON Schema, refers to itself or to another document. One that is
    slow to compile is compiled, and refused, only when values are validated.
    """

    def __init__(
        self,
        schema: Mapping[str, Any],
        *,
        null_for_defaults: bool = False,
        loc: tuple[str, ...] = ("body", "parameter_openapi_schema"),
    ) -> None:
        self.null_for_defaults = null_for_defaults
        self.loc = loc
        #: the schema as JSON text
        self.text = documents.dump(schema)
        with _refusing(loc):
            _References(schema).visit(schema, (), 0)
            relaxed = _Relaxation(null_for_defaults).applied(schema)
            cost = SchemaCost(relaxed)
            self._size = parts(relaxed)
            #: whether compiling it would take long
            self.slow_to_compile = self._size + _PER_PATTERN * cost.patterns > MAX_COMPILED
            # the extent of documents that are not slow to validate
            self._most = MAX_STEPS // cost.weight
        self._relaxed: Any = relaxed
        if not self.slow_to_compile:
            self._compile()

    def _compile(self) -> None:
        with _refusing(self.loc):
            self._whole = _compiled(self._relaxed)
            self._partial = _compiled(_without_required(self._relaxed))
        self._relaxed = None

    def is_slow_for(self, values: Any) -> bool:
        """Whether `problems` may hold up everything else for more than some 100 ms."""
        return self.slow_to_compile or extent(values, self._most) > self._most

    def problems(self, values: Any, *, required: bool = True) -> list[Problem]:
        """What is wrong with the values, at most 20 problems. Empty: nothing.

        With `required` false a missing value is no problem. Of much wrong data only the first
        problem is told: collecting them all could take minutes.
        """
        if self._relaxed is not None:
            self._compile()
        validator = self._whole if required else self._partial
        if validator.is_valid(values):
            return []
        few = self._size * parts(values) <= MAX_COLLECTED
        if few and extent(values, self._most) <= self._most:
            return [
                _problem(error) for error in islice(validator.iter_errors(values), MAX_PROBLEMS)
            ]
        try:
            validator.validate(values)
        except SchemaError as e:
            return [_problem(e)]
        return []


def compile_parameter_schema(schema: Any) -> CompiledSchema:
    """The validator of a deployment's parameters. Conflict when its schema is not an object."""
    if not isinstance(schema, Mapping):
        raise Conflict("The deployment's parameter_openapi_schema must be an object")
    return CompiledSchema(schema)


class Validate(Protocol):
    """Where values are validated: `CompiledSchema.problems`, here or in a process apart."""

    def __call__(
        self, schema: CompiledSchema, /, values: Any, *, required: bool = True
    ) -> list[Problem]:
        """What is wrong with the values."""


class JobTemplate:
    """A work pool's base job template, checked, ready to validate job variables.

    InvalidInput names what is wrong with the template.
    """

    def __init__(
        self, template: Mapping[str, Any], validate: Validate = CompiledSchema.problems
    ) -> None:
        variables = _checked_variables(template)
        loc = (*_TEMPLATE, "variables")
        self._schema = CompiledSchema(variables, null_for_defaults=True, loc=loc)
        properties = _objects(variables.get("properties"))
        given = {k: p["default"] for k, p in properties.items() if "default" in p}
        blocks = {k: id for k, v in given.items() if (id := _block_id(v)) is not None}
        #: by variable: the id (any text) of the block document whose data is its default
        self.block_defaults: dict[str, str] = blocks
        given = {k: v for k, v in given.items() if k not in blocks}
        self._validate = validate
        problems = validate(self._schema, given, required=False)
        #: what is wrong with the defaults of the template itself
        self.default_problems = problems
        wrong = {p.path[0] for p in problems if p.path}
        #: the template's values for what nobody gives
        self.defaults = {k: v for k, v in given.items() if k not in wrong}

    def problems(
        self,
        deployment: Mapping[str, Any],
        requested: Mapping[str, Any] | None = None,
        *,
        blocks: Mapping[str, Any] | None = None,
        required: bool = True,
    ) -> list[Problem]:
        """What is wrong with job variables, the requested ones over the deployment's.

        `blocks` is the data of the `block_defaults`. A missing variable is no problem when
        `required` is false or a default is itself invalid.
        """
        values = {**self.defaults, **(blocks or {}), **deployment, **(requested or {})}
        complete = required and not self.default_problems
        return self._validate(self._schema, values, required=complete)


def _block_id(default: Any) -> str | None:
    """The id in a default of the form `{"$ref": {"block_document_id": …}}`; None in any other."""
    target = default.get("$ref") if isinstance(default, Mapping) else None
    if isinstance(target, Mapping) and "block_document_id" in target:
        return str(target["block_document_id"])
    return None


def _checked_variables(template: Mapping[str, Any]) -> Mapping[str, Any]:
    if not template:
        return {}
    for key in ("job_configuration", "variables"):
        if not isinstance(template.get(key), Mapping):
            raise InvalidInput(f"The template needs the object '{key}'", (*_TEMPLATE, key))
    variables: Mapping[str, Any] = template["variables"]
    known = _objects(variables.get("properties"))
    unknown = sorted(_placeholders(template["job_configuration"]) - known.keys())
    if unknown:
        names = ", ".join(repr(name) for name in unknown)
        message = f"The job configuration uses what is not among the variables: {names}"
        raise InvalidInput(message, (*_TEMPLATE, "variables"))
    return variables


def check_job_template(
    template: Mapping[str, Any], validate: Validate = CompiledSchema.problems
) -> JobTemplate:
    """The compiled template; InvalidInput when it or one of its defaults is not acceptable."""
    compiled = JobTemplate(template, validate)
    for problem in compiled.default_problems:
        loc = (*_TEMPLATE, "variables", "properties", *problem.path)
        raise InvalidInput(f"A default is not valid: {problem}", loc)
    return compiled


def _placeholders(value: Any) -> set[str]:
    """The variables that a job configuration mentions; blocks and the like are not variables."""
    if isinstance(value, str):
        names = (found.split(".")[0] for found in _PLACEHOLDER.findall(value))
        return {name for name in names if name != "prefect" and not name.startswith("$")}
    if isinstance(value, Mapping):
        return _placeholders([*value.keys(), *value.values()])
    if isinstance(value, list):
        return set().union(*map(_placeholders, value))
    return set()


def _problem(error: SchemaError) -> Problem:
    path, message = tuple(error.instance_path), error.message
    missing = getattr(error.kind, "property", None)
    if error.kind.name == "required" and isinstance(missing, str):
        return Problem((*path, missing), "this is required")
    return Problem(path, message if len(message) <= 500 else f"{message[:500]}…")


@contextmanager
def _refusing(loc: tuple[str, ...]) -> Iterator[None]:
    """Raise InvalidInput for what is wrong with a schema."""
    try:
        yield
    except (SchemaError, ReferencingError, ValueError, TypeError) as e:
        reason = (str(e) or "invalid").splitlines()[0]
        raise InvalidInput(f"This is not a JSON Schema: {reason}", loc) from None


def _compiled(schema: Any) -> Draft202012Validator:
    return Draft202012Validator(schema, pattern_options=_PATTERNS, offline=True)


def _objects(value: Any) -> dict[str, Mapping[str, Any]]:
    """The entries of a map of schemas that are objects."""
    if not isinstance(value, Mapping):
        return {}
    return {k: v for k, v in value.items() if isinstance(v, Mapping)}


def _subschemas(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The keywords that hold schemas, so that defaults and examples are not taken for ones."""
    for key, value in schema.items():
        in_map = key in _MAPS and isinstance(value, Mapping)
        in_list = key in _LISTS and isinstance(value, list)
        if in_map or in_list or key in _SINGLE or key in _MORE_SINGLE:
            yield key, value


def _children(schema: Mapping[str, Any]) -> Iterator[Any]:
    for key, value in _subschemas(schema):
        if key in _MAPS:
            yield from value.values()
        elif isinstance(value, list):
            yield from value
        else:
            yield value


class _References:
    """Sees that every reference stays in the document, and that none leads back to itself."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root = root
        self.harmless: set[str] = set()

    def visit(self, schema: Any, following: tuple[str, ...], depth: int) -> None:
        if not isinstance(schema, Mapping):
            return
        if depth > MAX_DEPTH:
            raise ValueError(f"it nests deeper than {MAX_DEPTH} levels")
        target = schema.get("$ref")
        if isinstance(target, str) and target not in self.harmless:
            self.follow(target, following, depth)
        for child in _children(schema):
            self.visit(child, following, depth + 1)

    def follow(self, target: str, following: tuple[str, ...], depth: int) -> None:
        if not target.startswith("#"):
            raise ValueError(f"'{target}' is not in the schema itself")
        if target in following:
            raise ValueError(f"'{target}' refers to itself")
        self.visit(resolved(self.root, target), (*following, target), depth + 1)
        self.harmless.add(target)


def _mapped(schema: Any, change: Any) -> Any:
    """The schema with every schema directly in it changed."""
    changed = dict(schema)
    for key, value in _subschemas(schema):
        if key in _MAPS:
            changed[key] = {k: change(v) for k, v in value.items()}
        elif isinstance(value, list):
            changed[key] = [change(v) for v in value]
        else:
            changed[key] = change(value)
    return changed


def _without_required(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    partial = _mapped(schema, _without_required)
    partial.pop("required", None)
    return partial


@dataclass(frozen=True, slots=True)
class _Relaxation:
    """What is accepted beyond the letter of a schema, because its makers mean it so."""

    null_for_defaults: bool

    def applied(self, schema: Any) -> Any:
        if not isinstance(schema, Mapping):
            return schema
        relaxed = _mapped(schema, self.applied)
        if isinstance(relaxed.get("items"), list):
            relaxed["prefixItems"] = relaxed.pop("items")
            if "additionalItems" in relaxed:
                relaxed["items"] = relaxed.pop("additionalItems")
        required = schema.get("required")
        optional = _objects(relaxed.get("properties"))
        for name, property in optional.items():
            if self._takes_null(property, isinstance(required, list) and name in required):
                relaxed["properties"][name] = _nullable(property)
        if "block_type_slug" in relaxed:
            return {"anyOf": [relaxed, _BLOCK_REFERENCE]}
        return relaxed

    def _takes_null(self, property: Mapping[str, Any], required: bool) -> bool:
        if "default" in property:
            return self.null_for_defaults
        return not required and "type" in property


def _nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    type, choices = schema.get("type"), schema.get("enum")
    # not `anyOf` where avoidable: its errors do not say what is wrong with a value
    if isinstance(type, str) and not _BINDING & schema.keys():
        if isinstance(choices, list):
            return {**schema, "type": [type, "null"], "enum": [*choices, None]}
        return {**schema, "type": [type, "null"]}
    return {"anyOf": [schema, {"type": "null"}]}
