"""Tests that run a whole stack of their own, so that the shared one's records do not reach their tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.settings import Settings, from_environment
from tests.ports import free_port_base


@pytest.fixture(scope="module")
def own_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with state and ports of one module's own."""
    var = tmp_path_factory.mktemp("loop").resolve()
    return replace(from_environment(), var=var, port_base=free_port_base())
