"""Draws the rules of flow runs and task runs into docs/states.md. A test compares the two."""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from penstock.contract.enums import SetStateStatus, StateType
from penstock.core.bookkeeping import RunFacts
from penstock.core.flow_run_rules import FLOW_RUN_RULES, Outcome, decide_flow_run_state
from penstock.core.states import make_state
from penstock.core.task_run_rules import (
    BACKGROUND_RULES,
    TASK_RUN_RULES,
    TaskRunFacts,
    decide_task_run_state,
)

PAGE = Path(__file__).parent.parent / "docs" / "states.md"
BEGIN, END = "<!-- drawn: {} -->", "<!-- end of the drawing: {} -->"
NOW = datetime(2030, 1, 1, tzinfo=UTC)

Judge = Callable[[StateType, StateType], Outcome]
Rules = Sequence[tuple[Collection[StateType], Collection[StateType], Callable[..., object]]]


def draw_answers(judge: Judge) -> str:
    """A table of what a plain run is answered, from each state to each other."""
    header = "| from \\ to | " + " | ".join(StateType) + " |"
    lines = [header, "|---" * (len(StateType) + 1) + "|"]
    for source in StateType:
        cells = [_answer(judge(source, target)) for target in StateType]
        lines.append(f"| **{source}** | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _judged_flow_run(source: StateType, target: StateType) -> Outcome:
    run = RunFacts(
        state=make_state(source, NOW),
        deployment_id=UUID(int=1),
        run_count=int(source is StateType.RUNNING),
    )
    return decide_flow_run_state(run, make_state(target, NOW), NOW)


def _judged_task_run(source: StateType, target: StateType) -> Outcome:
    run = TaskRunFacts(
        state=make_state(source, NOW),
        run_count=int(source not in (StateType.SCHEDULED, StateType.PENDING)),
        flow_run_id=UUID(int=1),
        flow_run_state=make_state(StateType.RUNNING, NOW),
        flow_run_count=1,
        flow_run_run_count=1,
    )
    return decide_task_run_state(run, make_state(target, NOW), NOW)


def _answer(outcome: Outcome) -> str:
    name = "" if outcome.state is None else outcome.state.name
    if outcome.decision.status is SetStateStatus.ACCEPT:
        return f"yes → {name}" if name == "Rerunning" else "yes"
    return outcome.decision.status.lower() + (f" → {name}" if name else "")


def draw_rules(rules: Rules) -> str:
    """The rules in the order in which they are asked, each with its first sentence."""
    lines = []
    for position, (sources, targets, rule) in enumerate(rules, start=1):
        sentence = (rule.__doc__ or "").splitlines()[0].split(". ", 1)[-1]
        name = rule.__name__.replace("_", " ")
        lines.append(f"{position}. *{name}* ({_types(sources)} to {_types(targets)}): {sentence}")
    return "\n".join(lines)


def _types(types: object) -> str:
    assert isinstance(types, (set, frozenset))
    missing = [t for t in StateType if t not in types]
    if not missing:
        return "any"
    if len(missing) < len(types):
        return "any but " + ", ".join(missing)
    return ", ".join(t for t in StateType if t in types)


def _drawings() -> dict[str, str]:
    return {
        "flow runs": f"{draw_answers(_judged_flow_run)}\n\n{draw_rules(FLOW_RUN_RULES)}",
        "task runs": f"{draw_answers(_judged_task_run)}\n\n{draw_rules(TASK_RUN_RULES)}",
        "background": draw_rules(BACKGROUND_RULES),
    }


def drawn(page: str) -> str:
    """The page with today's drawings in it."""
    for name, drawing in _drawings().items():
        begin, end = BEGIN.format(name), END.format(name)
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n\n{drawing}\n\n{end}{after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text()))
