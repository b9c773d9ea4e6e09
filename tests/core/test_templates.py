"""Hydration of parameters, and what templates may not do."""

from typing import Any

import pytest

from penstock.core.errors import HydrationError
from penstock.core.templates import has_templates, hydrate, render, variable_names


def kind(name: str, **parts: Any) -> dict[str, Any]:
    return {"__prefect_kind": name, **parts}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (kind("json", value='{"a":[1]}'), {"a": [1]}),
        (kind("json", value=5), 5),
        (kind("json", value=kind("jinja", template="{{ 1 + 1 }}")), 2),
        (kind("jinja", template="{{ 1 + 1 }}"), "2"),
        (kind("workspace_variable", variable_name="v"), {"any": "json"}),
        (kind("workspace_variable", variable_name=kind("none", value="v")), {"any": "json"}),
        (kind("none", value=kind("json", value="1")), 1),
        (kind("none"), None),
        (kind("date-time", value="2026"), "2026"),
        (kind("date-time"), None),
        ([kind("json", value="1"), kind("json"), "x"], [1, "x"]),
        ({"kept": 1, "gone": kind("json")}, {"kept": 1}),
        ({"gone": kind("workspace_variable")}, {}),
        (kind("json"), None),
        ({"a": {"b": [1, 2.5, None]}}, {"a": {"b": [1, 2.5, None]}}),
    ],
)
def test_every_kind_is_replaced_by_what_it_stands_for(document: Any, expected: Any) -> None:
    assert hydrate(document, {"v": {"any": "json"}}) == expected


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else 1


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (kind("json", value="{"), "Invalid JSON"),
        (kind("json", value="[NaN]"), "NaN is not a JSON number"),
        (kind("json", value="[" * 100_000), "Invalid JSON"),
        (kind("jinja"), "needs the key 'template'"),
        (kind("jinja", template=1), "must be text"),
        (kind("jinja", template="{{"), "Invalid template"),
        (kind("workspace_variable", variable_name="w"), "There is no variable 'w'"),
        (kind("workspace_variable", variable_name=1), "There is no variable 1"),
        (nested(70), "nest deeper"),
    ],
)
def test_what_cannot_be_resolved_is_an_error(document: Any, message: str) -> None:
    with pytest.raises(HydrationError, match=message):
        hydrate(document, {})


def test_the_needed_variables_are_known_beforehand() -> None:
    document = {
        "a": [kind("workspace_variable", variable_name="x")],
        "b": kind("json", value=kind("workspace_variable", variable_name="y")),
        "c": {"variable_name": "no"},
        "d": kind("workspace_variable"),
        "e": [],
    }
    assert variable_names(document) == {"x", "y"}


def test_text_without_the_key_is_known_to_hold_no_templates() -> None:
    assert not has_templates(b'{"a":1}')
    assert not has_templates('{"a":1}')
    assert has_templates(b'{"__prefect_kind":"none"}')
    assert has_templates('{"__prefect_kind":"none"}')
    assert has_templates(b'{"\\u005f_prefect_kind":"none"}')
    assert has_templates('{"\\u005f_prefect_kind":"none"}')


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{% for i in range(3) %}{{ i }}{% endfor %}", "012"),
        (
            "{% for a in 'ab' %}{% for b in 'cd' %}{{ a ~ b }} {% endfor %}{% endfor %}",
            "ac ad bc bd ",
        ),
        ("{% set x = [3, 1] %}{{ x | sort | join('-') }}", "1-3"),
        ("{% if 2 ** 3 == 8 %}yes{% else %}no{% endif %}", "yes"),
        ("{{ {'a': (1, 2)}['a'] }}", "(1, 2)"),
        ("{{ 'ab' * 2 }}{{ 3 * 'c' }}{{ 7 // 2 }}{{ 2 * 3 }}{{ 2.0 ** 2 }}", "ababccc364.0"),
        ("{{ 'x'.center(5) }}{{ 'abc' | upper }}{{ name }}", "  x  ABC"),
        ("{{ [[1, 2], [3]] | sum(start=[]) | length }}", "3"),
    ],
)
def test_templates_render_expressions_conditions_and_loops(template: str, text: str) -> None:
    assert render(template) == text


def test_a_template_sees_its_context() -> None:
    assert render("Hello {{ name }}", {"name": "Ada"}) == "Hello Ada"


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ 'a' * 10 ** 9 }}",
        "{{ 10 ** 9 * 'a' }}",
        "{{ [0] * 10 ** 9 }}",
        "{{ 10 ** (10 ** 10) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ 'a'.ljust(1000000000) }}",
        "{{ 'a' | center(1000000000) }}",
        "{{ 'a' | center(width=1000000000) }}",
        "{{ 'a'.encode() * 1000000000 }}",
        "{{ range(1000000000) }}",
        "{% for i in range(101) %}{% endfor %}",
        "{% for i in range(1) %}" * 3 + "{% endfor %}" * 3,
        "{% for i in range(1) %}{% endfor %}" * 11,
        "{% for i in [[1]] recursive %}{{ loop(i) }}{% endfor %}",
        "{% for i in 'a' * 9000 %}{% for j in 'a' * 9000 %}{% endfor %}{% endfor %}",
        "{% set x = 'a' * 9 %}" + "{% set x = x ~ x %}" * 40,
        "{% set x = [1] %}" + "{% set x = [x, x] %}" * 40 + "{{ x }}",
        "{% set x = {'a': 1} %}" + "{% set x = {'a': x, 'b': x} %}" * 40,
        "{% set x = 3 %}" + "{% set x = x * x %}" * 40,
        "{% set x %}a{% endset %}",
        "{% macro m() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{{ lipsum() }}",
        "{{ cycler }}{{ nothing.at.all }}",
        "{{ 1 / 0 }}",
        "{{ 'a' + 1 }}",
        "{{ [][1] + 1 }}",
        "{{ 'x' | nothing }}",
        "{{ " + "(" * 300 + "1" + ")" * 300 + " }}",
        "{{ " + "-" * 3000 + "1 }}",
        "x" * 20_000,
        "{% for i in range(100) %}{% for j in range(100) %}{{ 'a' * 99 }}{% endfor %}{% endfor %}",
    ],
)
def test_templates_cannot_take_the_server_s_time_memory_or_objects(template: str) -> None:
    with pytest.raises(HydrationError):
        render(template)
