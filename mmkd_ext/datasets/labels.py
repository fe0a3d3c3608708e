"""Pictures that are seen without their labels."""

from __future__ import annotations

from typing import Any

from mmcv.transforms import BaseTransform

from mmkd_ext.errors import check_integer
from mmkd_ext.registry import TRANSFORMS

__all__ = ['IgnoreLabels']


@TRANSFORMS.register_module()
class IgnoreLabels(BaseTransform):
    """Ignores the label maps of all but some pictures of a data set.

    So a student learns from a teacher on all pictures, and from labels on a few. Of
    each `of` pictures in the order of the data set `keep` keep their labels, evenly
    spread; those that do are the same in each run. It comes after ``LoadAnnotations``;
    in ``loss_decode`` set ``avg_non_ignore=True``, or pictures without labels make
    those of the others weigh less.

    Args:
        keep: How many pictures keep their labels, 0 or more.
        of: Of how many, at least `keep`.
        ignore_index: The label that losses ignore.

    Examples:
        >>> pictures = range(10)
        >>> [i for i in pictures if IgnoreLabels(keep=3, of=10).keeps(i)]
        [0, 4, 7]
    """

    def __init__(self, keep: int, of: int, ignore_index: int = 255) -> None:
        check_integer('keep', keep, ge=0)
        check_integer('of', of, ge=max(keep, 1))
        self.keep, self.of, self.ignore_index = keep, of, ignore_index

    def keeps(self, index: int) -> bool:
        """Whether the picture at a place of the data set keeps its labels."""
        return index * self.keep % self.of < self.keep

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Fills the label map of a picture without labels, in a copy."""
        if self.keeps(results['sample_idx']):
            return results
        maps = {k: results[k].copy() for k in results.get('seg_fields', ())}
        for labels in maps.values():
            labels.fill(self.ignore_index)
        return {**results, **maps}
