"""`@flow`: a function whose calls are flow runs."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload
from uuid import UUID

from penstock.sdk import parameters as flow_parameters
from penstock.sdk.hooks import Hook, as_hooks
from penstock.sdk.run_logs import capture_prints
from penstock.sdk.task_runs import short_name

if TYPE_CHECKING:
    from penstock.sdk.client import Client
    from penstock.sdk.serving import FlowDeployment

P = ParamSpec("P")
R = TypeVar("R")


class Flow(Generic[P, R]):
    """A flow. Calling it creates a flow run, executes it here and gives the result."""

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        version: str | None = None,
        tags: Iterable[str] | None = None,
        retries: int = 0,
        retry_delay_seconds: float | None = None,
        timeout_seconds: float | None = None,
        flow_run_name: str | Callable[[], str] | None = None,
        validate_parameters: bool = True,
        log_prints: bool = False,
        max_task_threads: int = 32,
        on_running: Iterable[Hook] | None = None,
        on_completion: Iterable[Hook] | None = None,
        on_failure: Iterable[Hook] | None = None,
        on_cancellation: Iterable[Hook] | None = None,
        on_crashed: Iterable[Hook] | None = None,
    ) -> None:
        if retries < 0 or (timeout_seconds is not None and timeout_seconds <= 0):
            raise ValueError("retries must not be negative, timeout_seconds must be positive")
        functools.update_wrapper(self, function)
        self.function = function
        self.name = name or function.__name__.replace("_", "-")
        self.description = description or inspect.getdoc(function)
        self.version = version
        self.tags = sorted(set(tags or ()))
        self.retries = retries
        self.retry_delay_seconds = retry_delay_seconds
        self.timeout_seconds = timeout_seconds
        self.flow_run_name = flow_run_name
        self.validate_parameters = validate_parameters
        self.log_prints = log_prints
        #: how many submitted tasks run at once
        self.max_task_threads = max_task_threads
        #: called with the flow, its run and the state when a run has entered such a state
        self.on_running = as_hooks(on_running)
        self.on_completion = as_hooks(on_completion)
        self.on_failure = as_hooks(on_failure)
        self.on_cancellation = as_hooks(on_cancellation)
        self.on_crashed = as_hooks(on_crashed)
        self.is_async = inspect.iscoroutinefunction(function)
        if log_prints:
            capture_prints()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs the flow and gives its result; an async flow gives a coroutine.

        Raises the flow's own exception when it fails, ParameterError when the parameters do not
        fit. With `return_state=True` gives the final State instead and raises neither.
        """
        from penstock.sdk.run import run_flow

        return_state = bool(kwargs.pop("return_state", False))
        bound = self.bind(args, kwargs)
        result: R = run_flow(self, bound, return_state)
        return result

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters by name, checked and converted; raises ParameterError."""
        bound = flow_parameters.bind(self.function, args, kwargs)
        if self.validate_parameters:
            bound = flow_parameters.validate(self.function, bound)
        return bound

    def bind_stored(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of a run's record, as `bind` gives them; raises ParameterError."""
        return self.bind(*flow_parameters.from_stored(self.function, stored))

    def call(self, bound: Mapping[str, Any]) -> Any:
        """Calls the plain function with bound parameters."""
        args, kwargs = flow_parameters.call_arguments(self.function, bound)
        return self.function(*args, **kwargs)

    def name_run(self, bound: Mapping[str, Any]) -> str | None:
        """The name of a run of this flow; None leaves it to the server."""
        return short_name(self.flow_run_name, lambda: bound)

    def policy(self) -> dict[str, Any] | None:
        """The retries as the server wants them, in whole seconds; None without retries."""
        if not self.retries:
            return None
        return {
            "retries": self.retries,
            "retry_delay": math.ceil(self.retry_delay_seconds or 0),
        }

    def parameter_schema(self) -> dict[str, Any]:
        """The parameters as JSON Schema."""
        return flow_parameters.parameter_schema(self.function)

    def with_options(self, **options: Any) -> Flow[P, R]:
        """The same flow with some options changed."""
        current = {
            name: getattr(self, name)
            for name in inspect.signature(Flow).parameters
            if name != "function"
        }
        return Flow(self.function, **{**current, **options})

    def deploy(self, name: str, *, client: Client | None = None, **options: Any) -> UUID:
        """Creates or replaces the deployment `flow/name` and gives its id.

        The options are those of `penstock.sdk.deployments.deploy`, among them `work_pool_name`,
        `parameters`, `cron` or `interval` with `timezone`, `tags` and `path`.
        """
        from penstock.sdk.deployments import deploy

        return deploy(self, name, client=client, **options)

    def to_deployment(self, name: str | None = None, **options: Any) -> FlowDeployment:
        """A deployment for `serve`, not made yet; the options are those of `deploy`, no pool.

        Without a name it is called like the flow's file.
        """
        from penstock.sdk.serving import to_deployment

        made: FlowDeployment = to_deployment(self, name, options)
        return made

    def serve(
        self,
        name: str | None = None,
        *,
        limit: int = 100,
        pause_on_shutdown: bool = True,
        client: Client | None = None,
        **options: Any,
    ) -> None:
        """Makes a deployment of this flow and executes its runs here until SIGINT or SIGTERM.

        The options are those of `deploy` (`cron`, `interval`, `rrule`, `schedules`, `parameters`,
        `tags`, ...), no work pool. For the rest see `penstock.serve`.
        """
        from penstock.sdk.serving import serve

        deployment = self.to_deployment(name, **options)
        serve(deployment, limit=limit, pause_on_shutdown=pause_on_shutdown, client=client)


@overload
def flow(function: Callable[P, R], /) -> Flow[P, R]: ...


@overload
def flow(
    *,
    name: str | None = None,
    description: str | None = None,
    version: str | None = None,
    tags: Iterable[str] | None = None,
    retries: int = 0,
    retry_delay_seconds: float | None = None,
    timeout_seconds: float | None = None,
    flow_run_name: str | Callable[[], str] | None = None,
    validate_parameters: bool = True,
    log_prints: bool = False,
    max_task_threads: int = 32,
    on_running: Iterable[Hook] | None = None,
    on_completion: Iterable[Hook] | None = None,
    on_failure: Iterable[Hook] | None = None,
    on_cancellation: Iterable[Hook] | None = None,
    on_crashed: Iterable[Hook] | None = None,
) -> Callable[[Callable[P, R]], Flow[P, R]]: ...


def flow(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Makes a function a flow, with or without options.

    `flow_run_name` may name parameters in braces, as in `"load-{day}"`. The hooks `on_running`,
    `on_completion`, `on_failure`, `on_cancellation` and `on_crashed` are lists of functions of
    (flow, flow_run, state), called in the run's process.
    """
    if function is not None:
        return Flow(function)
    return lambda decorated: Flow(decorated, **options)
