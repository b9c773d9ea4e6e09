"""The benchmark's verdicts, its page, and its load generator against a real server."""

from pathlib import Path

from bench.loadgen import Api, Iteration, Load
from bench.measurement import Effort, Row
from bench.report import Measured, table, write_page


def test_a_rate_has_to_reach_its_budget_and_a_time_to_stay_below() -> None:
    rate = Measured(Row("r", "rate", "/s", 100, 50, rate=True), {"sqlite": [99], "postgres": [50]})
    time = Measured(Row("t", "time", "ms", 2, 2), {"sqlite": [1, 2, 9], "postgres": [2.1]})
    assert [rate.verdict(t) for t in ("sqlite", "postgres")] == ["**missed**", "met"]
    assert [time.verdict(t) for t in ("sqlite", "postgres")] == ["met", "**missed**"]


def test_the_ratio_to_the_peer_is_above_one_when_ours_is_better() -> None:
    rate = Measured(Row("r", "rate", "/s", rate=True), {"sqlite": [500], "peer": [50]})
    time = Measured(Row("t", "time", "ms"), {"sqlite": [2], "peer": [50]})
    assert (rate.ratio("sqlite"), time.ratio("sqlite")) == ("10x", "25x")


def test_a_target_that_failed_is_shown_as_failed() -> None:
    row = Measured(Row("t", "time", "ms", 2, 2), missing={"sqlite": "it broke"})
    assert row.figure("sqlite") == "failed"
    assert row.verdict("sqlite") == "–"


def test_what_was_written_by_hand_stays_when_the_page_is_written_again(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    text = table([Measured(Row("t", "time", "ms", 2, 2), {"sqlite": [1.5]})], Effort())
    write_page(page, text, {"Kernel": "1"}, "make bench")
    page.write_text(page.read_text().replace("Not looked into yet.", "The disk.\n\nNothing else."))
    write_page(page, text, {"Kernel": "2"}, "make bench")
    written = page.read_text()
    assert "The disk.\n\nNothing else." in written
    assert "| Kernel | 2 |" in written
    assert "| Kernel | 1 |" not in written


def test_the_load_generator_counts_what_went_well(sqlite_server_url: str) -> None:
    api = Api(sqlite_server_url)

    def good() -> Iteration:
        status, _ = yield "health", api.get("/health")
        assert status == 200
        status, body = yield "version", api.get("/version")
        assert status == 200
        assert body.startswith(b'"')

    def bad() -> Iteration:
        status, _ = yield "missing", api.get("/nowhere")
        assert status == 200, f"missing: {status}"

    load = Load(api, seconds=10, max_iterations=40)
    load.add("good", good, connections=3).add("bad", bad, pause_seconds=0.001)
    result = load.run()
    failed = result.errors.total()
    assert failed > 0
    assert len(result.iterations["good"]) == 40 - failed
    assert len(result.latencies["health"]) == len(result.latencies["version"]) == 40 - failed
    assert not result.iterations["bad"]
