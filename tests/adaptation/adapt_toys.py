"""A tiny segmentor of mmseg and batches for it, for tests of adaptation."""

from __future__ import annotations

import torch
from mmengine.optim import OptimWrapper
from mmengine.structures import PixelData

CLASSES = 5
NORM = dict(type='BN', requires_grad=True)


def segmentor(norm='BN', width=8, classes=CLASSES, pooled=False, dropout=0.1, **test):
    """Config of an FCN on a three-stage ResNet; `pooled` adds a 1 x 1 map (PSP)."""
    norm = dict(type=norm, requires_grad=True)
    if norm['type'] == 'GN':
        norm['num_groups'] = 2
    head = dict(
        in_channels=8 * width,
        in_index=3,
        channels=width,
        dropout_ratio=dropout,
        num_classes=classes,
        norm_cfg=norm,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss'),
    )
    head = (
        dict(type='PSPHead', pool_scales=(1, 2), **head)
        if pooled
        else dict(type='FCNHead', num_convs=1, **head)
    )
    return dict(
        type='EncoderDecoder',
        _scope_='mmseg',
        data_preprocessor=dict(
            type='SegDataPreProcessor',
            mean=[120.0] * 3,
            std=[60.0] * 3,
            bgr_to_rgb=True,
            pad_val=0,
            seg_pad_val=255,
            size=(32, 64),
        ),
        backbone=dict(
            type='ResNet',
            depth=18,
            base_channels=width,
            stem_channels=width,
            norm_cfg=norm,
            norm_eval=False,
            style='pytorch',
            strides=(1, 2, 1, 1),
        ),
        decode_head=head,
        train_cfg={},
        test_cfg=test or dict(mode='whole'),
    )


def model(distiller, guard=None, seed=0, **settings):
    """A `ContinualAdaptation` with random weights and lively statistics."""
    import mmseg.models  # noqa: F401

    from mmkd_ext.adaptation import ContinualAdaptation

    torch.manual_seed(seed)
    built = ContinualAdaptation(segmentor(**settings), distiller, guard=guard)
    with torch.no_grad():
        for name, value in built.architecture.state_dict().items():
            if name.endswith('running_mean'):
                value.normal_(0, 0.1)
            elif name.endswith('running_var'):
                value.uniform_(0.5, 1.5)
    built.start(seed)
    return built


def batch(seed=0, size=(32, 64), original=None, truth=True, count=1):
    """A batch as a dataloader gives it."""
    from mmseg.structures import SegDataSample

    generator = torch.Generator().manual_seed(seed)
    samples = []
    original = original or size
    for i in range(count):
        sample = SegDataSample(
            metainfo=dict(
                img_path=f'{seed}_{i}.png',
                seg_map_path=f'{seed}_{i}_gt.png',
                ori_shape=original,
                img_shape=size,
                scale_factor=(1.0, 1.0),
                flip=False,
            )
        )
        if truth:
            labels = torch.randint(CLASSES, (1, *original), generator=generator)
            sample.gt_sem_seg = PixelData(data=labels)
        samples.append(sample)
    images = torch.randint(0, 256, (count, 3, *size), generator=generator)
    return dict(inputs=list(images.to(torch.uint8)), data_samples=samples)


def wrapper(built, lr=1e-2, kind=torch.optim.SGD, **more):
    """An optimizer over what the method trains."""
    trained = list(built.distiller.trained().values())
    return OptimWrapper(kind(trained, lr=lr), **more)


def stream(built, optim=None, images=3, **settings):
    """Predictions (labels) of a few images, each adapted to."""
    from mmkd_ext.adaptation.samples import without_truth

    found = []
    for i in range(images):
        data = batch(i, **settings)
        data['data_samples'] = without_truth(data['data_samples'])
        result = built.adapt_step(data, optim, domain='fog', step=i)
        found.append(result.data_samples[0].seg_logits.data.clone())
    return found
