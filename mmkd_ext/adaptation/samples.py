"""Removal of the ground truth from data samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmkd_ext.datasets.original import ORIGINAL

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ['without_truth']

#: Entries of the meta information that lead to the ground truth.
_LEADING_TO_TRUTH = ('seg_map_path', 'ann_path', 'ann_file', 'label_path')


def without_truth(samples: Sequence[Any]) -> list[Any]:
    """Returns new samples with the meta information, and the original picture, alone.

    No annotation, no field of another name that may hold one, and no path to one. The
    given samples stay as they are.
    """
    kept = []
    for sample in samples:
        meta = {
            key: value
            for key, value in sample.metainfo.items()
            if key not in _LEADING_TO_TRUTH and not key.startswith('gt_')
        }
        blind = type(sample)(metainfo=meta)
        if ORIGINAL in sample:
            blind.set_field(sample.get(ORIGINAL), ORIGINAL)
        kept.append(blind)
    return kept
