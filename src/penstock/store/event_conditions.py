"""EventFilter as a condition on the `event` table; `core/event_rules.py` says it of one event.

The engines read JSON by functions of their own, so the few expressions that do are made for one.
"""

from typing import Any

from sqlalchemy import ColumnElement, Text, and_, cast, func, literal, or_, select
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.engine.interfaces import Dialect

from penstock.contract.rest.events import (
    EventAnyResourceFilter,
    EventFilter,
    EventNameFilter,
    EventRelatedFilter,
    EventResourceFilter,
)
from penstock.core.event_rules import ID, ROLE, listed, wished_and_refused
from penstock.store.logs import where_words
from penstock.store.segment_tables import event, event_resource
from penstock.store.statements import POSTGRES

#: characters of a resource's id in the index
INDEXED_CHARACTERS = 500

Condition = ColumnElement[bool]


def where_events(filter: EventFilter, dialect: Dialect) -> list[Condition]:
    """Conditions that all must hold."""
    json = _Json(dialect)
    terms: list[Condition] = []
    if filter.occurred.since is not None:
        terms.append(event.c.occurred >= filter.occurred.since)
    if filter.occurred.until is not None:
        terms.append(event.c.occurred <= filter.occurred.until)
    if filter.id.id:  # compat: clients send an empty list when they do not care
        terms.append(event.c.id.in_(filter.id.id))
    if filter.event is not None:
        terms += _names(filter.event)
    if filter.resource is not None:
        terms += _resource(filter.resource, json)
    for related in listed(filter.related):
        terms += _related(related, json)
    for any_resource in listed(filter.any_resource):
        terms += _any_resource(any_resource, json)
    if filter.text is not None:
        searched = (event.c.name, event.c.resource, event.c.related, event.c.payload)
        terms += where_words(filter.text.query, *searched)
    return terms


def _names(names: EventNameFilter) -> list[Condition]:
    terms: list[Condition] = []
    if names.prefix:
        terms.append(_starts(event.c.name, names.prefix))
    if names.exclude_prefix:
        terms.append(~_starts(event.c.name, names.exclude_prefix))
    if names.name:
        terms.append(event.c.name.in_(names.name))
    if names.exclude_name:
        terms.append(event.c.name.not_in(names.exclude_name))
    return terms


def _starts(column: Any, prefixes: list[str]) -> Condition:
    # LIKE would ignore case on SQLite
    return or_(*[func.substr(column, 1, len(p)) == p for p in prefixes])


def _resource(wanted: EventResourceFilter, json: "_Json") -> list[Condition]:
    terms: list[Condition] = []
    if wanted.id:
        terms += [event.c.resource_id.in_(wanted.id), _indexed(wanted.id, ("",))]
    if wanted.id_prefix:
        terms.append(_starts(event.c.resource_id, wanted.id_prefix))
    if wanted.labels:
        terms += json.labels(event.c.resource, wanted.labels)
    return terms


def _related(wanted: EventRelatedFilter, json: "_Json") -> list[Condition]:
    terms: list[Condition] = []
    each = json.element("related_resource")
    tests: list[Condition] = []
    if wanted.id:
        terms.append(_indexed(wanted.id, None))
        tests.append(json.label(each.c.value, ID).in_(wanted.id))
    if wanted.role:
        tests.append(json.label(each.c.value, ROLE).in_(wanted.role))
    if wanted.resources_in_roles:
        terms.append(_indexed([id for id, _ in wanted.resources_in_roles], None))
        pairs = [
            and_(json.label(each.c.value, ID) == id, json.label(each.c.value, ROLE) == role)
            for id, role in wanted.resources_in_roles
        ]
        tests.append(or_(*pairs))
    if wanted.labels:
        tests += json.labels(each.c.value, wanted.labels)
    if tests:
        terms.append(select(literal(1)).select_from(each).where(*tests).exists())
    return terms


def _any_resource(wanted: EventAnyResourceFilter, json: "_Json") -> list[Condition]:
    each = json.element("any_resource")
    own: list[Condition] = []
    others: list[Condition] = []
    for column, tests in ((event.c.resource, own), (each.c.value, others)):
        if wanted.id:
            tests.append(json.label(column, ID).in_(wanted.id))
        if wanted.id_prefix:
            tests.append(_starts(json.label(column, ID), wanted.id_prefix))
        if wanted.labels:
            tests += json.labels(column, wanted.labels)
    if not own:
        return []
    related = select(literal(1)).select_from(each).where(*others).exists()
    terms: list[Condition] = [or_(and_(*own), related)]
    if wanted.id:
        terms.append(_indexed(wanted.id, None))
    return terms


def _indexed(ids: list[str], roles: tuple[str, ...] | None) -> Condition:
    """Narrows to events that have to do with these resources, by the index."""
    short = [id[:INDEXED_CHARACTERS] for id in ids]
    found = select(event_resource.c.event_id).where(event_resource.c.resource_id.in_(short))
    if roles is not None:
        found = found.where(event_resource.c.role.in_(roles))
    return event.c.id.in_(found)


class _Json:
    """Looking into documents, by one engine's functions."""

    def __init__(self, dialect: Dialect) -> None:
        self.postgres = dialect is POSTGRES

    def element(self, name: str) -> Any:
        """Each related resource of an event, as the column `value` of a table of that name."""
        if self.postgres:
            each = func.json_array_elements(cast(event.c.related, JSON))
        else:
            each = func.json_each(event.c.related)
        return each.table_valued("value", name=name)

    def label(self, document: Any, name: str) -> Any:
        """The value of a label; null when the resource has none of that name."""
        if self.postgres:
            return cast(document, JSON).op("->>", return_type=Text())(name)
        pairs = func.json_each(document).table_valued("key", "value", name="label")
        return select(pairs.c.value).where(pairs.c.key == name).scalar_subquery()

    def labels(self, document: Any, specification: Any) -> list[Condition]:
        """Conditions that a resource has all the labels asked for."""
        terms: list[Condition] = []
        for name, wanted in specification.items():
            value = self.label(document, name)
            wished, refused = wished_and_refused(wanted)
            terms.append(value.is_not(None))
            if wished:
                terms.append(or_(*[self._like(value, v) for v in wished]))
            terms += [~self._like(value, v) for v in refused]
        return terms

    def _like(self, value: Any, pattern: str) -> Condition:
        if "*" not in pattern:
            equal: Condition = value == pattern
            return equal
        if self.postgres:
            for special in "/%_":
                pattern = pattern.replace(special, "/" + special)
            like: Condition = value.like(pattern.replace("*", "%"), escape="/")
            return like
        # SQLite's LIKE ignores case; GLOB does not, and has `?` and `[` besides
        glob = pattern.replace("[", "[[]").replace("?", "[?]")
        found: Condition = value.op("GLOB", is_comparison=True)(glob)
        return found
