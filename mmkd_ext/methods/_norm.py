"""Batch normalisation that a batch of one value does not stop."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mmkd_ext.errors import ShapeError

__all__ = ['BatchNorm']


class BatchNorm(_BatchNorm):
    """Normalises vectors ``(n c)`` and maps ``(n c h w)`` over all axes but the second.

    A channel with a single value has no variance, and torch refuses it in training. It
    is then normalised by the running statistics, which stay as they are.

    Examples:
        >>> import torch
        >>> BatchNorm(2, eps=0.0)(torch.tensor([[3.0, -3.0]])).tolist()
        [[3.0, -3.0]]
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(
                x,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                eps=self.eps,
            )
        return super().forward(x)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2 or input.shape[1] != self.num_features:
            raise ShapeError(
                f'a batch norm takes (n {self.num_features} ...), but got '
                f'{tuple(input.shape)}.'
            )
