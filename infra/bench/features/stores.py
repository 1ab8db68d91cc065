"""The two feature stores that are compared: Braid's, and Feast as it comes, over the same servers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from feast import RepoConfig

from contracts.online import KEY_TTL_SECONDS
from contracts.settings import Settings
from feature_repo.repo import repo_config

STOCK_BATCH = 10_000
"""`online_write_batch_size`. Left at its default, stock Feast writes the first Arrow batch of a table and drops the rest."""


def ours(own: Settings, project: str) -> RepoConfig:
    """Braid's configuration with a registry of the bench's own."""
    return repo_config(replace(own, var=own.var / project, feast_project=project))


def stock(own: Settings, project: str, registry: Path) -> RepoConfig:
    """Feast's own provider, online store and Spark store, on the same Redis and Spark."""
    return RepoConfig(**stock_settings(own, project, registry))


def stock_settings(own: Settings, project: str, registry: Path) -> dict[str, Any]:
    """The same as `feature_store.yaml` has it."""
    registry.parent.mkdir(parents=True, exist_ok=True)
    return {
        "project": project,
        "provider": "local",
        "registry": str(registry),
        "online_store": {
            "type": "redis",
            "connection_string": f"{own.host}:{own.port('redis')},db=0",
            "key_ttl_seconds": KEY_TTL_SECONDS,
        },
        "offline_store": {"type": "spark"},
        "materialization": {"online_write_batch_size": STOCK_BATCH},
        "entity_key_serialization_version": 3,
    }
