"""A worker without a pool: it executes the runs of deployments that its program serves."""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from penstock.sdk.client import Client
from penstock.sdk.errors import PenstockError
from penstock.worker import WorkerOptions
from penstock.worker.loop import Worker

if TYPE_CHECKING:
    from penstock.contract.rest.flow_runs import FlowRun
    from penstock.sdk.serving import FlowDeployment

_logger = logging.getLogger("penstock.worker")


def serve_deployments(
    deployments: "Sequence[FlowDeployment]",
    *,
    limit: int,
    pause_on_shutdown: bool,
    client: Client | None = None,
) -> None:
    """Make the deployments and execute their runs until SIGINT or SIGTERM."""
    api_url = None if client is None else client.api_url
    ServingWorker(deployments, limit, pause_on_shutdown, api_url).run()


class ServingWorker(Worker):
    """Executes the runs of some deployments, for one call of `run`."""

    #: the server does not let these polls wait
    longest_pause_seconds = 2.0

    def __init__(
        self,
        deployments: "Sequence[FlowDeployment]",
        limit: int,
        pause_on_shutdown: bool,
        api_url: str | None,
    ) -> None:
        super().__init__(WorkerOptions(pool="", limit=limit), api_url)
        self._deployments = deployments
        self._pause_on_shutdown = pause_on_shutdown
        self._ids: dict[UUID, str] = {}

    def _begin(self, client: Client) -> None:
        for deployment in self._deployments:
            path = f"{deployment.flow.name}/{deployment.name}"
            self._ids[deployment.apply(client)] = path

    def _announce(self) -> None:
        for path in self._ids.values():
            _logger.info(
                "serving '%s': run it with `penstock run '%s'`, end with Ctrl-C", path, path
            )

    def _find_due(self, polling: Client, free: int) -> "Sequence[FlowRun]":
        # A run without a pool is answered as the same shape, with the names of its queue and pool.
        found: Any = polling.get_scheduled_flow_runs_for_deployments(
            list(self._ids), scheduled_before=datetime.now(UTC), limit=min(free, 200)
        )
        runs: Sequence[FlowRun] = found
        return runs

    def _heartbeat_action(self, client: Client) -> Callable[[], None] | None:
        return None  # nobody looks for it: it belongs to no pool

    def _stop_taking(self, client: Client) -> None:
        if not self._pause_on_shutdown:
            return
        for id, path in self._ids.items():
            try:
                client.pause_deployment(id)
            except PenstockError as error:
                _logger.warning("the schedules of '%s' could not be paused: %s", path, error)
            else:
                _logger.info("the schedules of '%s' are paused until it is served again", path)
