"""Penstock: a workflow orchestrator. Flows and tasks are plain Python functions."""

__version__ = "0.1.0"
