"""Data sets: ACDC, SHIFT, C-Driving, CamVid, the toy street scenes; corruptions.

Importing this package for the streets imports nothing else, so that they can be drawn
in a moment, and on a machine without mmseg. The registry of `mmkd_ext.registry` needs
the classes of the real ones, and the transforms.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = [
    'ACDCDataset',
    'CDrivingDataset',
    'CamVidDataset',
    'Corrupt',
    'KeepOriginal',
    'QuarterTurns',
    'SHIFTDataset',
    'StreetSettings',
    'Views',
    'make_streets',
    'views_collate',
]

_HOMES = {
    'ACDCDataset': 'acdc',
    'CDrivingDataset': 'cdriving',
    'CamVidDataset': 'camvid',
    'Corrupt': 'corrupt',
    'KeepOriginal': 'original',
    'QuarterTurns': 'views',
    'SHIFTDataset': 'shift',
    'StreetSettings': 'streets',
    'Views': 'views',
    'make_streets': 'streets',
    'views_collate': 'views',
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'{__name__}.{_HOMES[name]}'), name)
