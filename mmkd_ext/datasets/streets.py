"""Says where the toy streets are drawn; this was the place before."""

from __future__ import annotations

from typing import NoReturn


def __getattr__(name: str) -> NoReturn:
    if name not in ('CONDITIONS', 'StreetSettings', 'Streets', 'make_streets'):
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    raise ImportError(
        f'`{__name__}.{name}` is gone: the toy streets are drawn by '
        f'`projects.toy_streets` of the checkout.'
    )
