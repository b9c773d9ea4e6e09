"""`Client` and `AsyncClient`: one method per wire operation, the same names in both.

What an operation sends is written once in `calls/`; when it is repeated, in `wire.py`.
"""

from __future__ import annotations

import functools
import os
import time
import weakref
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar, cast

import orjson

from penstock.sdk import calls, wire
from penstock.sdk.lean_httpx import httpx
from penstock.sdk.settings import Settings, read_settings

if TYPE_CHECKING:
    from types import TracebackType

P = ParamSpec("P")
T = TypeVar("T")


class operation(Generic[P, T]):
    """A method of `Client` that carries out a call and blocks until it is answered."""

    def __init__(self, make: Callable[P, wire.Call[T]]) -> None:
        self.make = make
        self.__doc__ = make.__doc__

    def __get__(self, client: Client | None, owner: type) -> Callable[P, T]:
        if client is None:
            return cast(Callable[P, T], self)

        @functools.wraps(self.make)
        def method(*args: P.args, **kwargs: P.kwargs) -> T:
            return client.do(self.make(*args, **kwargs))

        return method


class async_operation(Generic[P, T]):
    """A method of `AsyncClient` that carries out a call and is awaited."""

    def __init__(self, make: Callable[P, wire.Call[T]]) -> None:
        self.make = make
        self.__doc__ = make.__doc__

    def __get__(self, client: AsyncClient | None, owner: type) -> Callable[P, Awaitable[T]]:
        if client is None:
            return cast(Callable[P, Awaitable[T]], self)

        @functools.wraps(self.make)
        async def method(*args: P.args, **kwargs: P.kwargs) -> T:
            return await client.do(self.make(*args, **kwargs))

        return method


def _endpoint(settings: Settings, api_url: str | None) -> str:
    if api_url or settings.api_url:
        return (api_url or settings.api_url or "").rstrip("/")
    from penstock.sdk.embedded import local_server_url

    return local_server_url(settings)


def _http_options(api_url: str) -> dict[str, Any]:
    # a TLS context costs 50 ms; a plain address needs none, and no proxy on the loopback
    plain = api_url.startswith("http://")
    loopback = plain and httpx.URL(api_url).host in ("127.0.0.1", "localhost", "::1")
    return {"base_url": api_url, "verify": not plain, "trust_env": not loopback}


def _request_options(request: wire.Request) -> dict[str, Any]:
    return {
        # a path that starts with / would be taken from the host's root
        "url": request.path.lstrip("/"),
        "content": request.content,
        "headers": request.headers,
        "params": request.query,
        "timeout": request.timeout_seconds,
    }


def _reply(response: httpx.Response) -> wire.Reply:
    return wire.Reply(response.status_code, response.content, response.headers.get("Retry-After"))


def _failure(error: httpx.TransportError) -> wire.Failure:
    sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    return wire.Failure(str(error) or type(error).__name__, sent)


class Client:
    """Talks to a Penstock server and blocks; may be shared between threads.

    Without `api_url` and PENSTOCK_API_URL the local server is joined, or started.
    """

    def __init__(self, api_url: str | None = None, *, settings: Settings | None = None) -> None:
        self.settings = settings or read_settings()
        self.api_url = _endpoint(self.settings, api_url)
        self._headers = wire.auth_headers(self.settings)
        self._http = httpx.Client(**_http_options(self.api_url))
        _clients.add(self)

    def _after_fork(self) -> None:
        # the parent's connections stay open, unused: both processes would speak on them
        self._parents_http = self._http
        self._http = httpx.Client(**_http_options(self.api_url))

    def do(self, call: wire.Call[T]) -> T:
        """Carries out a call and gives its parsed answer."""
        return call.parse(self._exchange(call))

    def do_json(self, call: wire.Call[Any]) -> Any:
        """Carries out a call and gives the answer's plain JSON, without loading the models."""
        content = self._exchange(call)
        return orjson.loads(content) if content else None

    def _exchange(self, call: wire.Call[Any]) -> bytes:
        steps = wire.exchange(call, self._headers)
        answer: wire.Reply | wire.Failure | None = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as stop:
                return bytes(stop.value)
            if isinstance(step, wire.Wait):
                time.sleep(step.seconds)
                answer = None
                continue
            try:
                answer = _reply(self._http.request(step.method, **_request_options(step)))
            except httpx.TransportError as error:
                answer = _failure(error)

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    read_version = operation(calls.read_version)
    read_health = operation(calls.read_health)
    read_ready = operation(calls.read_ready)
    read_api_version = operation(calls.read_api_version)
    hello = operation(calls.hello)
    create_flow = operation(calls.create_flow)
    read_flow = operation(calls.read_flow)
    read_flow_by_name = operation(calls.read_flow_by_name)
    read_flows = operation(calls.read_flows)
    count_flows = operation(calls.count_flows)
    update_flow = operation(calls.update_flow)
    delete_flow = operation(calls.delete_flow)
    paginate_flows = operation(calls.paginate_flows)
    bulk_delete_flows = operation(calls.bulk_delete_flows)
    count_deployments_by_flow = operation(calls.count_deployments_by_flow)
    next_runs_by_flow = operation(calls.next_runs_by_flow)
    create_flow_run = operation(calls.create_flow_run)
    create_flow_runs = operation(calls.create_flow_runs)
    read_flow_run = operation(calls.read_flow_run)
    read_flow_runs = operation(calls.read_flow_runs)
    count_flow_runs = operation(calls.count_flow_runs)
    update_flow_run = operation(calls.update_flow_run)
    update_flow_run_labels = operation(calls.update_flow_run_labels)
    delete_flow_run = operation(calls.delete_flow_run)
    set_flow_run_state = operation(calls.set_flow_run_state)
    resume_flow_run = operation(calls.resume_flow_run)
    create_flow_run_input = operation(calls.create_flow_run_input)
    read_flow_run_input = operation(calls.read_flow_run_input)
    read_flow_run_inputs = operation(calls.read_flow_run_inputs)
    delete_flow_run_input = operation(calls.delete_flow_run_input)
    read_flow_run_states = operation(calls.read_flow_run_states)
    renew_attempt = operation(calls.renew_attempt)
    read_flow_run_state = operation(calls.read_flow_run_state)
    paginate_flow_runs = operation(calls.paginate_flow_runs)
    read_flow_run_history = operation(calls.read_flow_run_history)
    read_average_lateness = operation(calls.read_average_lateness)
    bulk_delete_flow_runs = operation(calls.bulk_delete_flow_runs)
    bulk_set_flow_run_state = operation(calls.bulk_set_flow_run_state)
    read_flow_run_dots = operation(calls.read_flow_run_dots)
    count_task_runs_by_flow_run = operation(calls.count_task_runs_by_flow_run)
    create_task_run = operation(calls.create_task_run)
    update_task_run = operation(calls.update_task_run)
    set_task_run_state = operation(calls.set_task_run_state)
    read_task_run = operation(calls.read_task_run)
    read_task_runs = operation(calls.read_task_runs)
    count_task_runs = operation(calls.count_task_runs)
    read_task_run_states = operation(calls.read_task_run_states)
    read_task_run_state = operation(calls.read_task_run_state)
    paginate_task_runs = operation(calls.paginate_task_runs)
    read_task_run_history = operation(calls.read_task_run_history)
    delete_task_run = operation(calls.delete_task_run)
    count_task_runs_by_state = operation(calls.count_task_runs_by_state)
    read_ui_task_run = operation(calls.read_ui_task_run)
    count_task_run_outcomes = operation(calls.count_task_run_outcomes)
    read_task_workers = operation(calls.read_task_workers)
    create_deployment = operation(calls.create_deployment)
    read_deployment = operation(calls.read_deployment)
    read_deployment_by_name = operation(calls.read_deployment_by_name)
    read_deployments = operation(calls.read_deployments)
    count_deployments = operation(calls.count_deployments)
    update_deployment = operation(calls.update_deployment)
    delete_deployment = operation(calls.delete_deployment)
    pause_deployment = operation(calls.pause_deployment)
    resume_deployment = operation(calls.resume_deployment)
    read_deployment_schedules = operation(calls.read_deployment_schedules)
    create_deployment_schedules = operation(calls.create_deployment_schedules)
    update_deployment_schedule = operation(calls.update_deployment_schedule)
    delete_deployment_schedule = operation(calls.delete_deployment_schedule)
    schedule_deployment = operation(calls.schedule_deployment)
    paginate_deployments = operation(calls.paginate_deployments)
    bulk_delete_deployments = operation(calls.bulk_delete_deployments)
    work_queue_check_for_deployment = operation(calls.work_queue_check_for_deployment)
    get_scheduled_flow_runs_for_deployments = operation(
        calls.get_scheduled_flow_runs_for_deployments
    )
    create_automation = operation(calls.create_automation)
    read_automations = operation(calls.read_automations)
    count_automations = operation(calls.count_automations)
    read_automations_related_to = operation(calls.read_automations_related_to)
    delete_automations_owned_by = operation(calls.delete_automations_owned_by)
    create_work_pool = operation(calls.create_work_pool)
    read_work_pool = operation(calls.read_work_pool)
    read_work_pools = operation(calls.read_work_pools)
    count_work_pools = operation(calls.count_work_pools)
    update_work_pool = operation(calls.update_work_pool)
    delete_work_pool = operation(calls.delete_work_pool)
    read_workers = operation(calls.read_workers)
    send_worker_heartbeat = operation(calls.send_worker_heartbeat)
    delete_worker = operation(calls.delete_worker)
    get_scheduled_flow_runs = operation(calls.get_scheduled_flow_runs)
    read_work_pool_concurrency_status = operation(calls.read_work_pool_concurrency_status)
    create_work_queue = operation(calls.create_work_queue)
    read_work_queues = operation(calls.read_work_queues)
    read_work_queue = operation(calls.read_work_queue)
    update_work_queue = operation(calls.update_work_queue)
    delete_work_queue = operation(calls.delete_work_queue)
    create_default_pool_queue = operation(calls.create_default_pool_queue)
    read_all_work_queues = operation(calls.read_all_work_queues)
    read_work_queue_by_name = operation(calls.read_work_queue_by_name)
    read_work_queue_by_id = operation(calls.read_work_queue_by_id)
    update_work_queue_by_id = operation(calls.update_work_queue_by_id)
    delete_work_queue_by_id = operation(calls.delete_work_queue_by_id)
    read_work_queue_runs = operation(calls.read_work_queue_runs)
    read_work_queue_status = operation(calls.read_work_queue_status)
    read_work_queue_concurrency_status = operation(calls.read_work_queue_concurrency_status)
    create_concurrency_limit = operation(calls.create_concurrency_limit)
    read_concurrency_limit = operation(calls.read_concurrency_limit)
    read_concurrency_limits = operation(calls.read_concurrency_limits)
    update_concurrency_limit = operation(calls.update_concurrency_limit)
    delete_concurrency_limit = operation(calls.delete_concurrency_limit)
    increment_slots = operation(calls.increment_slots)
    increment_slots_with_lease = operation(calls.increment_slots_with_lease)
    decrement_slots = operation(calls.decrement_slots)
    release_lease = operation(calls.release_lease)
    renew_lease = operation(calls.renew_lease)
    set_tag_limit = operation(calls.set_tag_limit)
    read_tag_limit = operation(calls.read_tag_limit)
    read_tag_limit_by_id = operation(calls.read_tag_limit_by_id)
    read_tag_limits = operation(calls.read_tag_limits)
    reset_tag_limit = operation(calls.reset_tag_limit)
    delete_tag_limit = operation(calls.delete_tag_limit)
    delete_tag_limit_by_id = operation(calls.delete_tag_limit_by_id)
    increment_tag_slots = operation(calls.increment_tag_slots)
    decrement_tag_slots = operation(calls.decrement_tag_slots)
    create_variable = operation(calls.create_variable)
    read_variable = operation(calls.read_variable)
    read_variable_by_name = operation(calls.read_variable_by_name)
    read_variables = operation(calls.read_variables)
    count_variables = operation(calls.count_variables)
    update_variable = operation(calls.update_variable)
    update_variable_by_name = operation(calls.update_variable_by_name)
    delete_variable = operation(calls.delete_variable)
    delete_variable_by_name = operation(calls.delete_variable_by_name)
    create_saved_search = operation(calls.create_saved_search)
    read_saved_search = operation(calls.read_saved_search)
    read_saved_searches = operation(calls.read_saved_searches)
    delete_saved_search = operation(calls.delete_saved_search)
    create_artifact = operation(calls.create_artifact)
    read_artifact = operation(calls.read_artifact)
    read_latest_artifact = operation(calls.read_latest_artifact)
    read_artifacts = operation(calls.read_artifacts)
    read_latest_artifacts = operation(calls.read_latest_artifacts)
    count_artifacts = operation(calls.count_artifacts)
    count_latest_artifacts = operation(calls.count_latest_artifacts)
    update_artifact = operation(calls.update_artifact)
    delete_artifact = operation(calls.delete_artifact)
    create_block_type = operation(calls.create_block_type)
    read_block_type = operation(calls.read_block_type)
    read_block_type_by_slug = operation(calls.read_block_type_by_slug)
    read_block_types = operation(calls.read_block_types)
    update_block_type = operation(calls.update_block_type)
    delete_block_type = operation(calls.delete_block_type)
    install_system_block_types = operation(calls.install_system_block_types)
    read_block_documents_of_type = operation(calls.read_block_documents_of_type)
    read_block_document_by_name = operation(calls.read_block_document_by_name)
    create_block_schema = operation(calls.create_block_schema)
    read_block_schema = operation(calls.read_block_schema)
    read_block_schema_by_checksum = operation(calls.read_block_schema_by_checksum)
    read_block_schemas = operation(calls.read_block_schemas)
    delete_block_schema = operation(calls.delete_block_schema)
    read_block_capabilities = operation(calls.read_block_capabilities)
    create_block_document = operation(calls.create_block_document)
    read_block_document = operation(calls.read_block_document)
    read_block_documents = operation(calls.read_block_documents)
    count_block_documents = operation(calls.count_block_documents)
    update_block_document = operation(calls.update_block_document)
    delete_block_document = operation(calls.delete_block_document)
    read_result_storage = operation(calls.read_result_storage)
    update_result_storage = operation(calls.update_result_storage)
    clear_result_storage = operation(calls.clear_result_storage)
    read_collection_view = operation(calls.read_collection_view)
    read_task_run_dependencies = operation(calls.read_task_run_dependencies)
    read_flow_run_graph = operation(calls.read_flow_run_graph)
    download_logs = operation(calls.download_logs)
    create_logs = operation(calls.create_logs)
    read_logs = operation(calls.read_logs)
    create_events = operation(calls.create_events)
    read_events = operation(calls.read_events)
    read_next_events = operation(calls.read_next_events)
    count_events_by = operation(calls.count_events_by)


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _reconnect() -> None:
    for client in list(_clients):
        client._after_fork()


os.register_at_fork(after_in_child=_reconnect)


class AsyncClient:
    """Talks to a Penstock server from asyncio; belongs to one event loop.

    Without `api_url` and PENSTOCK_API_URL the local server is joined, or started.
    """

    def __init__(self, api_url: str | None = None, *, settings: Settings | None = None) -> None:
        self.settings = settings or read_settings()
        self.api_url = _endpoint(self.settings, api_url)
        self._headers = wire.auth_headers(self.settings)
        self._http = httpx.AsyncClient(**_http_options(self.api_url))

    async def do(self, call: wire.Call[T]) -> T:
        """Carries out a call and gives its parsed answer."""
        return call.parse(await self._exchange(call))

    async def do_json(self, call: wire.Call[Any]) -> Any:
        """Carries out a call and gives the answer's plain JSON, without loading the models."""
        content = await self._exchange(call)
        return orjson.loads(content) if content else None

    async def _exchange(self, call: wire.Call[Any]) -> bytes:
        steps = wire.exchange(call, self._headers)
        answer: wire.Reply | wire.Failure | None = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as stop:
                return bytes(stop.value)
            if isinstance(step, wire.Wait):
                from asyncio import sleep

                await sleep(step.seconds)
                answer = None
                continue
            try:
                answer = _reply(await self._http.request(step.method, **_request_options(step)))
            except httpx.TransportError as error:
                answer = _failure(error)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    read_version = async_operation(calls.read_version)
    read_health = async_operation(calls.read_health)
    read_ready = async_operation(calls.read_ready)
    read_api_version = async_operation(calls.read_api_version)
    hello = async_operation(calls.hello)
    create_flow = async_operation(calls.create_flow)
    read_flow = async_operation(calls.read_flow)
    read_flow_by_name = async_operation(calls.read_flow_by_name)
    read_flows = async_operation(calls.read_flows)
    count_flows = async_operation(calls.count_flows)
    update_flow = async_operation(calls.update_flow)
    delete_flow = async_operation(calls.delete_flow)
    paginate_flows = async_operation(calls.paginate_flows)
    bulk_delete_flows = async_operation(calls.bulk_delete_flows)
    count_deployments_by_flow = async_operation(calls.count_deployments_by_flow)
    next_runs_by_flow = async_operation(calls.next_runs_by_flow)
    create_flow_run = async_operation(calls.create_flow_run)
    create_flow_runs = async_operation(calls.create_flow_runs)
    read_flow_run = async_operation(calls.read_flow_run)
    read_flow_runs = async_operation(calls.read_flow_runs)
    count_flow_runs = async_operation(calls.count_flow_runs)
    update_flow_run = async_operation(calls.update_flow_run)
    update_flow_run_labels = async_operation(calls.update_flow_run_labels)
    delete_flow_run = async_operation(calls.delete_flow_run)
    set_flow_run_state = async_operation(calls.set_flow_run_state)
    resume_flow_run = async_operation(calls.resume_flow_run)
    create_flow_run_input = async_operation(calls.create_flow_run_input)
    read_flow_run_input = async_operation(calls.read_flow_run_input)
    read_flow_run_inputs = async_operation(calls.read_flow_run_inputs)
    delete_flow_run_input = async_operation(calls.delete_flow_run_input)
    read_flow_run_states = async_operation(calls.read_flow_run_states)
    renew_attempt = async_operation(calls.renew_attempt)
    read_flow_run_state = async_operation(calls.read_flow_run_state)
    paginate_flow_runs = async_operation(calls.paginate_flow_runs)
    read_flow_run_history = async_operation(calls.read_flow_run_history)
    read_average_lateness = async_operation(calls.read_average_lateness)
    bulk_delete_flow_runs = async_operation(calls.bulk_delete_flow_runs)
    bulk_set_flow_run_state = async_operation(calls.bulk_set_flow_run_state)
    read_flow_run_dots = async_operation(calls.read_flow_run_dots)
    count_task_runs_by_flow_run = async_operation(calls.count_task_runs_by_flow_run)
    create_task_run = async_operation(calls.create_task_run)
    update_task_run = async_operation(calls.update_task_run)
    set_task_run_state = async_operation(calls.set_task_run_state)
    read_task_run = async_operation(calls.read_task_run)
    read_task_runs = async_operation(calls.read_task_runs)
    count_task_runs = async_operation(calls.count_task_runs)
    read_task_run_states = async_operation(calls.read_task_run_states)
    read_task_run_state = async_operation(calls.read_task_run_state)
    paginate_task_runs = async_operation(calls.paginate_task_runs)
    read_task_run_history = async_operation(calls.read_task_run_history)
    delete_task_run = async_operation(calls.delete_task_run)
    count_task_runs_by_state = async_operation(calls.count_task_runs_by_state)
    read_ui_task_run = async_operation(calls.read_ui_task_run)
    count_task_run_outcomes = async_operation(calls.count_task_run_outcomes)
    read_task_workers = async_operation(calls.read_task_workers)
    create_deployment = async_operation(calls.create_deployment)
    read_deployment = async_operation(calls.read_deployment)
    read_deployment_by_name = async_operation(calls.read_deployment_by_name)
    read_deployments = async_operation(calls.read_deployments)
    count_deployments = async_operation(calls.count_deployments)
    update_deployment = async_operation(calls.update_deployment)
    delete_deployment = async_operation(calls.delete_deployment)
    pause_deployment = async_operation(calls.pause_deployment)
    resume_deployment = async_operation(calls.resume_deployment)
    read_deployment_schedules = async_operation(calls.read_deployment_schedules)
    create_deployment_schedules = async_operation(calls.create_deployment_schedules)
    update_deployment_schedule = async_operation(calls.update_deployment_schedule)
    delete_deployment_schedule = async_operation(calls.delete_deployment_schedule)
    schedule_deployment = async_operation(calls.schedule_deployment)
    paginate_deployments = async_operation(calls.paginate_deployments)
    bulk_delete_deployments = async_operation(calls.bulk_delete_deployments)
    work_queue_check_for_deployment = async_operation(calls.work_queue_check_for_deployment)
    get_scheduled_flow_runs_for_deployments = async_operation(
        calls.get_scheduled_flow_runs_for_deployments
    )
    create_automation = async_operation(calls.create_automation)
    read_automations = async_operation(calls.read_automations)
    count_automations = async_operation(calls.count_automations)
    read_automations_related_to = async_operation(calls.read_automations_related_to)
    delete_automations_owned_by = async_operation(calls.delete_automations_owned_by)
    create_work_pool = async_operation(calls.create_work_pool)
    read_work_pool = async_operation(calls.read_work_pool)
    read_work_pools = async_operation(calls.read_work_pools)
    count_work_pools = async_operation(calls.count_work_pools)
    update_work_pool = async_operation(calls.update_work_pool)
    delete_work_pool = async_operation(calls.delete_work_pool)
    read_workers = async_operation(calls.read_workers)
    send_worker_heartbeat = async_operation(calls.send_worker_heartbeat)
    delete_worker = async_operation(calls.delete_worker)
    get_scheduled_flow_runs = async_operation(calls.get_scheduled_flow_runs)
    read_work_pool_concurrency_status = async_operation(calls.read_work_pool_concurrency_status)
    create_work_queue = async_operation(calls.create_work_queue)
    read_work_queues = async_operation(calls.read_work_queues)
    read_work_queue = async_operation(calls.read_work_queue)
    update_work_queue = async_operation(calls.update_work_queue)
    delete_work_queue = async_operation(calls.delete_work_queue)
    create_default_pool_queue = async_operation(calls.create_default_pool_queue)
    read_all_work_queues = async_operation(calls.read_all_work_queues)
    read_work_queue_by_name = async_operation(calls.read_work_queue_by_name)
    read_work_queue_by_id = async_operation(calls.read_work_queue_by_id)
    update_work_queue_by_id = async_operation(calls.update_work_queue_by_id)
    delete_work_queue_by_id = async_operation(calls.delete_work_queue_by_id)
    read_work_queue_runs = async_operation(calls.read_work_queue_runs)
    read_work_queue_status = async_operation(calls.read_work_queue_status)
    read_work_queue_concurrency_status = async_operation(calls.read_work_queue_concurrency_status)
    create_concurrency_limit = async_operation(calls.create_concurrency_limit)
    read_concurrency_limit = async_operation(calls.read_concurrency_limit)
    read_concurrency_limits = async_operation(calls.read_concurrency_limits)
    update_concurrency_limit = async_operation(calls.update_concurrency_limit)
    delete_concurrency_limit = async_operation(calls.delete_concurrency_limit)
    increment_slots = async_operation(calls.increment_slots)
    increment_slots_with_lease = async_operation(calls.increment_slots_with_lease)
    decrement_slots = async_operation(calls.decrement_slots)
    release_lease = async_operation(calls.release_lease)
    renew_lease = async_operation(calls.renew_lease)
    set_tag_limit = async_operation(calls.set_tag_limit)
    read_tag_limit = async_operation(calls.read_tag_limit)
    read_tag_limit_by_id = async_operation(calls.read_tag_limit_by_id)
    read_tag_limits = async_operation(calls.read_tag_limits)
    reset_tag_limit = async_operation(calls.reset_tag_limit)
    delete_tag_limit = async_operation(calls.delete_tag_limit)
    delete_tag_limit_by_id = async_operation(calls.delete_tag_limit_by_id)
    increment_tag_slots = async_operation(calls.increment_tag_slots)
    decrement_tag_slots = async_operation(calls.decrement_tag_slots)
    create_variable = async_operation(calls.create_variable)
    read_variable = async_operation(calls.read_variable)
    read_variable_by_name = async_operation(calls.read_variable_by_name)
    read_variables = async_operation(calls.read_variables)
    count_variables = async_operation(calls.count_variables)
    update_variable = async_operation(calls.update_variable)
    update_variable_by_name = async_operation(calls.update_variable_by_name)
    delete_variable = async_operation(calls.delete_variable)
    delete_variable_by_name = async_operation(calls.delete_variable_by_name)
    create_saved_search = async_operation(calls.create_saved_search)
    read_saved_search = async_operation(calls.read_saved_search)
    read_saved_searches = async_operation(calls.read_saved_searches)
    delete_saved_search = async_operation(calls.delete_saved_search)
    create_artifact = async_operation(calls.create_artifact)
    read_artifact = async_operation(calls.read_artifact)
    read_latest_artifact = async_operation(calls.read_latest_artifact)
    read_artifacts = async_operation(calls.read_artifacts)
    read_latest_artifacts = async_operation(calls.read_latest_artifacts)
    count_artifacts = async_operation(calls.count_artifacts)
    count_latest_artifacts = async_operation(calls.count_latest_artifacts)
    update_artifact = async_operation(calls.update_artifact)
    delete_artifact = async_operation(calls.delete_artifact)
    create_block_type = async_operation(calls.create_block_type)
    read_block_type = async_operation(calls.read_block_type)
    read_block_type_by_slug = async_operation(calls.read_block_type_by_slug)
    read_block_types = async_operation(calls.read_block_types)
    update_block_type = async_operation(calls.update_block_type)
    delete_block_type = async_operation(calls.delete_block_type)
    install_system_block_types = async_operation(calls.install_system_block_types)
    read_block_documents_of_type = async_operation(calls.read_block_documents_of_type)
    read_block_document_by_name = async_operation(calls.read_block_document_by_name)
    create_block_schema = async_operation(calls.create_block_schema)
    read_block_schema = async_operation(calls.read_block_schema)
    read_block_schema_by_checksum = async_operation(calls.read_block_schema_by_checksum)
    read_block_schemas = async_operation(calls.read_block_schemas)
    delete_block_schema = async_operation(calls.delete_block_schema)
    read_block_capabilities = async_operation(calls.read_block_capabilities)
    create_block_document = async_operation(calls.create_block_document)
    read_block_document = async_operation(calls.read_block_document)
    read_block_documents = async_operation(calls.read_block_documents)
    count_block_documents = async_operation(calls.count_block_documents)
    update_block_document = async_operation(calls.update_block_document)
    delete_block_document = async_operation(calls.delete_block_document)
    read_result_storage = async_operation(calls.read_result_storage)
    update_result_storage = async_operation(calls.update_result_storage)
    clear_result_storage = async_operation(calls.clear_result_storage)
    read_collection_view = async_operation(calls.read_collection_view)
    read_task_run_dependencies = async_operation(calls.read_task_run_dependencies)
    read_flow_run_graph = async_operation(calls.read_flow_run_graph)
    download_logs = async_operation(calls.download_logs)
    create_logs = async_operation(calls.create_logs)
    read_logs = async_operation(calls.read_logs)
    create_events = async_operation(calls.create_events)
    read_events = async_operation(calls.read_events)
    read_next_events = async_operation(calls.read_next_events)
    count_events_by = async_operation(calls.count_events_by)
