"""Toy model, data and metric that build in milliseconds and need no download.

`ToyModel` has what makes distilling real models hard: a pyramid, batch normalisation,
dropout, in-place activations, a head whose ``forward`` is called directly, a module
that is called once a level, and one that only works in training. Importing this module
registers it, so a config may say ``type='mmkd_ext.ToyModel'``.

Examples:
    >>> model = ToyModel(channels=4, classes=3, levels=2)
    >>> sorted(model(torch.zeros(2, 3, 16, 16), mode='loss'))
    ['acc', 'loss_aux', 'loss_seg']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel, ImgDataPreprocessor
from mmengine.structures import BaseDataElement, PixelData
from torch import Tensor, nn
from torch.utils.data import Dataset

from mmkd_ext.errors import check_choice
from mmkd_ext.registry import DATASETS, METRICS, MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ['ToyAccuracy', 'ToyDataset', 'ToyModel', 'toy_batch', 'toy_labels']


class _Stage(nn.Module):
    """Halves the size; the in-place ReLU overwrites what ``norm`` returned."""

    def __init__(self, in_channels: int, channels: int, inplace: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=inplace)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.norm(self.conv(x)))


class _Backbone(nn.Module):
    """Returns a map of each stage; level `l` has stride ``2 ** (l + 1)``."""

    def __init__(self, channels: int, levels: int, dropout: float, inplace: bool
                 ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            _Stage(channels if level else 3, channels, inplace)
            for level in range(levels))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = []
        for stage in self.stages:
            x = self.dropout(stage(x))
            maps.append(x)
        return tuple(maps)


class _Neck(nn.Module):
    """A 1x1 convolution for each level, added from the top down."""

    def __init__(self, channels: int, levels: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(channels, channels, 1) for _ in range(levels))

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        out = [conv(x) for conv, x in zip(self.convs, maps)]
        for level in range(len(out) - 2, -1, -1):
            size = out[level].shape[2:]
            out[level] = out[level] + F.interpolate(out[level + 1], size)
        return tuple(out)


class _Head(nn.Module):
    """Logits of a map; its own ``__call__`` is never used, as with mmseg's heads."""

    def __init__(self, channels: int, classes: int, dropout: float, inplace: bool
                 ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.relu = nn.ReLU(inplace=inplace)
        self.dropout = nn.Dropout(dropout)
        self.num_classes = classes
        self.conv_seg = nn.Conv2d(channels, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_seg(self.dropout(self.relu(self.conv(x))))


@MODELS.register_module()
class ToyModel(BaseModel):
    """A small segmentor that behaves like the large ones.

    Modules to tap: ``backbone`` and ``neck`` (a tuple of `levels` maps),
    ``neck.convs.<level>``, ``head_shared`` (called once a level, so ``call='all'`` is a
    pyramid), ``head.conv_seg`` (logits), ``aux_head`` (called in ``mode='loss'`` only),
    and ``backbone.stages.<level>.norm`` or ``head.conv``, whose outputs are
    overwritten in place by the activation after them.

    Args:
        channels: Width of all maps.
        classes: Number of classes.
        levels: Levels of the pyramid; the first has stride 2, each next twice that.
        dropout: Probability of dropping values in backbone and head.
        inplace: Whether activations work in place.
        mean: Mean of each input channel, or None to leave the input as it is.
        std: Standard deviation of each channel; goes with `mean`.
        bgr_to_rgb: Turn the channels around.
        init_cfg: See mmengine's ``BaseModule``.
    """

    def __init__(
        self,
        channels: int = 8,
        classes: int = 4,
        levels: int = 3,
        dropout: float = 0.0,
        inplace: bool = True,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        *,
        bgr_to_rgb: bool = False,
        init_cfg: Any = None,
    ) -> None:
        preprocessor = ImgDataPreprocessor(mean, std, bgr_to_rgb=bgr_to_rgb)
        super().__init__(preprocessor, init_cfg)
        self.channels, self.classes, self.levels = channels, classes, levels
        self.backbone = _Backbone(channels, levels, dropout, inplace)
        self.neck = _Neck(channels, levels)
        self.head_shared = nn.Conv2d(channels, channels, 1)
        self.head = _Head(channels, classes, dropout, inplace)
        self.aux_head = nn.Conv2d(channels, classes, 1)

    def forward(
        self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor'
    ) -> Any:
        """Runs one mode.

        Args:
            inputs: Images ``(n 3 h w)``.
            data_samples: Samples with ``gt_sem_seg``; without, `toy_labels` of the
                images are learned.
            mode: ``'tensor'`` for logits ``(n k h/2 w/2)``, ``'loss'`` for a dict,
                ``'predict'`` for one sample an image with ``pred_sem_seg``.

        Raises:
            ConfigError: There is no such mode.
        """
        check_choice('mode', mode, ('tensor', 'loss', 'predict'))
        maps = self.backbone(inputs)
        logits = self._logits(maps)
        if mode == 'tensor':
            return logits
        logits = F.interpolate(logits, inputs.shape[2:])
        if mode == 'predict':
            return self._predictions(logits, data_samples)
        labels = self._targets(inputs, data_samples)
        aux = F.interpolate(self.aux_head(maps[-1]), inputs.shape[2:])
        accuracy = (logits.argmax(1) == labels).float().mean()
        return {'loss_seg': F.cross_entropy(logits, labels),
                'loss_aux': 0.4 * F.cross_entropy(aux, labels),
                'acc': accuracy}

    def _logits(self, maps: tuple[Tensor, ...]) -> Tensor:
        shared = [self.head_shared(level) for level in self.neck(maps)]
        size = shared[0].shape[2:]
        fused = torch.stack([F.interpolate(level, size) for level in shared]).sum(0)
        # not `self.head(fused)`: mmseg calls its heads this way, so hooks stay silent
        return self.head.forward(fused)

    def _targets(self, inputs: Tensor, data_samples: Any) -> Tensor:
        if not data_samples:
            return toy_labels(inputs, self.classes)
        return torch.cat([sample.gt_sem_seg.data for sample in data_samples])

    def _predictions(self, logits: Tensor, data_samples: Any) -> list[BaseDataElement]:
        predictions = []
        for i, one in enumerate(logits.argmax(1, keepdim=True)):
            sample = data_samples[i].clone() if data_samples else BaseDataElement()
            sample.pred_sem_seg = PixelData(data=one)
            predictions.append(sample)
        return predictions


def toy_labels(images: Tensor, classes: int) -> Tensor:
    """Labels ``(n h w)`` of images ``(n 3 h w)``: the brightness in `classes` steps."""
    bright = images.detach().float().mean(1)
    return (bright * classes).floor().long().remainder(classes)


def toy_batch(
    size: int = 16, batch: int = 2, classes: int = 4, seed: int = 0
) -> dict[str, Any]:
    """Returns `inputs` in [0, 1) and fitting `data_samples`, the same for a seed."""
    dataset = ToyDataset(batch, size, classes, seed)
    items = [dataset[i] for i in range(batch)]
    return {'inputs': torch.stack([item['inputs'] for item in items]),
            'data_samples': [item['data_samples'] for item in items]}


@DATASETS.register_module()
class ToyDataset(Dataset):
    """Images of smooth noise; each item depends on the seed and its index alone.

    Args:
        length: Number of images.
        size: Height and width.
        classes: Number of classes of the labels.
        seed: Of the noise.
        scale: Largest pixel value.
    """

    def __init__(self, length: int = 4, size: int = 16, classes: int = 4, seed: int = 0,
                 scale: float = 1.0) -> None:
        self.length, self.size, self.classes = length, size, classes
        self.seed, self.scale = seed, scale
        self.metainfo = {'classes': tuple(f'class {i}' for i in range(classes))}

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        # the loop protocol of sequences ends at IndexError
        if not 0 <= index < self.length:
            raise IndexError(index)
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + index)
        noise = torch.rand(1, 3, 4, 4, generator=generator)
        image = F.interpolate(noise, (self.size, self.size), mode='bilinear')
        shape = (self.size, self.size)
        sample = BaseDataElement(metainfo={
            'img_shape': shape, 'ori_shape': shape, 'img_path': f'toy/{index}.png'})
        sample.gt_sem_seg = PixelData(data=toy_labels(image, self.classes))
        return {'inputs': image[0] * self.scale, 'data_samples': sample}


@METRICS.register_module()
class ToyAccuracy(BaseMetric):
    """Share of pixels whose class is right, as ``toy/acc``."""

    default_prefix = 'toy'

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Counts the right pixels of each prediction."""
        for sample in data_samples:
            right = sample['pred_sem_seg']['data'] == sample['gt_sem_seg']['data']
            self.results.append((int(right.sum()), right.numel()))

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Returns the share of all pixels."""
        return {'acc': sum(r for r, _ in results) / sum(n for _, n in results)}
