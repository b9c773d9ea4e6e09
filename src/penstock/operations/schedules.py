"""Schedules of deployments, and the runs they make ahead of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from penstock.contract.rest.deployments import DeploymentScheduleBody, DeploymentUpdate
from penstock.contract.rest.schedules import (
    DeploymentScheduleCreate,
    DeploymentScheduleUpdate,
    Schedule,
)
from penstock.core import documents
from penstock.core.errors import Conflict, InvalidInput, NotFound
from penstock.core.ids import new_id
from penstock.core.schedules import (
    completed_schedule,
    dates_to_schedule,
    schedule_kind,
    scheduled_run_key,
)
from penstock.core.states import StateType, make_state
from penstock.operations.deployment_facts import DeploymentFacts, deployment_facts, forget
from penstock.operations.flow_runs import PreparedRun, prepare_scheduled_run, write_scheduled_run
from penstock.store import schedules as store
from penstock.store.statements import Row
from penstock.store.transaction import Stale, Transaction

#: runs that exist ahead at least, and the time they reach ahead at least
MIN_RUNS = 3
MIN_TIME = timedelta(hours=1)
MAX_RUNS = 100
MAX_TIME = timedelta(days=100)
#: a schedule that has no further dates is looked at again after this
RARELY = timedelta(days=1)


def _schedule_text(schedule: Schedule, now: datetime) -> str:
    completed = completed_schedule(schedule.model_dump(), now)
    interval = completed.get("interval")
    if isinstance(interval, timedelta):
        completed["interval"] = interval.total_seconds()
        if completed.get("timezone") is None:
            # compat: prefect 3.8.8 shows the zone of the anchor
            completed["timezone"] = "UTC"
    return documents.dump(completed)


def _insert(
    tx: Transaction, deployment_id: UUID, body: DeploymentScheduleCreate, now: datetime
) -> UUID:
    id = new_id(now)
    store.insert_schedule(
        tx,
        {
            "id": id,
            "created": now,
            "updated": now,
            "deployment_id": deployment_id,
            "schedule": _schedule_text(body.schedule, now),
            "active": body.active,
            "max_scheduled_runs": body.max_scheduled_runs,
            "parameters": documents.dump(body.parameters),
            "slug": body.slug,
            "replenish_at": None,
        },
    )
    return id


def replace_schedules(
    tx: Transaction,
    deployment_id: UUID,
    bodies: Sequence[DeploymentScheduleCreate],
    now: datetime,
) -> None:
    """Give a deployment just these schedules."""
    _check_slugs([b.slug for b in bodies])
    store.delete_schedules(tx, deployment_id, None)
    for body in bodies:
        _insert(tx, deployment_id, body, now)


def create_schedules(
    tx: Transaction,
    deployment_id: UUID,
    bodies: Sequence[DeploymentScheduleCreate],
    now: datetime,
) -> list[dict[str, Any]]:
    """Add schedules to a deployment: the new ones. Conflict for a slug that is taken."""
    if not store.select_has_deployment(tx, deployment_id):
        raise NotFound(f"There is no deployment {deployment_id}")
    taken = {r.slug for r in store.select_schedules(tx, deployment_id) if r.slug}
    for body in bodies:
        if body.slug in taken:
            raise Conflict(f"The deployment has a schedule with the slug {body.slug!r} already")
    ids = {_insert(tx, deployment_id, body, now) for body in bodies}
    shapes = store.select_schedule_shapes(tx, [deployment_id])[deployment_id]
    return [s for s in shapes if s["id"] in ids]


def patch_schedules(
    tx: Transaction, deployment_id: UUID, body: DeploymentUpdate, now: datetime
) -> None:
    """Merge the schedules of a deployment's PATCH by slug, or replace them where slugs lack."""
    if "schedules" not in body.model_fields_set:
        store.touch_schedules(tx, deployment_id, now)
        return
    existing = store.select_schedules(tx, deployment_id)
    given = body.schedules
    if existing and all(r.slug for r in existing):
        if not all(g.slug for g in given):
            message = "Every schedule needs a slug, since those of this deployment have one"
            raise InvalidInput(message, ("body", "schedules"))
        _merge(tx, deployment_id, {r.slug: r for r in existing}, given, now)
        store.touch_schedules(tx, deployment_id, now)
        return
    replace_schedules(tx, deployment_id, [_as_new(g) for g in given], now)


def _merge(
    tx: Transaction,
    deployment_id: UUID,
    existing: dict[str, Row],
    given: Sequence[DeploymentScheduleUpdate],
    now: datetime,
) -> None:
    renamed = [g.replaces for g in given if g.replaces is not None]
    if len(set(renamed)) != len(renamed):
        raise InvalidInput("A slug is renamed twice", ("body", "schedules"))
    _check_slugs([g.slug for g in given])
    for body in given:
        slug = body.replaces if body.replaces in existing else body.slug
        if body.replaces in existing and body.slug != body.replaces and body.slug in existing:
            raise InvalidInput(f"There is a schedule {body.slug!r} already", ("body", "schedules"))
        row = existing.get(slug or "")
        if row is None:
            _insert(tx, deployment_id, _as_new(body), now)
        else:
            store.update_schedule(tx, row.id, _changes(body, now))


def _as_new(body: DeploymentScheduleUpdate) -> DeploymentScheduleCreate:
    if body.schedule is None:
        raise InvalidInput("A new schedule needs `schedule`", ("body", "schedules"))
    sent = {k: v for k in body.model_fields_set if (v := getattr(body, k)) is not None}
    return DeploymentScheduleCreate.model_construct(**sent)


def _changes(body: DeploymentScheduleUpdate, now: datetime) -> dict[str, Any]:
    changes: dict[str, Any] = {"updated": now}
    for name in ("active", "max_scheduled_runs", "slug"):
        if (value := getattr(body, name)) is not None and name in body.model_fields_set:
            changes[name] = value
    if body.schedule is not None:
        changes["schedule"] = _schedule_text(body.schedule, now)
    if "parameters" in body.model_fields_set:
        changes["parameters"] = documents.dump(body.parameters)
    return changes


def _check_slugs(slugs: Sequence[str | None]) -> None:
    named = [s for s in slugs if s is not None]
    if len(set(named)) != len(named):
        raise InvalidInput("Two schedules have the same slug", ("body", "schedules"))


def update_schedule(
    tx: Transaction,
    deployment_id: UUID,
    schedule_id: UUID,
    body: DeploymentScheduleUpdate,
    now: datetime,
) -> None:
    """Change one schedule. The runs that the deployment's schedules made for later go."""
    rows = store.select_schedules(tx, deployment_id)
    if schedule_id not in {r.id for r in rows}:
        raise NotFound(f"The deployment has no schedule {schedule_id}")
    if body.slug is not None and body.slug in {r.slug for r in rows if r.id != schedule_id}:
        raise Conflict(f"The deployment has a schedule with the slug {body.slug!r} already")
    store.update_schedule(tx, schedule_id, _changes(body, now))
    store.touch_schedules(tx, deployment_id, now)
    while store.delete_scheduled_runs(tx, deployment_id, auto_scheduled=True, after=now):
        pass


def delete_schedule(tx: Transaction, deployment_id: UUID, schedule_id: UUID) -> None:
    """Delete one schedule and the runs it has made that never ran."""
    if not store.delete_schedules(tx, deployment_id, [schedule_id]):
        raise NotFound(f"The deployment has no schedule {schedule_id}")
    ids = [schedule_id]
    while store.delete_scheduled_runs(tx, deployment_id, auto_scheduled=True, schedule_ids=ids):
        pass


# ------------------------------------------------------------------ making runs


@dataclass(slots=True)
class PreparedRuns:
    """The runs a schedule shall have, thought out."""

    deployment_id: UUID
    schedule_id: UUID
    seen: datetime
    runs: list[tuple[datetime, PreparedRun]]
    replenish_at: datetime
    #: whether the schedule is to remember when it needs more
    remember: bool = True


def prepare_scheduled_runs(
    tx: Transaction,
    schedule: Row,
    now: datetime,
    ahead: DeploymentScheduleBody | None = None,
) -> PreparedRuns | None:
    """The runs a schedule needs from now on; None when its deployment is gone.

    `ahead` overrides how many and how far. Dates are computed here, never under the write lock.
    """
    try:
        facts = deployment_facts(tx, schedule.deployment_id)
    except NotFound:
        return None
    document = documents.load(schedule.schedule)
    dates = _dates(document, now, ahead)
    runs = [(date, _run(facts, schedule, document, date, now)) for date in dates]
    at = _replenish_at(dates, now)
    return PreparedRuns(facts.id, schedule.id, schedule.updated, runs, at, remember=ahead is None)


def _dates(
    document: dict[str, Any], now: datetime, ahead: DeploymentScheduleBody | None
) -> list[datetime]:
    if ahead is None:
        return dates_to_schedule(document, now)
    start = ahead.start_time or now
    end = ahead.end_time or start + MAX_TIME
    dates = dates_to_schedule(
        document,
        start,
        min_runs=MIN_RUNS if ahead.min_runs is None else ahead.min_runs,
        min_time=ahead.min_time or MIN_TIME,
        # one at least: that is what the contract's server makes when asked for none
        max_runs=MAX_RUNS if ahead.max_runs is None else min(max(ahead.max_runs, 1), MAX_RUNS),
        max_time=min(end - start, MAX_TIME),
    )
    return [d for d in dates if d <= end]


def _replenish_at(dates: list[datetime], now: datetime) -> datetime:
    """When fewer than enough runs will be left, or they no longer reach far enough."""
    if len(dates) < MIN_RUNS:
        return now + RARELY
    return max(min(dates[-MIN_RUNS], dates[-1] - MIN_TIME), now + timedelta(seconds=1))


def _run(
    facts: DeploymentFacts,
    schedule: Row,
    document: dict[str, Any],
    date: datetime,
    now: datetime,
) -> PreparedRun:
    state = make_state(
        StateType.SCHEDULED,
        now,
        message="Made ahead of time by a schedule",
        details={"scheduled_time": date},
    )
    created_by = {
        "id": schedule.id,
        "type": "SCHEDULE",
        "display_value": schedule.slug or schedule_kind(document),
    }
    return prepare_scheduled_run(
        facts,
        state,
        now,
        schedule_id=schedule.id,
        parameters=documents.load(schedule.parameters),
        key=scheduled_run_key(facts.id, schedule.id, document, date),
        created_by=created_by,
    )


def create_scheduled_runs(tx: Transaction, prepared: PreparedRuns | None) -> int:
    """Make the runs that do not exist yet; how many: none when the schedule itself has changed.

    Stale when their deployment has changed.
    """
    if prepared is None:
        return 0
    # First of all: it also holds off whoever wants to change the schedule and delete its runs.
    at = prepared.replenish_at if prepared.remember else None
    if not store.hold_schedule(tx, prepared.schedule_id, prepared.seen, at):
        return 0
    made = 0
    try:
        for date, run in prepared.runs:
            if store.claim_schedule_time(tx, prepared.schedule_id, date, run.run["id"]):
                made += write_scheduled_run(tx, run)
    except Stale:
        forget(tx, prepared.deployment_id)
        raise
    return made
