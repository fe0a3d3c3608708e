"""Images of a config's data sets as models get them, with their ground truth."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.registry import DATASETS, FUNCTIONS

from mmkd_ext.algorithms.preprocess import InputStats, preprocessor_of
from mmkd_ext.errors import ConfigError, DataError

if TYPE_CHECKING:
    from mmengine.config import Config
    from numpy.typing import NDArray
    from torch import Tensor, nn

__all__ = ['Pictures', 'Scene', 'spread']

_SPLITS = ('val', 'test', 'train')


@dataclass(frozen=True)
class Scene:
    """One image of a data set on its way into the models.

    Args:
        index: Its place in the data set.
        name: Its file's name, if it has one.
        inputs: What the models get ``(1 c h w)``, padding included.
        data_samples: Samples that go with it.
        image: The part without padding as RGB ``(h w 3)``, at the size of `inputs`.
        boxes: Ground truth ``(k 4)`` in pixels of `image`: left, top, right, bottom.
        labels: Class of each box ``(k)``.
        truth: Class of each pixel ``(h w)``, or None.
    """

    index: int
    name: str
    inputs: Tensor
    data_samples: Any
    image: NDArray[Any]
    boxes: NDArray[Any]
    labels: NDArray[Any]
    truth: NDArray[Any] | None


class Pictures:
    """The images of one split, as in validation, but with ground truth at their size.

    The pipeline is that of ``val_dataloader``, which augments nothing; ground truth is
    read before images are resized, not after, so that it lies where the models see it.
    A pipeline that reads none takes that step from training.

    Args:
        cfg: The config of the run.
        split: ``'val'``, ``'test'`` or ``'train'``: whose images. A config without
            validation shows its test images for ``'val'``.

    Raises:
        ConfigError: The config has no such data.
        DataError: The data cannot be read.
    """

    def __init__(self, cfg: Config, split: str = 'val') -> None:
        if not cfg.get('val_dataloader') and cfg.get('test_dataloader'):
            split = 'test' if split == 'val' else split
        loader = cfg.get(f'{split}_dataloader')
        if split not in _SPLITS or not isinstance(loader, Mapping):
            raise ConfigError(f'The config has no `{split}_dataloader` to take from.')
        self.split = split
        self.collate = _collate_function(loader)
        config = _dataset_config(cfg, split)
        try:
            self.dataset = DATASETS.build(config)
            if hasattr(self.dataset, 'full_init'):
                self.dataset.full_init()
        except (OSError, AssertionError, IndexError) as error:
            raise DataError(
                f'The images of `{split}_dataloader` cannot be read: '
                f'{type(error).__name__}: {error}'
            ) from error
        meta = getattr(self.dataset, 'metainfo', None) or {}
        self.classes: Sequence[str] = tuple(meta.get('classes') or ())
        self.palette: Sequence[Sequence[int]] | None = _palette(meta.get('palette'))

    def __len__(self) -> int:
        return len(self.dataset)

    def check(self, indices: Sequence[int]) -> None:
        """Raises `DataError` where there is no image of such an index."""
        for index in indices:
            if not 0 <= index < len(self):
                raise DataError(
                    f'There is no image {index}: `{self.split}_dataloader` has '
                    f'{len(self)}, from 0 to {len(self) - 1}.'
                )

    def load(self, index: int, model: nn.Module) -> Scene:
        """Returns an image as the preprocessor of ``model`` normalises and pads it."""
        try:
            item = self.dataset[index]
        except OSError as error:
            raise DataError(f'Image {index} cannot be read: {error}') from error
        preprocessor = preprocessor_of(model)
        data = self.collate([item])
        if preprocessor is not None:
            data = preprocessor(data, False)
        inputs, samples = data['inputs'], data.get('data_samples')
        sample = samples[0] if isinstance(samples, (list, tuple)) and samples else None
        meta = getattr(sample, 'metainfo', {})
        height, width = _without_padding(meta, inputs)
        boxes, labels = _boxes(sample)
        return Scene(
            index,
            Path(str(meta.get('img_path') or '')).name,
            inputs,
            samples,
            rgb(inputs[0], preprocessor)[:height, :width],
            boxes,
            labels,
            _truth(sample, height, width),
        )


def spread(count: int, length: int) -> list[int]:
    """Returns ``count`` indices spread evenly over ``length`` images.

    Examples:
        >>> spread(4, 10)
        [0, 2, 5, 7]
        >>> spread(4, 2)
        [0, 1]
    """
    count = min(count, length)
    return [i * length // count for i in range(count)]


def rgb(image: Tensor, preprocessor: Any) -> NDArray[Any]:
    """Returns a normalised image ``(c h w)`` as RGB ``(h w 3)`` from 0 to 255."""
    pixels = image.detach().float().cpu()
    stats = InputStats.of(preprocessor)
    if stats is not None:
        std, mean = (torch.tensor(v).view(-1, 1, 1) for v in (stats.std, stats.mean))
        pixels = pixels * std + mean
    if pixels.shape[0] != 3:
        pixels = pixels.mean(0, keepdim=True).expand(3, -1, -1)
    elif stats is not None and not stats.swap:
        pixels = pixels.flip(0)  # images are read as BGR
    low, high = float(pixels.min()), float(pixels.max())
    if low < -1 or high > 256 or high <= 2:
        # no pixel values: how it was normalised is not known
        pixels = 255 * (pixels - low) / max(high - low, 1e-6)
    pixels = pixels.round().clamp(0, 255)
    return np.asarray(pixels.to(torch.uint8).permute(1, 2, 0).numpy())


def _without_padding(meta: Mapping[str, Any], inputs: Tensor) -> tuple[int, int]:
    height, width = inputs.shape[-2:]
    shape = meta.get('img_shape') or (height, width)
    return min(int(shape[0]), height), min(int(shape[1]), width)


def _boxes(sample: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Returns the ground truth boxes and their classes; none where there are none."""
    instances = getattr(sample, 'gt_instances', None)
    boxes = getattr(instances, 'bboxes', None)
    if instances is None or boxes is None:
        return np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    boxes = getattr(boxes, 'tensor', boxes).detach().float().cpu().numpy()
    labels = getattr(instances, 'labels', None)
    if labels is None:
        return boxes, np.zeros(len(boxes), np.int64)
    return boxes, labels.detach().cpu().numpy()


def _truth(sample: Any, height: int, width: int) -> NDArray[Any] | None:
    """Returns the class of each pixel, if a segmentation data set knows it."""
    data = getattr(getattr(sample, 'gt_sem_seg', None), 'data', None)
    if data is None or data.shape[-2] < height or data.shape[-1] < width:
        return None
    labels = data.detach().cpu().numpy().reshape(data.shape[-2:])
    return np.asarray(labels[:height, :width].astype(np.int64))


# ---- configs -----------------------------------------------------------------------


def _collate_function(loader: Mapping[str, Any]) -> Callable[[list[Any]], Any]:
    config = dict(loader.get('collate_fn') or {'type': 'pseudo_collate'})
    kind = config.pop('type')
    function = FUNCTIONS.get(kind) if isinstance(kind, str) else kind
    return lambda items: function(items, **config)


def _dataset_config(cfg: Config, split: str) -> dict[str, Any]:
    """Returns the data set of a split with a pipeline that augments nothing."""
    config = copy.deepcopy(cfg[f'{split}_dataloader'].dataset)
    source = cfg.get('val_dataloader') or cfg.get('test_dataloader')
    if not isinstance(source, Mapping):
        raise ConfigError(
            'The config has no `val_dataloader`, whose pipeline says how images are '
            'prepared without augmentation.'
        )
    pipeline = _find(source['dataset'], 'pipeline')
    if pipeline is None:
        return dict(config)
    trained = cfg.get('train_dataloader')
    known = _find(trained['dataset'], 'pipeline') if trained else None
    return _with_pipeline(config, _plain_pipeline(pipeline, known or ()))


def _find(dataset: Any, key: str) -> Any:
    """Returns a key of a data set's config, or of the first one that it wraps."""
    while isinstance(dataset, Mapping):
        if dataset.get(key):
            return dataset[key]
        inner = dataset.get('dataset') or dataset.get('datasets')
        dataset = inner[0] if isinstance(inner, (list, tuple)) else inner
    return None


def _plain_pipeline(val: Sequence[Any], train: Sequence[Any]) -> list[Any]:
    """Returns the steps of validation, ground truth being read before any resizing."""
    steps = [copy.deepcopy(step) for step in val if not _is_truth(step)]
    truth = [s for s in val if _is_truth(s)] or [s for s in train if _is_truth(s)]
    after = next((i for i, s in enumerate(steps) if not _is_loading(s)), len(steps))
    return [*steps[:after], *copy.deepcopy(truth[:1]), *steps[after:]]


def _is_loading(step: Any, what: str = '') -> bool:
    kind = str(step.get('type')).rsplit('.', 1)[-1]
    return kind.startswith('Load') and what in kind


def _is_truth(step: Any) -> bool:
    return _is_loading(step, 'Annotations')


_WRAPPERS = ('dataset', 'datasets')
_MIXES = ('MultiImageMixDataset', 'RepeatDataset', 'ClassBalancedDataset')


def _with_pipeline(config: Any, pipeline: list[Any]) -> dict[str, Any]:
    """Sets the pipeline of a data set; removes wrappers that repeat or mix."""
    config = dict(config)
    if str(config.get('type')).rsplit('.', 1)[-1] in _MIXES:
        return _with_pipeline(config['dataset'], pipeline)
    for key in _WRAPPERS:
        inner = config.get(key)
        if isinstance(inner, (list, tuple)):
            config[key] = [_with_pipeline(one, pipeline) for one in inner]
        elif isinstance(inner, Mapping):
            config[key] = _with_pipeline(inner, pipeline)
    if not any(config.get(key) for key in _WRAPPERS):
        config['pipeline'] = copy.deepcopy(pipeline)
    return config


def _palette(palette: Any) -> Sequence[Sequence[int]] | None:
    """Returns a list of colours; data sets may also say 'random' or give one."""
    if not isinstance(palette, (list, tuple)) or not palette:
        return None
    return palette if isinstance(palette[0], (list, tuple)) else [palette]
