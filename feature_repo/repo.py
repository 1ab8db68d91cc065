"""The feature store as a value: configuration from the settings, nothing from files or the environment."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from feast import FeatureStore, RepoConfig

from contracts.online import KEY_TTL_SECONDS
from contracts.settings import Settings
from feature_repo.store import VersionedRedisOnlineStoreConfig


def online_config(settings: Settings) -> VersionedRedisOnlineStoreConfig:
    """Where the online store is."""
    return VersionedRedisOnlineStoreConfig(
        connection_string=_connection_string(settings.redis_url),
        key_ttl_seconds=KEY_TTL_SECONDS,
    )


def _connection_string(url: str) -> str:
    """Feast's form of a Redis URL."""
    parts = urlsplit(url)
    tls = ",ssl=True" if parts.scheme == "rediss" else ""
    return f"{parts.netloc},db={parts.path.strip('/') or '0'},socket_timeout=5{tls}"


def repo_config(settings: Settings) -> RepoConfig:
    """Redis online, Spark on Delta offline, the registry in a file."""
    folder = settings.var / "feast"
    folder.mkdir(parents=True, exist_ok=True)
    return RepoConfig(
        project=settings.feast_project,
        provider="feature_repo.provider.ColumnProvider",
        registry=str(folder / "registry.db"),
        online_store=online_config(settings).model_dump(mode="json"),
        offline_store={"type": "feature_repo.offline.NewestRowSparkOfflineStore"},
        entity_key_serialization_version=3,
    )


def open_store(settings: Settings) -> FeatureStore:
    """The store as last applied."""
    return FeatureStore(config=repo_config(settings))


def apply(settings: Settings) -> FeatureStore:
    """Register what `contracts.features` declares and drop what it no longer does; idempotent.

    No Delta table needs to exist: the schemas are declared, so no source is read.
    """
    from feature_repo.definitions import all_objects

    store = open_store(settings)
    wanted: list[Any] = list(all_objects(settings))
    names = {(type(thing), thing.name) for thing in wanted}
    registered: list[Any] = [
        *store.list_feature_services(),
        *store.list_feature_views(),
        *store.list_entities(),
    ]
    dropped = [thing for thing in registered if (type(thing), thing.name) not in names]
    store.apply(wanted, objects_to_delete=dropped, partial=False)
    return store
