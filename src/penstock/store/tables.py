"""Every table of the main database, for both engines. Logs and events have stores of their own."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from penstock.store.column_types import Document, Id, Time
from penstock.store.resource_tables import (
    api_key,
    artifact,
    artifact_collection,
    block_document,
    block_document_reference,
    block_schema,
    block_type,
    csrf_token,
    saved_search,
    setting,
    variable,
)
from penstock.store.table_parts import (
    TERMINAL,
    WORKSPACE,
    metadata,
    partial_index,
    stamps,
    workspace_column,
)

__all__ = [
    "UNUSUAL_NAME",
    "WORKSPACE",
    "metadata",
    "api_key",
    "artifact",
    "artifact_collection",
    "block_document",
    "block_document_reference",
    "block_schema",
    "block_type",
    "concurrency_lease",
    "concurrency_limit",
    "concurrency_slot",
    "csrf_token",
    "deployment",
    "deployment_schedule",
    "deployment_tag",
    "flow",
    "flow_run",
    "flow_run_change",
    "flow_run_count",
    "flow_run_input",
    "flow_run_tag",
    "flow_tag",
    "idempotency_key",
    "lease",
    "outbox",
    "saved_search",
    "schedule_time",
    "setting",
    "state",
    "task_cache",
    "task_delivery",
    "task_run",
    "task_run_tag",
    "task_worker",
    "variable",
    "work_pool",
    "work_queue",
    "worker",
    "workspace",
]

workspace = Table(
    "workspace",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
)

flow = Table(
    "flow",
    metadata,
    Column("id", Id, primary_key=True),
    workspace_column(),
    *stamps(),
    Column("name", Text, nullable=False),
    Column("tags", Document, nullable=False),
    Column("labels", Document, nullable=False),
    UniqueConstraint("workspace_id", "name"),
)

flow_tag = Table(
    "flow_tag",
    metadata,
    Column("tag", Text, nullable=False),
    Column("flow_id", Id, nullable=False),
    PrimaryKeyConstraint("tag", "flow_id"),
    sqlite_with_rowid=False,
)

deployment = Table(
    "deployment",
    metadata,
    Column("id", Id, primary_key=True),
    workspace_column(),
    *stamps(),
    # counts every change of what a create depends on; see "prepared from" in docs/how-it-works.md
    Column("revision", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("flow_id", Id, nullable=False),
    Column("version", Text),
    Column("version_id", Id),
    Column("branch", Text),
    Column("version_info", Document),
    Column("description", Text),
    Column("paused", Boolean, nullable=False),
    Column("tags", Document, nullable=False),
    Column("labels", Document, nullable=False),
    Column("parameters", Document, nullable=False),
    Column("parameter_openapi_schema", Document),
    Column("enforce_parameter_schema", Boolean, nullable=False),
    Column("job_variables", Document, nullable=False),
    Column("pull_steps", Document),
    Column("path", Text),
    Column("entrypoint", Text),
    Column("storage_document_id", Id),
    Column("infrastructure_document_id", Id),
    Column("work_queue_id", Id),
    Column("concurrency_limit_id", Id),
    Column("concurrency_options", Document),
    Column("created_by", Document),
    Column("updated_by", Document),
    Column("last_polled", Time),
    UniqueConstraint("workspace_id", "flow_id", "name"),
    Index("ix_deployment_work_queue_id", "work_queue_id"),
)

deployment_tag = Table(
    "deployment_tag",
    metadata,
    Column("tag", Text, nullable=False),
    Column("deployment_id", Id, nullable=False),
    PrimaryKeyConstraint("tag", "deployment_id"),
    sqlite_with_rowid=False,
)

deployment_schedule = Table(
    "deployment_schedule",
    metadata,
    Column("id", Id, primary_key=True),
    *stamps(),
    Column("deployment_id", Id, nullable=False),
    Column("schedule", Document, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("max_scheduled_runs", Integer),
    Column("parameters", Document, nullable=False),
    Column("slug", Text),
    # when runs have to be made for further times of the schedule; null: at once
    Column("replenish_at", Time),
    UniqueConstraint("deployment_id", "slug"),
)

#: no state has the name of its type
UNUSUAL_NAME = (
    "state_name NOT IN ('Scheduled', 'Pending', 'Running', 'Completed', 'Failed', 'Cancelled', "
    "'Crashed', 'Paused', 'Cancelling')"
)

flow_run = Table(
    "flow_run",
    metadata,
    Column("id", Id, primary_key=True),
    workspace_column(),
    *stamps(),
    Column("name", Text, nullable=False),
    Column("flow_id", Id, nullable=False),
    Column("deployment_id", Id),
    Column("deployment_version", Text),
    Column("schedule_id", Id),
    Column("work_queue_id", Id),
    Column("flow_version", Text),
    Column("parameters", Document, nullable=False),
    Column("idempotency_key", Text),
    Column("context", Document, nullable=False),
    Column("retries", Integer),
    Column("retry_delay", Integer),
    Column("retry_type", Text),
    Column("resuming", Boolean, nullable=False),
    Column("pause_keys", Document),
    Column("tags", Document, nullable=False),
    Column("labels", Document, nullable=False),
    Column("parent_task_run_id", Id),
    Column("state_id", Id),
    Column("state_type", Text),
    Column("state_name", Text),
    Column("state_timestamp", Time),
    Column("run_count", Integer, nullable=False),
    Column("expected_start_time", Time),
    Column("next_scheduled_start_time", Time),
    Column("start_time", Time),
    Column("end_time", Time),
    # seconds
    Column("total_run_time", Float, nullable=False),
    Column("auto_scheduled", Boolean, nullable=False),
    Column("infrastructure_document_id", Id),
    Column("infrastructure_pid", Text),
    Column("created_by", Document),
    Column("job_variables", Document),
    Column("attempt_id", Id),
    Column("attempt_expires_at", Time),
    CheckConstraint(
        f"(state_type IN {TERMINAL}) = (end_time IS NOT NULL) OR state_type IS NULL",
        name="ended_when_terminal",
    ),
    CheckConstraint("(state_id IS NULL) = (state_type IS NULL)", name="state_has_type"),
    Index("ix_flow_run_expected_start_time", "expected_start_time", "id"),
    Index("ix_flow_run_deployment_id", "deployment_id", "expected_start_time"),
    Index("ix_flow_run_flow_id", "flow_id", "expected_start_time"),
    Index("ix_flow_run_state_type", "state_type", "expected_start_time"),
)
# With the state type, so that a list of failed runs need not look at the others.
partial_index(
    "ix_flow_run_start_time",
    flow_run,
    "start_time IS NOT NULL",
    "start_time",
    "id",
    "state_type",
)
partial_index("ix_flow_run_end_time", flow_run, "end_time IS NOT NULL", "end_time", "id")
partial_index("ix_flow_run_cancelled", flow_run, "state_type = 'CANCELLED'", "end_time")
partial_index(
    "ix_flow_run_parent_task_run_id",
    flow_run,
    "parent_task_run_id IS NOT NULL",
    "parent_task_run_id",
)
partial_index(
    "ix_flow_run_due_of_deployment",
    flow_run,
    "state_type = 'SCHEDULED' AND deployment_id IS NOT NULL",
    "deployment_id",
    "next_scheduled_start_time",
)
partial_index(
    "ix_flow_run_due",
    flow_run,
    "state_type = 'SCHEDULED'",
    "work_queue_id",
    "next_scheduled_start_time",
)
partial_index(
    "ix_flow_run_not_late",
    flow_run,
    "state_name = 'Scheduled'",
    "next_scheduled_start_time",
)
partial_index(
    "ix_flow_run_slots",
    flow_run,
    "state_type IN ('PENDING', 'RUNNING', 'CANCELLING')",
    "work_queue_id",
    "state_type",
)
# Lists of runs in a state of an unusual name, such as Late. The usual names cost nothing.
partial_index(
    "ix_flow_run_unusual_name",
    flow_run,
    UNUSUAL_NAME,
    "state_name",
    "expected_start_time",
)
partial_index("ix_flow_run_attempt_id", flow_run, "attempt_id IS NOT NULL", "attempt_id")
partial_index(
    "ix_flow_run_attempt_expires_at",
    flow_run,
    "attempt_expires_at IS NOT NULL",
    "attempt_expires_at",
)
partial_index(
    "ix_flow_run_schedule_id",
    flow_run,
    "schedule_id IS NOT NULL AND state_type = 'SCHEDULED'",
    "schedule_id",
    "next_scheduled_start_time",
)

# How many runs there are in all by state, by deployment and state, by hour and state. What does not
# divide has a fixed value: an id of zeros, an hour long ago. See store/flow_run_counts.py.
flow_run_count = Table(
    "flow_run_count",
    metadata,
    # state, deployment or hour
    Column("dimension", Text, nullable=False),
    Column("deployment_id", Id, nullable=False),
    # of `expected_start_time`, since 1970
    Column("hour", BigInteger, nullable=False),
    Column("state_type", Text, nullable=False),
    Column("runs", BigInteger, nullable=False),
    PrimaryKeyConstraint("dimension", "deployment_id", "hour", "state_type"),
    sqlite_with_rowid=False,
)

# What has changed since, run by run: counts of both have to be added up.
flow_run_change = Table(
    "flow_run_change",
    metadata,
    Column("deployment_id", Id, nullable=False),
    Column("hour", BigInteger, nullable=False),
    Column("state_type", Text, nullable=False),
    Column("runs", Integer, nullable=False),
)

flow_run_tag = Table(
    "flow_run_tag",
    metadata,
    Column("tag", Text, nullable=False),
    Column("flow_run_id", Id, nullable=False),
    PrimaryKeyConstraint("tag", "flow_run_id"),
    sqlite_with_rowid=False,
)

# A run's place in a schedule: at most one run per (schedule, time), whichever server made it.
schedule_time = Table(
    "schedule_time",
    metadata,
    Column("schedule_id", Id, nullable=False),
    Column("at", Time, nullable=False),
    Column("flow_run_id", Id, nullable=False),
    PrimaryKeyConstraint("schedule_id", "at"),
    sqlite_with_rowid=False,
)

idempotency_key = Table(
    "idempotency_key",
    metadata,
    workspace_column(),
    Column("key", Text, nullable=False),
    # the flow in whose runs the key is unique
    Column("scope", Id, nullable=False),
    Column("flow_run_id", Id, nullable=False),
    PrimaryKeyConstraint("workspace_id", "key", "scope"),
    sqlite_with_rowid=False,
)

task_run = Table(
    "task_run",
    metadata,
    Column("id", Id, primary_key=True),
    workspace_column(),
    *stamps(),
    Column("name", Text, nullable=False),
    Column("flow_run_id", Id),
    Column("task_key", Text, nullable=False),
    Column("dynamic_key", Text, nullable=False),
    Column("cache_key", Text),
    Column("cache_expiration", Time),
    Column("task_version", Text),
    Column("empirical_policy", Document, nullable=False),
    Column("tags", Document, nullable=False),
    Column("labels", Document, nullable=False),
    Column("task_inputs", Document, nullable=False),
    Column("state_id", Id),
    Column("state_type", Text),
    Column("state_name", Text),
    Column("state_timestamp", Time),
    Column("run_count", Integer, nullable=False),
    Column("flow_run_run_count", Integer, nullable=False),
    Column("expected_start_time", Time),
    Column("next_scheduled_start_time", Time),
    Column("start_time", Time),
    Column("end_time", Time),
    Column("total_run_time", Float, nullable=False),
    UniqueConstraint("flow_run_id", "task_key", "dynamic_key"),
    Index("ix_task_run_expected_start_time", "expected_start_time", "id"),
)

task_run_tag = Table(
    "task_run_tag",
    metadata,
    Column("tag", Text, nullable=False),
    Column("task_run_id", Id, nullable=False),
    PrimaryKeyConstraint("tag", "task_run_id"),
    sqlite_with_rowid=False,
)

# The history of flow runs and task runs, never changed once written.
# `run_id` is the flow run's id, for a task run too; a task run without a flow run has its own.
state = Table(
    "state",
    metadata,
    Column("run_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("task_run_id", Id),
    Column("type", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("timestamp", Time, nullable=False),
    Column("message", Text),
    Column("data", Document),
    Column("state_details", Document, nullable=False),
    PrimaryKeyConstraint("run_id", "id"),
    Index("ix_state_id", "id"),
    sqlite_with_rowid=False,
)
partial_index("ix_state_task_run_id", state, "task_run_id IS NOT NULL", "task_run_id", "timestamp")

work_pool = Table(
    "work_pool",
    metadata,
    Column("id", Id, primary_key=True),
    workspace_column(),
    *stamps(),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("type", Text, nullable=False),
    Column("base_job_template", Document, nullable=False),
    Column("is_paused", Boolean, nullable=False),
    Column("concurrency_limit", Integer),
    Column("status", Text),
    Column("default_queue_id", Id),
    Column("storage_configuration", Document, nullable=False),
    Column("created_by", Document),
    Column("updated_by", Document),
    UniqueConstraint("workspace_id", "name"),
)

work_queue = Table(
    "work_queue",
    metadata,
    Column("id", Id, primary_key=True),
    *stamps(),
    Column("work_pool_id", Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("is_paused", Boolean, nullable=False),
    Column("concurrency_limit", Integer),
    Column("priority", Integer, nullable=False),
    Column("filter", Document),
    Column("last_polled", Time),
    Column("status", Text, nullable=False),
    UniqueConstraint("work_pool_id", "name"),
)

worker = Table(
    "worker",
    metadata,
    Column("id", Id, primary_key=True),
    *stamps(),
    Column("work_pool_id", Id, nullable=False),
    Column("name", Text, nullable=False),
    # tells agents of the GraphQL dialect apart, which share a name; '' for others
    Column("agent_key", Text, nullable=False, server_default=text("''")),
    Column("last_heartbeat_time", Time, nullable=False),
    Column("heartbeat_interval_seconds", Float),
    UniqueConstraint("work_pool_id", "name", "agent_key"),
)

concurrency_limit = Table(
    "concurrency_limit",
    metadata,
    Column("id", Id, primary_key=True),
    workspace_column(),
    *stamps(),
    Column("name", Text, nullable=False),
    Column("limit", Integer, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("active_slots", Integer, nullable=False),
    Column("denied_slots", Integer, nullable=False),
    Column("slot_decay_per_second", Float, nullable=False),
    Column("avg_slot_occupancy_seconds", Float, nullable=False),
    UniqueConstraint("workspace_id", "name"),
)

# What a run waits for from people, and what they answer.
flow_run_input = Table(
    "flow_run_input",
    metadata,
    Column("id", Id, primary_key=True),
    *stamps(),
    Column("flow_run_id", Id, nullable=False),
    Column("key", Text, nullable=False),
    # as it was sent; clients put JSON in it
    Column("value", Text, nullable=False),
    Column("sender", Text),
    UniqueConstraint("flow_run_id", "key"),
)

# Completed states by the cache key of their task, for task runs that the server orchestrates.
task_cache = Table(
    "task_cache",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created", Time, nullable=False),
    Column("cache_key", Text, nullable=False),
    Column("expires_at", Time),
    # where the state is: the first part of its key, and its id
    Column("run_id", Id, nullable=False),
    Column("state_id", Id, nullable=False),
    Index("ix_task_cache_cache_key", "cache_key", "created"),
)

# Background task runs that wait for a task worker; removed when one has acknowledged it.
task_delivery = Table(
    "task_delivery",
    metadata,
    Column("task_run_id", Id, primary_key=True),
    Column("task_key", Text, nullable=False),
    # 0: retried, served first; 1: all others
    Column("priority", Integer, nullable=False),
    Column("created", Time, nullable=False),
    # the subscription it was sent to, and until when it may acknowledge it
    Column("claimed_by", Id),
    Column("claimed_until", Time),
    Index("ix_task_delivery_task_key", "task_key", "priority", "created"),
)

# Task workers that are connected to some server.
task_worker = Table(
    "task_worker",
    metadata,
    Column("id", Id, primary_key=True),
    Column("identifier", Text, nullable=False),
    Column("task_keys", Document, nullable=False),
    Column("last_seen", Time, nullable=False),
)

# The right to hold slots of concurrency limits until a time; its slots go with it.
concurrency_lease = Table(
    "concurrency_lease",
    metadata,
    Column("id", Id, primary_key=True),
    workspace_column(),
    Column("created", Time, nullable=False),
    # null: until it is released
    Column("expires_at", Time),
    # flow_run, task_run or deployment, and which; null: somebody unnamed
    Column("holder_type", Text),
    Column("holder_id", Id),
)
partial_index(
    "ix_concurrency_lease_expires_at",
    concurrency_lease,
    "expires_at IS NOT NULL",
    "expires_at",
)
partial_index(
    "ix_concurrency_lease_holder_id",
    concurrency_lease,
    "holder_id IS NOT NULL",
    "holder_id",
)

# The slots that a lease holds, limit by limit; each is counted in its limit's `active_slots`.
concurrency_slot = Table(
    "concurrency_slot",
    metadata,
    Column("limit_id", Id, nullable=False),
    Column("lease_id", Id, nullable=False),
    Column("slots", Integer, nullable=False),
    PrimaryKeyConstraint("limit_id", "lease_id"),
    Index("ix_concurrency_slot_lease_id", "lease_id"),
    sqlite_with_rowid=False,
)

# What has been committed and is still to be told: events, one row each, in order.
outbox = Table(
    "outbox",
    metadata,
    Column(
        "seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    ),
    # PostgreSQL only: the writing transaction, so that readers never skip one that commits late
    Column("xid", BigInteger, nullable=False, server_default=text("0")),
    Column("kind", Text, nullable=False),
    Column("body", Document, nullable=False),
    # numbers are never used again, so that removing what was told cannot hit what is new
    sqlite_autoincrement=True,
)

lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Id, nullable=False),
    Column("expires_at", Time, nullable=False),
)
