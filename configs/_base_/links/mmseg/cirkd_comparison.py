"""Moved to configs/_base_/links/cirkd-comparison.py; kept for configs that name it."""

_base_ = '../cirkd-comparison.py'
_deprecation_ = dict(expected='configs/_base_/links/cirkd-comparison.py')
