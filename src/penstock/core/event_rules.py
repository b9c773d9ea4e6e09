"""Which events a filter wants, and whether a text is one that labels ask for. Pure.

`store/events.py` says the same to a database; a test holds the two together.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from penstock.contract.rest.events import (
    EventAnyResourceFilter,
    EventFilter,
    EventNameFilter,
    EventRelatedFilter,
    EventResourceFilter,
)
from penstock.contract.rest.logs import LogFilter
from penstock.core import documents
from penstock.core.search_texts import parse_search_text

ID = "prefect.resource.id"
ROLE = "prefect.resource.role"
Labels = Mapping[str, str]
Test = Callable[[Any], bool]


def label_test(wanted: str | list[str]) -> Callable[[str | None], bool]:
    """Whether a label's value is one of those wanted.

    `*` stands for any text, a leading `!` refuses; refused values win.
    """
    wished, refused = wished_and_refused(wanted)
    no = [_pattern(v) for v in refused]
    yes = [_pattern(v) for v in wished]

    def test(value: str | None) -> bool:
        if value is None or any(p.fullmatch(value) for p in no):
            return False
        return not yes or any(p.fullmatch(value) for p in yes)

    return test


def wished_and_refused(wanted: str | list[str]) -> tuple[list[str], list[str]]:
    """The values that a label may have, and those it may not (written with a leading `!`)."""
    values = [wanted] if isinstance(wanted, str) else wanted
    return [v for v in values if not v.startswith("!")], [v[1:] for v in values if v[:1] == "!"]


def _pattern(value: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in value.split("*")), re.DOTALL)


def labels_test(specification: Mapping[str, str | list[str]]) -> Callable[[Labels], bool]:
    """Whether one resource has all the labels asked for."""
    tests = [(label, label_test(wanted)) for label, wanted in specification.items()]
    return lambda labels: all(test(labels.get(label)) for label, test in tests)


def event_test(filter: EventFilter) -> Test:
    """Whether a live event (as the wire has it, its times as datetimes) matches the filter."""
    tests: list[Test] = []
    since, until = filter.occurred.since, filter.occurred.until
    if since is not None:
        tests.append(lambda e: e["occurred"] >= since)
    if until is not None:
        tests.append(lambda e: e["occurred"] <= until)
    if filter.id.id:  # compat: clients send an empty list when they do not care
        ids = set(filter.id.id)
        tests.append(lambda e: e["id"] in ids)
    if filter.event is not None:
        name_fits = name_test(filter.event)
        tests.append(lambda e: name_fits(e["event"]))
    if filter.resource is not None:
        tests.append(_resource_test(filter.resource))
    for related in listed(filter.related):
        tests.append(_related_test(related))
    for any_resource in listed(filter.any_resource):
        tests.append(_any_resource_test(any_resource))
    if filter.text is not None:
        words = parse_search_text(filter.text.query)
        tests.append(lambda e: words.matches(searched_text(e)))
    return lambda event: all(test(event) for test in tests)


def listed(filters: Any) -> list[Any]:
    """The filters of a field that takes none, one or a list."""
    if filters is None:
        return []
    return filters if isinstance(filters, list) else [filters]


def searched_text(event: Mapping[str, Any]) -> str:
    """What a search text is looked for in: the name, the resources and the payload."""
    parts = (event["resource"], event["related"], event["payload"])
    return " ".join([event["event"], *(documents.dump(part) for part in parts)])


def name_test(names: EventNameFilter) -> Callable[[str], bool]:
    """Whether an event of that name matches the filter."""
    prefixes, no_prefixes = tuple(names.prefix or ()), tuple(names.exclude_prefix or ())
    exact, not_exact = names.name, set(names.exclude_name or ())

    def test(name: str) -> bool:
        if prefixes and not name.startswith(prefixes):
            return False
        if exact and name not in exact:
            return False
        return name not in not_exact and not name.startswith(no_prefixes)

    return test


def _resource_test(wanted: EventResourceFilter) -> Test:
    has = _one_resource_test(wanted.id, wanted.id_prefix, wanted.labels)
    return lambda event: has(event["resource"])


def _any_resource_test(wanted: EventAnyResourceFilter) -> Test:
    has = _one_resource_test(wanted.id, wanted.id_prefix, wanted.labels)
    return lambda event: has(event["resource"]) or any(has(r) for r in event["related"])


def _related_test(wanted: EventRelatedFilter) -> Test:
    tests: list[Callable[[Labels], bool]] = []
    if wanted.id or wanted.labels:
        tests.append(_one_resource_test(wanted.id, None, wanted.labels))
    if wanted.role:
        roles = set(wanted.role)
        tests.append(lambda r: r.get(ROLE) in roles)
    if wanted.resources_in_roles:
        pairs = {tuple(pair) for pair in wanted.resources_in_roles}
        tests.append(lambda r: (r.get(ID), r.get(ROLE)) in pairs)
    if not tests:
        return lambda event: True
    return lambda event: any(all(test(r) for test in tests) for r in event["related"])


def _one_resource_test(
    ids: list[str] | None, prefixes: list[str] | None, labels: Any
) -> Callable[[Labels], bool]:
    tests: list[Callable[[Labels], bool]] = []
    if ids:
        tests.append(lambda r: r.get(ID) in ids)
    if prefixes:
        starts = tuple(prefixes)
        tests.append(lambda r: str(r.get(ID)).startswith(starts))
    if labels:
        tests.append(labels_test(labels))
    return lambda labels: all(test(labels) for test in tests)


def log_test(filter: LogFilter) -> Test:
    """Whether a live log line (as the wire has it) matches the filter."""
    tests: list[Test] = []
    if filter.level is not None:
        tests += _range_tests("level", filter.level.ge_, filter.level.le_)
    if filter.timestamp is not None:
        tests += _range_tests("timestamp", filter.timestamp.after_, filter.timestamp.before_)
    if filter.flow_run_id is not None and filter.flow_run_id.any_ is not None:
        tests.append(_member_test("flow_run_id", filter.flow_run_id.any_))
    if filter.task_run_id is not None:
        if filter.task_run_id.any_ is not None:
            tests.append(_member_test("task_run_id", filter.task_run_id.any_))
        if filter.task_run_id.is_null_ is not None:
            null = filter.task_run_id.is_null_
            tests.append(lambda line: (line["task_run_id"] is None) is null)
    if filter.text is not None:
        words = parse_search_text(filter.text.query)
        tests.append(lambda line: words.matches(f"{line['message']} {line['name']}"))
    if filter.operator == "or_" and tests:
        return lambda line: any(test(line) for test in tests)
    return lambda line: all(test(line) for test in tests)


def _range_tests(key: str, low: Any, high: Any) -> list[Test]:
    tests: list[Test] = []
    if low is not None:
        tests.append(lambda line: line[key] >= low)
    if high is not None:
        tests.append(lambda line: line[key] <= high)
    return tests


def _member_test(key: str, members: Iterable[Any]) -> Test:
    wanted = set(members)
    return lambda line: line[key] in wanted
