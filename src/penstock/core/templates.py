"""Parameters that are made when a run is: objects with `__prefect_kind`, rendered in a sandbox.

What users write here runs in the server, so its size and its steps are bounded.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.environment import Template
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.sandbox import ImmutableSandboxedEnvironment

from penstock.core.errors import HydrationError

MAX_TEMPLATE_CHARACTERS = 16_384
MAX_LOOPS = 10
MAX_LOOP_NESTING = 2
MAX_RANGE = 100
#: turns of all loops of one template together
MAX_TURNS = 10_000
#: characters, digits and elements of any value a template makes
MAX_VALUE_SIZE = 10_000
#: characters a template renders to
MAX_OUTPUT = 512 * 1024
#: how deep documents may nest
MAX_DEPTH = 64

KIND = "__prefect_kind"
_KIND_BYTES = KIND.encode()
_MISSING: Any = object()
_NO_VARIABLES: Mapping[str, Any] = {}

#: what goes wrong in an expression that a user wrote
_INVALID = (
    TemplateError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
# What a template may consist of besides expressions; among what is left out are macros, blocks
# and everything that loads another template.
_STATEMENTS = (nodes.Output, nodes.For, nodes.If, nodes.Assign)
#: filters that fill in or repeat text as far as a number in a text says
_REFUSED_FILTERS = ("format", "xmlattr", "pprint", "random", "urlize", "wordwrap")
_REFUSED_METHODS = frozenset({"encode", "expandtabs", "to_bytes", "translate"})


def has_templates(raw: bytes | str) -> bool:
    """Whether JSON text may hold anything to hydrate; cheap, and never wrongly no."""
    # a JSON escape could spell the key otherwise
    if isinstance(raw, bytes):
        return _KIND_BYTES in raw or b"\\u00" in raw
    return KIND in raw or "\\u00" in raw


def variable_names(document: Any) -> set[str]:
    """The names of the variables that `hydrate` needs the values of."""
    if isinstance(document, list):
        return set().union(*map(variable_names, document))
    if not isinstance(document, dict):
        return set()
    found = set().union(*map(variable_names, document.values()))
    name = document.get("variable_name")
    if document.get(KIND) == "workspace_variable" and isinstance(name, str):
        found.add(name)
    return found


def hydrate(document: Any, variables: Mapping[str, Any] = _NO_VARIABLES) -> Any:
    """The document with every object of a kind replaced by what it stands for.

    HydrationError when one cannot be resolved.
    """
    value = _hydrated(document, variables, 0)
    return None if value is _MISSING else value


def _hydrated(value: Any, variables: Mapping[str, Any], depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise HydrationError(f"The parameters nest deeper than {MAX_DEPTH} levels")
    if isinstance(value, list):
        items = [_hydrated(item, variables, depth + 1) for item in value]
        return [item for item in items if item is not _MISSING]
    if not isinstance(value, dict):
        return value
    if KIND in value:
        return _resolved(value, variables, depth)
    entries = ((k, _hydrated(v, variables, depth + 1)) for k, v in value.items())
    return {k: v for k, v in entries if v is not _MISSING}


def _resolved(entry: dict[str, Any], variables: Mapping[str, Any], depth: int) -> Any:
    def part(key: str) -> Any:
        return _hydrated(entry.get(key, _MISSING), variables, depth + 1)

    kind = entry[KIND]
    if kind == "json":
        return _parsed(part("value"))
    if kind == "jinja":
        return _rendered(part("template"))
    if kind == "workspace_variable":
        return _variable(part("variable_name"), variables)
    value = part("value")
    return None if value is _MISSING else value


def _parsed(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as e:
        raise HydrationError(f"Invalid JSON: {e}") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _variable(name: Any, variables: Mapping[str, Any]) -> Any:
    if name is _MISSING:
        return _MISSING
    if not isinstance(name, str) or name not in variables:
        raise HydrationError(f"There is no variable {name!r}")
    return variables[name]


def _rendered(template: Any) -> str:
    if template is _MISSING:
        raise HydrationError("A jinja value needs the key 'template'")
    if not isinstance(template, str):
        raise HydrationError("The template of a jinja value must be text")
    return render(template)


def render(template: str, context: Mapping[str, Any] = _NO_VARIABLES) -> str:
    """The template's text. HydrationError when it is invalid or exceeds a bound."""
    if len(template) > MAX_TEMPLATE_CHARACTERS:
        raise HydrationError(f"A template has at most {MAX_TEMPLATE_CHARACTERS} characters")
    sandbox = _Sandbox()
    try:
        return sandbox.rendered(template, context)
    except HydrationError:
        raise
    except (RecursionError, SyntaxError, MemoryError):  # the two latter: Python's own parser
        raise HydrationError("Invalid template: it nests too deep") from None
    except _INVALID as e:
        raise HydrationError(f"Invalid template: {e}") from None


class _Sandbox(ImmutableSandboxedEnvironment):
    """Renders one template. Every value it makes is weighed before it is used further."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "**", "%"})

    def __init__(self) -> None:
        super().__init__(optimized=False, cache_size=0)
        self.turns = 0
        self.globals = {"range": _range}
        self.filters = {**_FILTERS, "_turns": self._turns}

    def rendered(self, source: str, context: Mapping[str, Any]) -> str:
        tree = self.parse(source)
        _check(tree)
        template = Template.from_code(self, self.compile(_guarded(tree)), self.globals)
        parts, size = [], 0
        for part in template.generate(context):
            size += len(part)
            if size > MAX_OUTPUT:
                raise HydrationError(f"A template renders to at most {MAX_OUTPUT} characters")
            parts.append(part)
        return "".join(parts)

    def _turns(self, values: Iterable[Any]) -> Iterator[Any]:
        for value in values:
            self.turns += 1
            if self.turns > MAX_TURNS:
                raise HydrationError(f"The loops of a template take at most {MAX_TURNS} turns")
            yield value

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "%" and isinstance(left, str):
            raise SecurityError("text cannot be formatted with %")
        if operator == "**":
            _check_power(left, right)
        if operator == "*":
            _check_repetition(left, right)
        return _bounded(super().call_binop(context, operator, left, right))

    def wrap_str_format(self, value: Any) -> None:
        if super().wrap_str_format(value) is not None:
            raise SecurityError("text cannot be formatted by a method")

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return attr not in _REFUSED_METHODS and super().is_safe_attribute(obj, attr, value)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        _check_numbers(args, kwargs)
        return _bounded(super().call(__context, __obj, *args, **kwargs))


def _range(*bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > MAX_RANGE:
        raise HydrationError(f"A range has at most {MAX_RANGE} numbers")
    return numbers


def _weighed(filter: Callable[..., Any]) -> Callable[..., Any]:
    def weighed(*args: Any, **kwargs: Any) -> Any:
        _check_numbers(args[1:], kwargs)
        return _bounded(filter(*args, **kwargs))

    # filters say by an attribute that they want the environment or the context first
    weighed.__dict__.update(getattr(filter, "__dict__", {}))
    return weighed


def _check_numbers(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Widths, counts and precisions among the arguments must be small."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, int) and abs(value) > MAX_VALUE_SIZE:
            raise HydrationError("A number in a template's call is too large")


def _check_power(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() * abs(right)
        if bits > MAX_VALUE_SIZE:
            raise HydrationError("A number in a template is too large")


def _check_repetition(left: Any, right: Any) -> None:
    for values, times in ((left, right), (right, left)):
        if isinstance(values, str | list | tuple) and isinstance(times, int):
            _bounded(values)
            if times * len(values) > MAX_VALUE_SIZE:
                raise HydrationError("A value in a template is too large")


def _bounded(value: Any) -> Any:
    """The value, if it is small; every element counts as often as it is found."""
    size, waiting = 0, [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, int):
            size += 1 + item.bit_length() // 8
        elif isinstance(item, str):
            size += 1 + len(item)
        elif isinstance(item, dict):
            size += 1 + 2 * len(item)
            waiting.extend(item.keys() if size <= MAX_VALUE_SIZE else ())
            waiting.extend(item.values() if size <= MAX_VALUE_SIZE else ())
        elif isinstance(item, list | tuple | set | frozenset):
            size += 1 + len(item)
            waiting.extend(item if size <= MAX_VALUE_SIZE else ())
        if size > MAX_VALUE_SIZE:
            raise HydrationError("A value in a template is too large")
    return value


_FILTERS: dict[str, Callable[..., Any]] = {
    name: _weighed(filter) for name, filter in FILTERS.items() if name not in _REFUSED_FILTERS
} | {"_bounded": _bounded}


def _check(tree: nodes.Template) -> None:
    for statement in tree.find_all(nodes.Stmt):
        if not isinstance(statement, _STATEMENTS):
            name = type(statement).__name__.lower()
            raise HydrationError(f"A template cannot hold '{name}'")
    loops = list(tree.find_all(nodes.For))
    if len(loops) > MAX_LOOPS:
        raise HydrationError(f"A template has at most {MAX_LOOPS} loops")
    if any(loop.recursive for loop in loops):
        raise HydrationError("A loop of a template cannot be recursive")
    if _nesting(tree) > MAX_LOOP_NESTING:
        raise HydrationError(f"Loops of a template nest at most {MAX_LOOP_NESTING} deep")


def _nesting(node: nodes.Node) -> int:
    inside = max(map(_nesting, node.iter_child_nodes()), default=0)
    return inside + isinstance(node, nodes.For)


def _guarded(tree: nodes.Template) -> nodes.Template:
    """The same template, its loops counted and its new values weighed."""
    for loop in list(tree.find_all(nodes.For)):
        loop.iter = _filtered(loop.iter, "_turns")
    for assignment in list(tree.find_all(nodes.Assign)):
        assignment.node = _filtered(assignment.node, "_bounded")
    for output in list(tree.find_all(nodes.Output)):
        output.nodes = [
            n if isinstance(n, nodes.TemplateData) else _filtered(n, "_bounded")
            for n in output.nodes
        ]
    return tree


def _filtered(node: Any, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)
