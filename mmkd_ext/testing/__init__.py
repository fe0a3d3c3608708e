"""Tests for authors of methods: laws of losses, and toy models.

``mmkd_ext.testing.laws`` needs torch alone, ``mmkd_ext.testing.toy`` mmengine too.
"""

from __future__ import annotations
