"""What a model costs: parameters, FLOPs of one image, images a second."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from typing import Any

__all__ = ['segmentor_cost']


def segmentor_cost(
    model: Mapping[str, Any], size: tuple[int, int], *, repeats: int = 9
) -> dict[str, str]:
    """Builds a segmentor with random weights and measures it at ``size``.

    FLOPs are mmengine's count (it counts multiply-adds) times two. The time is that of
    backbone, neck and head on one image, with one thread on the CPU: several of them
    would wait for each other on a machine that does something else as well.

    Args:
        model: The ``model`` dict of a config.
        size: Height and width in pixels.
        repeats: So often is the time taken; the median counts.

    Returns:
        Parameters, FLOPs and images a second, as tables show them.
    """
    import torch
    from mmengine.analysis import FlopAnalyzer
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    init_default_scope('mmseg')
    segmentor = MODELS.build(dict(model)).eval()
    inputs = torch.zeros(1, 3, *size)
    counter = FlopAnalyzer(segmentor, inputs)
    counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    times = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for _ in range(repeats + 2):
                started = time.perf_counter()
                segmentor(inputs, mode='tensor')
                times.append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
    parameters = sum(p.numel() for p in segmentor.parameters())
    return {
        'parameters': f'{parameters / 1e6:.2f} M',
        'FLOPs': f'{2 * counter.total() / 1e6:.0f} M',
        'images/s': f'{1 / statistics.median(times[2:]):.0f}',
    }
