"""The public surface, and what importing it costs."""

import subprocess
import sys

import penstock

EXPORTED = [
    "AsyncClient",
    "Client",
    "Flow",
    "State",
    "Task",
    "TaskFuture",
    "__version__",
    "apause_flow_run",
    "arate_limit",
    "aresume_flow_run",
    "arun_deployment",
    "asuspend_flow_run",
    "concurrency",
    "flow",
    "get_run_logger",
    "pause_flow_run",
    "rate_limit",
    "resume_flow_run",
    "run_deployment",
    "serve",
    "suspend_flow_run",
    "task",
    "unmapped",
]


def test_the_exported_members_are_these() -> None:
    assert sorted(penstock.__all__) == EXPORTED
    for name in EXPORTED:
        assert getattr(penstock, name) is not None
    assert set(EXPORTED) <= set(dir(penstock))


def loaded_modules(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sorted(sys.modules))"
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(answer.stdout.split())


def test_importing_the_package_or_the_command_line_loads_no_heavy_library() -> None:
    loaded = loaded_modules("import penstock, penstock.cli")
    assert not loaded & {"pydantic", "httpx", "sqlalchemy", "fastapi"}
    assert not {name for name in loaded if name.startswith("penstock.sdk")}


def test_defining_flows_loads_no_heavy_library_and_nothing_of_the_server() -> None:
    code = """
from penstock import flow, task
@task
def one(x: int) -> int: return x
@flow
def two(x: int) -> int: return one(x)
two.bind((1,), {})
"""
    loaded = loaded_modules(code)
    assert not loaded & {"asyncio", "pydantic", "httpx", "sqlalchemy", "fastapi"}
    server_floors = ("api", "operations", "server", "services", "store")
    assert not {f"penstock.{floor}" for floor in server_floors} & loaded


def test_a_client_is_loaded_without_the_command_line_of_httpx() -> None:
    loaded = loaded_modules("import penstock.sdk.run, penstock.sdk.client, httpx; httpx.main")
    assert "httpx" in loaded
    assert not loaded & {"rich", "click", "httpx._main", "pydantic", "asyncio"}
