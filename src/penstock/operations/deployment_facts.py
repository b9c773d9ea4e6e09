"""What runs are prepared from: a deployment's facts and its compiled schemas, remembered."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

from penstock.core import documents
from penstock.core.parameter_schemas import JobTemplate, ParameterSchema
from penstock.core.templates import has_templates
from penstock.store.deployments import select_deployment_facts
from penstock.store.statements import Row
from penstock.store.transaction import Transaction

#: deployments remembered per process; the oldest are forgotten first
REMEMBERED = 2000
