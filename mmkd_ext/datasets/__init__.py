"""Data sets: ACDC, SHIFT, C-Driving, CamVid, toy street scenes, digits; corruptions.

Importing this package for the streets imports nothing else, so that they can be drawn
in a moment, and on a machine without mmseg. The registry of `mmkd_ext.registry` needs
the classes of the real ones, `Corrupt` and `KeepOriginal`.
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
    'KeepOriginal',
    'SHIFTDataset',
    'StreetSettings',
    'make_streets',
]

_HOMES = {
    'ACDCDataset': 'acdc',
    'CDrivingDataset': 'cdriving',
    'CamVidDataset': 'camvid',
    'Corrupt': 'corrupt',
    'DigitsDataset': 'digits',
    'KeepOriginal': 'original',
    'SHIFTDataset': 'shift',
    'StreetSettings': 'streets',
    'make_streets': 'streets',
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'{__name__}.{_HOMES[name]}'), name)
