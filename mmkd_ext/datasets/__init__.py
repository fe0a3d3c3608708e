"""Data sets: ACDC, SHIFT, C-Driving, CamVid and digits; corruptions.

Nothing is imported before its name is used, so that ``projects/toy_streets``, which
takes a few functions from here, works without mmseg.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = [
    'ACDCDataset',
    'CDrivingDataset',
    'CamVidDataset',
    'Corrupt',
    'DigitsDataset',
    'IgnoreLabels',
    'KeepInput',
    'KeepOriginal',
    'QuarterTurns',
    'SHIFTDataset',
    'SelfMix',
    'Views',
    'views_collate',
]

_HOMES = {
    'ACDCDataset': 'acdc',
    'CDrivingDataset': 'cdriving',
    'CamVidDataset': 'camvid',
    'Corrupt': 'corrupt',
    'DigitsDataset': 'digits',
    'IgnoreLabels': 'labels',
    'KeepInput': 'kept',
    'KeepOriginal': 'original',
    'QuarterTurns': 'views',
    'SHIFTDataset': 'shift',
    'SelfMix': 'selfmix',
    'StreetSettings': 'streets',  # these two raise, and say where they are now
    'Views': 'views',
    'make_streets': 'streets',
    'views_collate': 'views',
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'{__name__}.{_HOMES[name]}'), name)
