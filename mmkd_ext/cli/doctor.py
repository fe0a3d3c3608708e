"""Checks the installed stack; see :mod:`mmkd_ext.doctor`."""

from __future__ import annotations

from mmkd_ext.doctor import main

__all__ = ['main']
