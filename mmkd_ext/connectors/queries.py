"""Class maps of segmentors that predict masks of queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from mmkd_ext.errors import ShapeError
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ['QueryClassMaps']


@MODELS.register_module()
class QueryClassMaps(nn.Module):
    r"""Converts class scores and masks of queries to a map of class logits.

    Mask2Former and MaskFormer have no logits of pixels: each query `q` scores the
    classes, with none of them as the last, and draws a mask. mmseg predicts the class
    with the highest

    .. math:: s_c = \sum_q \operatorname{softmax}(z_q)_c \, \sigma(m_q)

    This returns :math:`\log s_c`, so that a softmax over the classes or over the
    positions takes their shares of :math:`s`; a loss on logits then compares such a
    head with any other. Tap the head itself, ``at='decode_head'``.

    Examples:
        >>> import torch
        >>> scores, masks = torch.zeros(2, 10, 19 + 1), torch.zeros(2, 10, 8, 16)
        >>> QueryClassMaps()(([scores], [masks])).shape
        torch.Size([2, 19, 8, 16])
    """

    yields_classes: ClassVar[bool] = True
    """Channels of what it returns are classes, which alignment must not mix."""

    def forward(self, predicted: Sequence[Tensor | Sequence[Tensor]]) -> Tensor:
        """Returns the maps ``(n k h w)``.

        Args:
            predicted: Class scores ``(n q k+1)`` and masks before their sigmoid
                ``(n q h w)``; or for each a list with one for each layer of the
                decoder, of which the last counts.

        Raises:
            ShapeError: They are something else.
        """
        scores, masks = _last_layer(predicted)
        shares = scores.softmax(-1)[..., :-1]
        maps = torch.einsum('nqk,nqhw->nkhw', shares, masks.sigmoid())
        # a sum of sigmoids may underflow, and 0 has no logarithm
        return maps.clamp_min(torch.finfo(maps.dtype).tiny).log()


def _last_layer(predicted: Any) -> tuple[Tensor, Tensor]:
    """Takes the last layer's scores and masks, and checks them."""
    parts = predicted if isinstance(predicted, (list, tuple)) else [predicted]
    last = [p[-1] if isinstance(p, (list, tuple)) and p else p for p in parts]
    if len(last) != 2 or not all(isinstance(part, Tensor) for part in last):
        shapes = '/'.join(type(part).__name__ for part in last)
    else:
        shapes = f'{tuple(last[0].shape)} and {tuple(last[1].shape)}'
        if [x.dim() for x in last] == [3, 4] and last[0].shape[:2] == last[1].shape[:2]:
            return last[0], last[1]
    raise ShapeError(
        '`QueryClassMaps` takes class scores (n q k+1) and masks (n q h w), but got '
        f"{shapes}; tap the head of Mask2Former, at='decode_head'."
    )
