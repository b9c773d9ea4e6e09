"""Our own extensions, under `/api/penstock`."""

from uuid import UUID

from penstock.contract.enums import StateType
from penstock.contract.rest.wire import WireAnswer


class AttemptRenewal(WireAnswer):
    """Answer of `POST /penstock/attempts/{attempt_id}/renew`: the attempt still counts."""

    flow_run_id: UUID
    #: For how long, unless renewed again.
    lease_seconds: float
    #: The run's state, so that its owner also learns of CANCELLING.
    state_type: StateType
    state_name: str
