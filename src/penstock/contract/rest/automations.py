"""Automations: what may be asked about them. None can be created yet."""

from pydantic import Field

from penstock.contract.enums import Operator
from penstock.contract.rest.filters import Ids, Texts
from penstock.contract.rest.wire import (
    MAX_PAGE,
    DateTime,
    ListBody,
    Offset,
    PageLimit,
    WireModel,
)


class AutomationFilterId(WireModel):
    """Automations with one of these ids."""

    any_: Ids | None = None


class AutomationFilterName(WireModel):
    """Automations of these names."""

    any_: Texts | None = None


class AutomationFilterCreated(WireModel):
    """Automations created before a time."""

    before_: DateTime | None = None


class AutomationFilterTags(WireModel):
    """Automations that have all these tags, any of them, or none at all."""

    operator: Operator = Operator.and_
    all_: Texts | None = None
    any_: Texts | None = None
    is_null_: bool | None = None


class AutomationFilter(WireModel):
    """Which automations."""

    operator: Operator = Operator.and_
    id: AutomationFilterId | None = None
    name: AutomationFilterName | None = None
    created: AutomationFilterCreated | None = None
    tags: AutomationFilterTags | None = None


class AutomationsCountBody(ListBody):
    """Body of `POST /automations/count`."""

    automations: AutomationFilter | None = None


class AutomationsFilterBody(AutomationsCountBody):
    """Body of `POST /automations/filter`."""

    sort: str = Field("NAME_ASC", pattern=r"^(CREATED_DESC|UPDATED_DESC|NAME_ASC|NAME_DESC)$")
    limit: PageLimit = MAX_PAGE
    offset: Offset = 0
