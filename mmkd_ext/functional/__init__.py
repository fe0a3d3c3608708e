"""Tensor functions that two or more methods share; needs only torch.

They check shapes once, compute in the dtype they are given, and return one value for
each independent item (channel, pixel, sample), so that the caller chooses the
reduction. A function that only one method uses is in that method's file.
"""

from __future__ import annotations

import importlib
import warnings
from typing import Any

from mmkd_ext.discovery import import_public

__all__: list[str] = import_public(globals())

# where functions have moved to; the old places work for one release
_MOVED = {
    'at': ('attention_distance',),
    'cirkd': (
        'channel_relation_divergence',
        'contrast_divergence',
        'pixel_relation_divergence',
    ),
    'cwd': ('channel_divergence',),
    'dist': ('pearson',),
    'dkd': ('decoupled_divergence',),
    'fgd': ('background_mask', 'channel_attention', 'scale_mask'),
    'ifvd': ('class_similarity',),
    'ka': ('unit_distance',),
    'ld': (
        'adaptive_thresholds',
        'box_diou',
        'box_iof',
        'distribution_boxes',
        'fine_grained_region',
        'first_kept',
        'general_instances',
        'inside_region',
        'valuable_region',
    ),
    'mgd': ('random_mask',),
    'pkd': ('correlation_distance',),
    'reviewkd': ('pooled_error',),
    'skds': ('gradient_penalty', 'hinge_critic', 'wasserstein_critic'),
}


def __getattr__(name: str) -> Any:
    for method, names in _MOVED.items():
        if name in names:
            home = f'mmkd_ext.methods.{method}'
            warnings.warn(
                f'`mmkd_ext.functional.{name}` is now `{home}.{name}`; the old place '
                'will go in the next release.',
                DeprecationWarning,
                stacklevel=2,
            )
            return getattr(importlib.import_module(home), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
