"""Validating parameters and job variables by schemas that users wrote."""

from time import perf_counter
from typing import Any

import pytest

from penstock.core.errors import Conflict, InvalidInput
from penstock.core.parameter_schemas import (
    MAX_PROBLEMS,
    JobTemplate,
    check_job_template,
    compile_parameter_schema,
)

BLOCK = "11111111-2222-3333-4444-555555555555"


def problems(schema: dict[str, Any], values: Any, **how: bool) -> list[str]:
    return [str(p) for p in compile_parameter_schema(schema).problems(values, **how)]


def of(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required or []}


def test_a_problem_names_the_field() -> None:
    schema = of(["n"], n={"type": "integer"}, list={"items": {"type": "string"}})
    assert problems(schema, {"n": 1}) == []
    assert problems(schema, {"n": "x"}) == ['n: "x" is not of type "integer"']
    assert problems(schema, {}) == ["n: this is required"]
    assert problems(schema, {"n": 1, "list": ["a", 2]}) == ['list.1: 2 is not of type "string"']
    assert problems(schema, []) == ['[] is not of type "object"']


def test_missing_values_are_no_problem_when_not_required() -> None:
    inner = of(["q"], q={"type": "integer"})
    schema = of(["n", "inner"], n={"type": "integer"}, inner=inner)
    assert problems(schema, {"inner": {}}, required=False) == []
    assert problems(schema, {"inner": {"q": "x"}}, required=False) != []


@pytest.mark.parametrize(
    ("property", "accepted"),
    [
        ({"type": "integer", "minimum": 3}, True),
        ({"type": "string", "enum": ["a"]}, True),
        ({"type": ["integer", "string"]}, True),
        ({"type": "string", "const": "a"}, True),
        ({"type": "integer", "default": 1}, False),
        ({"enum": ["a"]}, False),
    ],
)
def test_an_optional_value_without_a_default_may_be_null(
    property: dict[str, Any], accepted: bool
) -> None:
    assert (problems(of(p=property), {"p": None}) == []) is accepted
    assert problems(of(["p"], p=property), {"p": None}) != []
    assert problems(of(p=property), {"p": {"no": 1}}) != []


def test_items_as_a_list_are_those_of_a_tuple() -> None:
    pair = {"type": "array", "items": [{"type": "integer"}, {"type": "string"}]}
    assert problems(of(p=pair), {"p": [1, "a", None]}) == []
    assert problems(of(p=pair), {"p": ["a"]}) != []
    closed = {**pair, "additionalItems": False}
    assert problems(of(p=closed), {"p": [1, "a", None]}) != []


@pytest.mark.parametrize("keyword", ["definitions", "$defs"])
def test_a_block_may_be_given_by_reference(keyword: str) -> None:
    block = {"type": "object", "required": ["x"], "block_type_slug": "secret"}
    schema = of(["b"], b={"$ref": f"#/{keyword}/B"}) | {keyword: {"B": block}}
    assert problems(schema, {"b": {"x": 1}}) == []
    assert problems(schema, {"b": {"$ref": BLOCK}}) == []
    assert problems(schema, {"b": {"$ref": {"block_document_id": BLOCK}}}) == []
    assert problems(schema, {"b": {"$ref": "no id"}}) != []
    assert problems(schema, {"b": {}}) != []


def test_values_that_look_like_schemas_are_left_alone() -> None:
    like = {"$ref": "http://example.com"}
    schema = of(p={"type": "object", "default": like, "enum": [like], "properties": True})
    with pytest.raises(InvalidInput):  # `properties` is no map
        compile_parameter_schema(schema)
    del schema["properties"]["p"]["properties"]
    assert problems(schema, {"p": like}) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "thing"},
        {"$ref": "https://example.com/schema.json"},
        {"$dynamicRef": "https://example.com/schema.json"},
        {"$ref": "#"},
        {
            "properties": {"a": {"$ref": "#/definitions/A"}},
            "definitions": {"A": {"items": {"$ref": "#/definitions/A"}}},
        },
        {"properties": {"a": {"$ref": "#/definitions/A~1~0/0"}}, "definitions": {"A/~": [1]}},
        {"pattern": "("},
        {"pattern": "(x{1,1000}){1,1000}"},
        {"properties": {"a": 3}},
        {"allOf": [3]},
    ],
)
def test_a_schema_must_be_one_and_stay_in_itself(schema: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="not a JSON Schema") as raised:
        compile_parameter_schema(schema)
    assert raised.value.loc == ("body", "parameter_openapi_schema")


def test_a_schema_must_not_nest_without_end() -> None:
    schema: dict[str, Any] = {}
    for _ in range(200):
        schema = {"not": schema}
    with pytest.raises(InvalidInput, match="nests deeper"):
        compile_parameter_schema(schema)


def test_a_definition_may_be_used_often() -> None:
    schema = of(a={"$ref": "#/$defs/A"}, b={"allOf": [{"$ref": "#/$defs/A"}]})
    schema["$defs"] = {"A": {"type": "integer"}, "B": True}
    assert problems(schema, {"a": 1, "b": 2}) == []
    assert problems(schema, {"a": "x"}) != []


@pytest.mark.parametrize("schema", [None, [], "{}"])
def test_a_schema_that_is_no_object_is_a_conflict(schema: Any) -> None:
    with pytest.raises(Conflict):
        compile_parameter_schema(schema)


def test_a_pattern_that_explodes_ends_soon() -> None:
    schema = of(p={"type": "string", "pattern": r"^(a|aa)+(?=b)\1$"})
    started = perf_counter()
    assert problems(schema, {"p": "a" * 5000}) != []
    assert perf_counter() - started < 5


def test_what_is_said_about_wrong_values_is_bounded() -> None:
    schema = of(p={"items": {"type": "integer"}}, q={"type": "integer"})
    assert len(problems(schema, {"p": ["x"] * 1000})) == MAX_PROBLEMS
    (problem,) = problems(schema, {"q": "x" * 10_000})
    assert len(problem) < 600


TEMPLATE: dict[str, Any] = {
    "job_configuration": {
        "command": "{{ command }}",
        "env": {"{{ key }}": ["{{ image.tag }}", 1]},
        "secret": "{{ prefect.variables.x }} {{ $HOME }}",
    },
    "variables": of(
        ["image"],
        command={"type": "string", "default": "run"},
        key={"type": "string"},
        image={"type": "object"},
    ),
}


def test_job_variables_are_the_request_s_over_the_deployment_s_over_the_defaults() -> None:
    template = check_job_template(TEMPLATE)
    assert template.defaults == {"command": "run"}
    assert template.problems({"image": {}}) == []
    assert [str(p) for p in template.problems({})] == ["image: this is required"]
    assert template.problems({}, required=False) == []
    assert template.problems({"image": 1}, {"image": {}}) == []
    assert [p.path for p in template.problems({"image": {}}, {"key": 1})] == [("key",)]


def test_a_job_variable_with_a_default_may_be_null() -> None:
    assert JobTemplate(TEMPLATE).problems({"image": {}, "command": None}) == []


def test_an_invalid_default_is_left_out_and_nothing_is_required() -> None:
    variables = of(["b"], a={"type": "integer", "default": "x"}, b={"type": "integer"})
    template = JobTemplate({"job_configuration": {}, "variables": variables})
    assert template.defaults == {}
    assert template.problems({}) == []
    with pytest.raises(InvalidInput, match="default") as raised:
        check_job_template({"job_configuration": {}, "variables": variables})
    assert raised.value.loc[-3:] == ("variables", "properties", "a")


def test_an_empty_template_accepts_everything() -> None:
    assert check_job_template({}).problems({"any": 1}) == []


@pytest.mark.parametrize(
    "template",
    [
        {"job_configuration": {}},
        {"variables": {}},
        {"job_configuration": [], "variables": {}},
        {"job_configuration": {"a": "{{ nothing }}"}, "variables": of(b={})},
        {"job_configuration": {"a": "{{ nothing }}"}, "variables": {}},
        {"job_configuration": {}, "variables": of(b={"type": "thing"})},
    ],
)
def test_a_template_needs_both_parts_and_every_variable_it_uses(template: Any) -> None:
    with pytest.raises(InvalidInput) as raised:
        check_job_template(template)
    assert raised.value.loc[:2] == ("body", "base_job_template")


@pytest.mark.timeout(5, method="thread")  # collecting every problem of these took a minute
def test_much_wrong_data_is_refused_at_once() -> None:
    choices = [
        {"type": "object", "properties": {"a": {"const": i}}, "required": ["b"]} for i in range(100)
    ]
    items = {"type": "array", "items": {"anyOf": choices}}
    schema = compile_parameter_schema({"type": "object", "properties": {"x": items}})
    assert len(schema.problems({"x": [{"a": 1}] * 5000})) == 1


def test_a_default_that_is_a_block_is_checked_with_the_blocks_data() -> None:
    default = {"$ref": {"block_document_id": 7}}
    number = {"type": "object", "properties": {"n": {"type": "integer"}}, "default": default}
    template = JobTemplate({"job_configuration": {}, "variables": {"properties": {"a": number}}})
    assert (template.block_defaults, template.default_problems) == ({"a": "7"}, [])
    assert template.problems({}, blocks={"a": {"n": 1}}) == []
    assert [p.path for p in template.problems({}, blocks={"a": {"n": "x"}})] == [("a", "n")]
    assert template.problems({"a": {"n": 2}}, blocks={"a": {"n": "x"}}) == []
