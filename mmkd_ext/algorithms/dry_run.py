"""A forward pass on a blank image, which finds modes and shapes before training."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable

import torch
from torch import nn

from mmkd_ext.algorithms.preprocess import padding_divisor
from mmkd_ext.datasets.augmentations import ROW
from mmkd_ext.errors import TapError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmkd_ext.distillers.taps import Recorder

__all__ = [
    'blank_batch',
    'has_masks',
    'input_size',
    'known_divisor',
    'package_of',
    'run_once',
    'set_inplace',
    'undisturbed',
]

SIZE = 128

# Some backbones and heads return more in training (DDRNet, PIDNet), and a head may
# compute losses there alone; so a student is tried in training mode first, and a
# teacher in eval mode only.
_TEACHER_RUNS = (('tensor', False), ('loss', False))
_STUDENT_RUNS = (('tensor', True), ('loss', True), *_TEACHER_RUNS)


def blank_batch(
    model: nn.Module, size: int | tuple[int, int] | None = None
) -> dict[str, Any]:
    """Returns ``inputs`` ``(1 3 h w)`` and fitting ``data_samples``.

    Without a size it is that of `input_size`.

    The sample carries ground truth, so that heads can compute losses: one box (with
    its mask where the model has a part for masks, since RTMDet takes masks for those
    of its own kind), a map of class 0, or the label 0. Models of packages that
    `package_of` does not know get no samples. Of a stored teacher it is row 0.
    """
    device = next((p.device for p in model.parameters()), torch.device('cpu'))
    shape = input_size(model) if size is None else size
    if isinstance(shape, int):
        shape = (shape, shape)
    inputs = torch.zeros(1, 3, *shape, device=device)
    meta = {
        'img_shape': shape,
        'ori_shape': shape,
        'pad_shape': shape,
        'batch_input_shape': shape,
        'scale_factor': (1.0, 1.0),
        'img_id': 0,
        'img_path': '',
        ROW: 0,
    }
    package = package_of(model)
    samples = None if package is None else [_SAMPLES[package](model, meta, device)]
    return {'inputs': inputs, 'data_samples': samples}


def package_of(model: nn.Module) -> str | None:
    """Returns the package whose samples a model takes; None if it is not known."""
    packages = {cls.__module__.split('.')[0] for cls in type(model).__mro__}
    return next((name for name in _SAMPLES if name in packages), None)


def input_size(*models: nn.Module) -> tuple[int, int]:
    """Returns height and width of a picture that all of the models take.

    Where a part of one is made for one size (``img_size``, as of BEiT and MAE), that is
    the size which its preprocessor pads to, else its `crop_size`, else the part's own.
    Otherwise it is 128, or more where a model pools by windows that are too large for
    that (as the LR-ASPP head does), rounded up to what the models pad to.
    """
    for model in models:
        fixed = _fixed_size(model)
        if fixed is not None:
            return fixed
    divisor = math.lcm(*(padding_divisor(model) for model in models))
    side = SIZE * max(_pooling_factor(model) for model in models)
    side = divisor * math.ceil(side / divisor)
    return side, side


def known_divisor(model: nn.Module) -> int:
    """Returns a number that divides the sides of all pictures a model is trained on.

    It is 1 where its preprocessor neither pads to multiples nor to a size.
    """
    size = _pair(getattr(getattr(model, 'data_preprocessor', None), 'size', None))
    return padding_divisor(model) if size is None else math.gcd(*size)


def _fixed_size(model: nn.Module) -> tuple[int, int] | None:
    """Returns the one size of pictures that a model takes; None if it takes any."""
    sizes = (_pair(getattr(module, 'img_size', None)) for module in model.modules())
    own = next((size for size in sizes if size is not None), None)
    if own is None:
        return None
    preprocessor = getattr(model, 'data_preprocessor', None)
    padded = _pair(getattr(preprocessor, 'size', None))
    test_cfg = getattr(model, 'test_cfg', None) or {}
    return padded or _pair(test_cfg.get('crop_size')) or own


def _pair(size: Any) -> tuple[int, int] | None:
    if isinstance(size, int):
        return size, size
    if (
        isinstance(size, (list, tuple))
        and len(size) == 2
        and all(isinstance(side, int) for side in size)
    ):
        return size[0], size[1]
    return None


def _pooling_factor(model: nn.Module) -> int:
    """How many times larger than 128 a picture has to be for a pooling window."""
    windows = [
        max(pool.kernel_size)
        if isinstance(pool.kernel_size, tuple)
        else pool.kernel_size
        for pool in model.modules()
        if isinstance(pool, nn.AvgPool2d) and not pool.padding
    ]
    # maps that are pooled so are an eighth of the image, or less
    return max(1, math.ceil(8 * max(windows, default=0) / SIZE))


def _segmentation_sample(
    model: nn.Module, meta: dict[str, Any], device: torch.device
) -> Any:
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    truth = torch.zeros((1, *meta['img_shape']), dtype=torch.long, device=device)
    sample = SegDataSample(metainfo=meta)
    sample.gt_sem_seg = PixelData(data=truth)
    # what mmseg's `GenerateEdge` adds for PIDNet; other heads do not look
    sample.set_data({'gt_edge_map': PixelData(data=truth.clone())})
    return sample


def has_masks(model: nn.Module) -> bool:
    """Whether some part of a detector is about masks, going by its name."""
    return any('mask' in name for name, _ in model.named_modules())


def _detection_sample(
    model: nn.Module, meta: dict[str, Any], device: torch.device
) -> Any:
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData, PixelData

    height, width = meta['img_shape']
    box = torch.tensor([[width / 4, height / 4, width / 2, height / 2]], device=device)
    sample = DetDataSample(metainfo=meta)
    sample.gt_instances = InstanceData(
        bboxes=box,
        labels=torch.zeros(1, dtype=torch.long, device=device),
    )
    if has_masks(model):
        blank = torch.zeros(1, height, width, dtype=torch.uint8)
        sample.gt_instances.masks = BitmapMasks(blank.numpy(), height, width)
    sample.ignored_instances = InstanceData(
        bboxes=box[:0], labels=torch.zeros(0, dtype=torch.long, device=device)
    )
    sample.gt_sem_seg = PixelData(
        sem_seg=torch.zeros((1, height, width), dtype=torch.long, device=device)
    )
    return sample


def _classification_sample(
    model: nn.Module, meta: dict[str, Any], device: torch.device
) -> Any:
    from mmpretrain.structures import DataSample

    sample = DataSample(metainfo=meta).set_gt_label(0)
    preprocessor = getattr(model, 'data_preprocessor', None)
    classes = getattr(preprocessor, 'num_classes', None)
    if getattr(preprocessor, 'to_onehot', False) and classes:
        # mixed pictures have mixed labels, and some losses take no others
        sample.set_gt_score(torch.eye(classes)[0])
    return sample.to(device)


_SAMPLES: dict[str, Callable[[nn.Module, dict[str, Any], torch.device], Any]] = {
    'mmseg': _segmentation_sample,
    'mmdet': _detection_sample,
    'mmpretrain': _classification_sample,
}
"""What makes a sample with ground truth; some of mmseg's heads are also mmdet's."""


def run_once(
    model: nn.Module, recorder: Recorder, batch: dict[str, Any], *, stop: bool
) -> str:
    """Records one pass in the cheapest mode in which every tap fires.

    A student runs with gradients, so that its records tell which of them have one.

    Args:
        model: The model; its mode, weights and statistics stay as they were, and so do
            the random numbers of the caller.
        recorder: Records the pass; the caller clears it.
        batch: See `blank_batch`.
        stop: Whether training will stop this model after its last tap too.

    Returns:
        ``'tensor'``, or ``'loss'`` where a tap fires only there.

    Raises:
        TapError: A tap fires in neither mode. Its cause is what the model raised, if
            it ran in none.
    """
    if not recorder.needed:
        with recorder.recording(model):
            # modules themselves are tapped; no pass is needed to find them
            return 'tensor'
    reasons = []
    failures: list[Exception] = []
    for mode, training in _TEACHER_RUNS if stop else _STUDENT_RUNS:
        with undisturbed(model, training=training, gradients=not stop):
            try:
                with recorder.recording(model, stop=stop, explain=True):
                    model(**batch, mode=mode)
            except Exception as error:
                # a blank image may be too strange for a head; what fired still counts
                failures.append(error)
                why = f'mode={mode!r} failed: {type(error).__name__}: {error}.'
            else:
                why = ''
        silent = recorder.silent()
        if not silent:
            return mode
        reasons.append(why or f'mode={mode!r}: {recorder.silence(silent[0])}')
    cause = failures[-1] if len(failures) == len(reasons) else None
    raise TapError(' '.join(dict.fromkeys(reasons))) from cause


@contextmanager
def undisturbed(
    model: nn.Module, *, training: bool = False, gradients: bool = False
) -> Iterator[None]:
    """Restores modes, buffers and random state after the block.

    Norms are in eval mode in any case: one image is too little for their statistics.

    Args:
        model: The model.
        training: Mode of the model during the block.
        gradients: Whether gradients are on during the block.
    """
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    with torch.random.fork_rng(devices=[]), torch.set_grad_enabled(gradients):
        model.train(training)
        for module in model.modules():
            if hasattr(module, 'running_mean'):
                module.training = False
        try:
            yield
        finally:
            for module, before in modes:
                module.training = before
            for buffer, value in buffers:
                if not torch.equal(buffer, value):
                    with torch.no_grad():
                        buffer.copy_(value)


def set_inplace(model: nn.Module, inplace: bool) -> int:
    """Sets ``inplace`` of all activations; returns how many it changed."""
    changed = 0
    for module in model.modules():
        now = getattr(module, 'inplace', None)
        if isinstance(now, bool) and now is not inplace:
            vars(module)['inplace'] = inplace
            changed += 1
    return changed
