"""The engine rooms: background loops. `LOOPS` is all of them."""

from penstock.services.loop import Loop

LOOPS: list[Loop] = []
