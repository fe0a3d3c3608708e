"""Tensor functions that two or more methods share; needs only torch.

They check shapes once, compute in the dtype they are given, and return one value for
each independent item (channel, pixel, sample), so that the caller chooses the
reduction. A function that only one method uses is in that method's file.
"""

from __future__ import annotations

import importlib
import warnings
from types import FunctionType
from typing import Any

from mmkd_ext.discovery import import_public

__all__: list[str] = import_public(globals())


def __getattr__(name: str) -> Any:
    """Finds functions that have moved to a method; works for one release."""
    if not name.startswith('_'):
        function = getattr(importlib.import_module('mmkd_ext.methods'), name, None)
        if isinstance(function, FunctionType):
            warnings.warn(
                f'`mmkd_ext.functional.{name}` is now `{function.__module__}.{name}`; '
                'the old place will go in the next release.',
                DeprecationWarning,
                stacklevel=2,
            )
            return function
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
