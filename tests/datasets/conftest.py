from __future__ import annotations

from pathlib import Path

import pytest

from mmkd_ext.datasets.streets import StreetSettings, make_streets


@pytest.fixture(scope='session')
def small_settings() -> StreetSettings:
    return StreetSettings(
        seed=3, height=64, train=5, val=2, drives=1, val_drives=1, frames=4
    )


@pytest.fixture(scope='session')
def small_streets(tmp_path_factory, small_settings) -> Path:
    """Streets of `small_settings`, drawn in this process."""
    root = tmp_path_factory.mktemp('drawn') / 'streets'
    return make_streets(root, small_settings, workers=1).root
