"""Optimizer wrappers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmkd_ext.registry import OPTIM_WRAPPERS

__all__ = ['Bf16OptimWrapper']


@OPTIM_WRAPPERS.register_module()
class Bf16OptimWrapper(OptimWrapper):
    """Autocasts the forward pass to bfloat16, on a CPU as on a GPU.

    mmengine's `AmpOptimWrapper` refuses to run without an accelerator. bfloat16 has
    the range of float32, so no loss is scaled. ``tools/train.py --amp`` takes this
    wrapper where no accelerator is found.

    Args:
        **kwargs: Those of mmengine's `OptimWrapper`.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Runs the forward pass under autocast."""
        device = next(model.parameters()).device.type
        with (
            super().optim_context(model),
            torch.autocast(device_type=device, dtype=torch.bfloat16),
        ):
            yield
