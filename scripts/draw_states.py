"""Draws the rules of flow runs into docs/states.md. A test compares the two."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from penstock.contract.enums import SetStateStatus, StateType
from penstock.core.bookkeeping import RunFacts
from penstock.core.flow_run_rules import FLOW_RUN_RULES, decide_flow_run_state
from penstock.core.states import make_state

PAGE = Path(__file__).parent.parent / "docs" / "states.md"
BEGIN, END = "<!-- drawn -->", "<!-- end of the drawing -->"
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def draw_answers() -> str:
    """A table of what a deployment's plain run is answered, from each state to each other."""
    header = "| from \\ to | " + " | ".join(StateType) + " |"
    lines = [header, "|---" * (len(StateType) + 1) + "|"]
    for source in StateType:
        cells = [_answer(source, target) for target in StateType]
        lines.append(f"| **{source}** | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _answer(source: StateType, target: StateType) -> str:
    run = RunFacts(
        state=make_state(source, NOW),
        deployment_id=UUID(int=1),
        run_count=int(source is StateType.RUNNING),
    )
    outcome = decide_flow_run_state(run, make_state(target, NOW), NOW)
    if outcome.decision.status is SetStateStatus.ACCEPT:
        return "yes"
    instead = f" → {outcome.state.name}" if outcome.state is not None else ""
    return outcome.decision.status.lower() + instead


def draw_rules() -> str:
    """The rules in the order in which they are asked, each with its first sentence."""
    lines = []
    for position, (sources, targets, rule) in enumerate(FLOW_RUN_RULES, start=1):
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


def drawn(page: str) -> str:
    """The page with today's drawing in it."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{draw_answers()}\n\n{draw_rules()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text()))
