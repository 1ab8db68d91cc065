"""What the room's tests share: an applied feature store on the session's own Redis."""

from __future__ import annotations

import pytest
from feast import FeatureStore

from contracts.settings import Settings
from feature_repo.repo import apply
from infra.stack import LocalStack


@pytest.fixture(scope="session")
def feast_store(settings: Settings, stack: LocalStack) -> FeatureStore:
    """The feature store, applied, with its Redis up."""
    stack.up(["redis"])
    return apply(settings)
