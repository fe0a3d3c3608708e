"""Detection on the toy streets: boxes lie where the models see the objects."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from distill_toys import build, link
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmkd_ext.registry import MODELS
from mmkd_ext.visualization.draw import draw_pictures
from mmkd_ext.visualization.samples import Pictures

pytestmark = pytest.mark.mmdet
DATA = 'configs/_base_/datasets/streets_det.py'


@pytest.fixture(scope='module')
def streets(draw_streets):
    return draw_streets(train=1, val=1, drives=0, val_drives=0, frames=1)


@pytest.fixture
def cfg(streets, request):
    cfg = Config.fromfile(str(request.config.rootpath / DATA))
    for split in ('train', 'val'):
        cfg[f'{split}_dataloader'].dataset.data_root = str(streets)
    init_default_scope('mmdet')
    return cfg


def preprocessor():
    return dict(
        type='mmdet.DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=192,
    )


@pytest.mark.parametrize('split', ['val', 'train'])
def test_boxes_are_those_of_the_file_at_the_size_of_the_input(cfg, streets, split):
    model = SimpleNamespace(data_preprocessor=MODELS.build(preprocessor()))
    picture = Pictures(cfg, split).load(0, model)
    file = json.loads((streets / f'annotations/instances_{split}.json').read_text())
    expected = sorted(
        [2 * x, 2 * y, 2 * (x + w), 2 * (y + h)]
        for x, y, w, h in (
            one['bbox'] for one in file['annotations'] if not one['iscrowd']
        )
    )
    assert expected
    assert np.allclose(sorted(picture.boxes.tolist()), expected)
    # drawn twice as large, padded from 256 x 512 to multiples of 192
    assert picture.inputs.shape == (1, 3, 384, 576)
    assert picture.image.shape == (256, 512, 3)


def detector(width):
    return dict(
        type='mmdet.RetinaNet',
        data_preprocessor=preprocessor(),
        backbone=dict(
            type='mmdet.ResNet', depth=18, base_channels=width, stem_channels=width
        ),
        neck=dict(
            type='mmdet.FPN', in_channels=[width * 2**i for i in range(4)],
            out_channels=8, start_level=1, add_extra_convs='on_input', num_outs=3,
        ),
        bbox_head=dict(
            type='mmdet.RetinaHead', num_classes=8, in_channels=8, feat_channels=8,
            stacked_convs=1,
            anchor_generator=dict(
                type='mmdet.AnchorGenerator', octave_base_scale=4, scales_per_octave=1,
                ratios=[1.0], strides=[8, 16, 32],
            ),
        ),
    )


def test_draws_fgd_over_the_boxes(cfg):
    fgd = link('neck', data_samples=dict(of='batch', at='data_samples'))
    fgd['loss'] = dict(type='mmkd_ext.FGDLoss', channels=8, levels=3)
    model = build(dict(loss_fgd=fgd), detector(2), detector(4))
    (figure,) = draw_pictures(model, Pictures(cfg), [0])
    one_level, = draw_pictures(model, Pictures(cfg), [0], levels=[1])
    assert figure.link == 'loss_fgd'
    # eight columns, three rows
    assert figure.image.shape[1] > 2 * figure.image.shape[0]
    assert one_level.image.shape[0] < figure.image.shape[0] / 2
