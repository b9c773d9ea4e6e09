"""What differs between two answers to the same request, when ids, times and words may.

An id is not compared by its digits: the first time two ids meet at the same place they are a pair,
and from then on the one must stand wherever the other does. Times are compared as moments.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Json = Any

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?P<fraction>\.\d+)?(?P<zone>Z|[+-]\d\d:\d\d)?$"
)
#: a name that a server makes up when none is given
SLUG = re.compile(r"[a-z]+-[a-z]+$")
#: a token that a server makes up
TOKEN = re.compile(r"[0-9a-f]{64}$")
#: one answer may come this much later than the other
LATER = timedelta(seconds=6)
#: texts for people, in the servers' own words; compared only when the request gave them
WORDS = {"detail", "exception_message", "message", "reason", "msg", "error", "ctx", "next_page"}
#: numbers of seconds that grow while nobody looks
SECONDS = {
    "estimated_run_time",
    "estimated_start_time_delta",
    "total_run_time",
    "sum_estimated_run_time",
    "sum_estimated_lateness",
    "lateness",
    "delay_seconds",
    "duration",
    "time_in_current_state",
}
#: times of one run that are often the same moment: whether they are is compared as well
MOMENTS = ("start_time", "end_time", "expected_start_time", "next_scheduled_start_time")


@dataclass(frozen=True)
class Found:
    """One difference: where in the answer, and what stands there."""

    path: str
    theirs: Json
    ours: Json


class Absent:
    """What stands where there is nothing."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT = Absent()


@dataclass
class Comparison:
    """Compares the answers of one sequence; remembers which ids belong together."""

    #: every text that was sent, which both servers must give back as it is
    sent: set[str] = field(default_factory=set)
    _theirs: dict[str, str] = field(default_factory=dict)
    _ours: dict[str, str] = field(default_factory=dict)

    def remember(self, value: Json) -> None:
        """Take the texts of a request for sent."""
        if isinstance(value, str):
            self.sent.add(value)
        elif isinstance(value, dict):
            for key, item in value.items():
                self.sent.add(key)
                self.remember(item)
        elif isinstance(value, list | tuple):
            for item in value:
                self.remember(item)

    def differences(self, theirs: Json, ours: Json, name: str = "") -> list[Found]:
        """What differs between two JSON values; `name` says what a bare number is."""
        found: list[Found] = []
        self._walk("", name, theirs, ours, found)
        return found

    def same_id(self, theirs: str, ours: str) -> bool:
        """Whether two ids belong together; ids that are both new do from now on."""
        if theirs not in self._theirs and ours not in self._ours:
            self._theirs[theirs] = ours
            self._ours[ours] = theirs
        return self._theirs.get(theirs) == ours

    def _walk(self, path: str, key: str, theirs: Json, ours: Json, found: list[Found]) -> None:
        if isinstance(theirs, dict) and isinstance(ours, dict):
            self._walk_object(path, theirs, ours, found)
        elif isinstance(theirs, list) and isinstance(ours, list):
            self._walk_list(path, key, theirs, ours, found)
        elif not self._equal(key, theirs, ours):
            found.append(Found(path, theirs, ours))

    def _walk_list(
        self, path: str, key: str, theirs: list[Json], ours: list[Json], found: list[Found]
    ) -> None:
        if key == "tags":  # a set, which the peer gives in any order
            theirs, ours = sorted(theirs, key=str), sorted(ours, key=str)
        mine, yours = (
            self._known(ours, self._ours, {}),
            self._known(theirs, self._theirs, self._theirs),
        )
        if mine is not None and yours is not None and list(mine) != list(yours):
            # The same things in another order, or not the same things: say that, once.
            what = "order" if mine.keys() == yours.keys() else "members"
            found.append(Found(f"{path}.{what}", *(_names(rows) for rows in (theirs, ours))))
            for i in [i for i in mine if i in yours]:
                self._walk(f"{path}[0]", key, yours[i], mine[i], found)
            return
        if len(theirs) != len(ours):
            found.append(Found(f"{path}.length", len(theirs), len(ours)))
        looks = [[self._looks(row) for row in rows] for rows in (theirs, ours)]
        if looks[0] != looks[1] and sorted(looks[0]) == sorted(looks[1]):
            found.append(Found(f"{path}.order", _names(theirs), _names(ours)))
            # Each of theirs beside the first of ours that looks the same and is not yet taken.
            left = list(zip(looks[1], ours, strict=True))
            ours = [left.pop([look for look, _ in left].index(look))[1] for look in looks[0]]
        for i, (t, o) in enumerate(zip(theirs, ours, strict=False)):
            self._walk(f"{path}[{i}]", key, t, o, found)

    def _known(
        self, rows: list[Json], pairs: dict[str, str], translated: dict[str, str]
    ) -> dict[str, Json] | None:
        """The rows by our ids; None when they have none, or an id was never seen before."""
        ids = [_id_of(row) for row in rows]
        if not all(i in pairs for i in ids):
            return None
        return {translated.get(i, i): row for i, row in zip(ids, rows, strict=True)}

    def _looks(self, value: Json, key: str = "") -> str:
        """A value as text, without what may differ between two servers."""
        if isinstance(value, dict):
            inner = (f"{k}:{self._looks(v, k)}" for k, v in sorted(value.items()))
            return "{" + ",".join(inner) + "}"
        if isinstance(value, list):
            return "[" + ",".join(self._looks(v, key) for v in value) + "]"
        if key in SECONDS or (key in WORDS and value not in self.sent):
            return "~"
        if value is None:
            return "<id>"  # what only one server fills in does not hinder a match
        if not isinstance(value, str):
            return repr(value)
        if _is_time(value):
            return value if "." not in value else "<time>"
        if SLUG.match(value) and value not in self.sent:
            return "<name>"
        return UUID.sub("<id>", value)

    def _walk_object(
        self, path: str, theirs: dict[str, Json], ours: dict[str, Json], found: list[Found]
    ) -> None:
        prefix = f"{path}." if path else ""
        theirs = {self._theirs.get(key, key): value for key, value in theirs.items()}
        for key in sorted(theirs.keys() | ours.keys()):
            t, o = theirs.get(key, ABSENT), ours.get(key, ABSENT)
            self._walk(prefix + key, key, t, o, found)
        for name, t, o in zip(_pairs(), _same(theirs), _same(ours), strict=True):
            if t != o:
                found.append(Found(prefix + name, t, o))

    def _equal(self, key: str, theirs: Json, ours: Json) -> bool:
        if isinstance(theirs, str) and isinstance(ours, str):
            return self._equal_texts(key, theirs, ours)
        if isinstance(theirs, bool) or isinstance(ours, bool):
            return theirs is ours
        if isinstance(theirs, int | float) and isinstance(ours, int | float):
            if key in SECONDS:
                return abs(theirs - ours) <= LATER.total_seconds()
            return theirs == ours and type(theirs) is type(ours)
        return type(theirs) is type(ours) and theirs == ours

    def _equal_texts(self, key: str, theirs: str, ours: str) -> bool:
        if theirs == ours:
            return True
        if _is_time(theirs) and _is_time(ours):
            return _same_moment(theirs, ours)
        if key in WORDS and not {theirs, ours} & self.sent:
            return bool(theirs) == bool(ours)
        if UUID.search(theirs):
            return self._equal_with_ids(theirs, ours)
        if {theirs, ours} & self.sent:
            return False
        if SLUG.match(theirs) or TOKEN.match(theirs):
            return bool(SLUG.match(ours) or TOKEN.match(ours))
        return False

    def _equal_with_ids(self, theirs: str, ours: str) -> bool:
        if UUID.sub("<id>", theirs) != UUID.sub("<id>", ours):
            return False
        pairs = zip(UUID.findall(theirs), UUID.findall(ours), strict=True)
        return all(self.same_id(t, o) for t, o in pairs)


def _id_of(row: Json) -> Json:
    if isinstance(row, dict):
        return row.get("id", row.get("flow_run_id"))
    return row if isinstance(row, str) else None


def _names(rows: list[Json]) -> list[Json]:
    names = ("name", "slug", "id")
    return [
        next((row[n] for n in names if row.get(n)), row) if isinstance(row, dict) else row
        for row in rows
    ]


def _pairs() -> list[str]:
    return [f"{a}=={b}" for i, a in enumerate(MOMENTS) for b in MOMENTS[i + 1 :]]


def _same(shape: dict[str, Json]) -> list[bool | None]:
    """For each two moments of a run: whether they are the same; None where one is missing."""
    values = [shape.get(name) for name in MOMENTS]
    return [a == b if a and b else None for i, a in enumerate(values) for b in values[i + 1 :]]


def _is_time(text: str) -> bool:
    return TIME.match(text) is not None


def _same_moment(theirs: str, ours: str) -> bool:
    t, o = TIME.match(theirs), TIME.match(ours)
    assert t is not None
    assert o is not None
    if t["zone"] != o["zone"]:
        return False
    moments = [datetime.fromisoformat(text) for text in (theirs, ours)]
    moments = [m if m.tzinfo else m.replace(tzinfo=UTC) for m in moments]
    apart = abs(moments[0] - moments[1])
    # A time of whole seconds was given or calculated: the other server must say the same one.
    whole = t["fraction"] is None and o["fraction"] is None
    return not apart if whole else apart <= LATER
