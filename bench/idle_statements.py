"""`python -m bench.idle_statements URL SECONDS`: SQL statements per second of an idle server.

The server runs in this process, since only there every statement can be seen. BEGIN and COMMIT are
not counted.
"""

import asyncio
import sys

from penstock.server.app import Server
from penstock.server.settings import Settings

#: what a server does once, when it has started, is not counted
SETTLE_SECONDS = 3


async def count(database_url: str, seconds: float) -> float:
    """Statements per second over that time, loops running and nobody asking for anything."""
    statements: list[str] = []
    server = Server(Settings(database_url=database_url), listener=statements.append)
    async with server.running():
        await asyncio.sleep(SETTLE_SECONDS)
        statements.clear()
        await asyncio.sleep(seconds)
        return len(statements) / seconds


if __name__ == "__main__":
    print(asyncio.run(count(sys.argv[1], float(sys.argv[2]))))
