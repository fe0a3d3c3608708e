"""What the tests of whole runs share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _always_one_thread(_one_thread):
    """See `_one_thread`."""
