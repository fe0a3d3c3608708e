"""Toy street scenes, drawn in the layouts of Cityscapes, COCO and ACDC.

`make_streets` is the door; the other modules draw.
"""

from __future__ import annotations

from projects.toy_streets.generate import (
    CONDITIONS,
    Streets,
    StreetSettings,
    make_streets,
)

__all__ = ['CONDITIONS', 'StreetSettings', 'Streets', 'make_streets']
