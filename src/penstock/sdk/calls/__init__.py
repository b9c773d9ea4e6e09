"""Every wire operation the server offers, each described once as a `Call`; a file per resource.

Path parameters are positional, body fields keyword arguments with their names on the wire. Fields
left out (or None, where the operation creates something) are not sent: the server's default holds.
"""

# ruff: noqa: F403 - the operations of all resources under one name
from penstock.sdk.calls.artifacts import *
from penstock.sdk.calls.automations import *
from penstock.sdk.calls.blocks import *
from penstock.sdk.calls.concurrency_limits import *
from penstock.sdk.calls.deployments import *
from penstock.sdk.calls.flow_run_inputs import *
from penstock.sdk.calls.flow_runs import *
from penstock.sdk.calls.flows import *
from penstock.sdk.calls.saved_searches import *
from penstock.sdk.calls.server import *
from penstock.sdk.calls.states import *
from penstock.sdk.calls.streams import *
from penstock.sdk.calls.task_runs import *
from penstock.sdk.calls.variables import *
from penstock.sdk.calls.work_pools import *
from penstock.sdk.calls.work_queues import *
