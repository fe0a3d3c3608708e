"""The dry run takes pictures of the size that the models are made for."""

from __future__ import annotations

import distill_toys as toys
import pytest
from mmengine.config import Config
from mmengine.model import BaseModel, ImgDataPreprocessor
from torch import nn

from mmkd_ext.algorithms.dry_run import blank_batch, input_size
from mmkd_ext.config.check import check_config
from mmkd_ext.testing.toy import ToyModel


class Model(BaseModel):
    def forward(self, inputs, data_samples=None, mode='tensor'):
        return inputs


def model(img_size=None, size=None, crop=None, divisor=1):
    made = Model(ImgDataPreprocessor(pad_size_divisor=divisor))
    made.backbone = nn.Identity()
    if img_size is not None:
        made.backbone.img_size = img_size
    made.data_preprocessor.size = size
    made.test_cfg = {} if crop is None else dict(crop_size=crop)
    return made


@pytest.mark.parametrize(
    ('made', 'expected'),
    [
        (model(), (128, 128)),
        # only where a part is made for one size do crops matter: they cost time
        (model(size=(512, 1024), crop=(512, 1024)), (128, 128)),
        (model(img_size=224), (224, 224)),
        (model(img_size=(96, 192)), (96, 192)),
        (model(img_size=640, size=(512, 512)), (512, 512)),
        (model(img_size=640, crop=(480, 480)), (480, 480)),
        (model(divisor=32), (128, 128)),
        (model(divisor=48), (144, 144)),
        (model(divisor=256), (256, 256)),
    ],
)
def test_the_size_that_a_model_fixes(made, expected):
    assert input_size(made) == expected
    assert blank_batch(made)['inputs'].shape[2:] == expected


def test_all_models_of_a_distillation_take_the_size_that_one_fixes():
    assert input_size(model(), model(img_size=224)) == (224, 224)
    assert input_size(model(divisor=48), model(divisor=32)) == (192, 192)


class Fixed(ToyModel):
    """Takes one size only, as BEiT does with its table of positions."""

    def __init__(self, size, **more):
        super().__init__(**more)
        self.backbone.img_size = size

    def forward(self, inputs, data_samples=None, mode='tensor'):
        if inputs.shape[2:] != self.backbone.img_size:
            raise ValueError(f'only {self.backbone.img_size}, not {inputs.shape}')
        return super().forward(inputs, data_samples, mode)


@pytest.mark.parametrize('owner', ['student', 'teacher'])
def test_a_model_of_one_size_distils(owner):
    models = [ToyModel(), ToyModel()]
    models[owner == 'teacher'] = Fixed((48, 80))
    algorithm = toys.build(toys.link(), *models)
    assert algorithm.input_size == (48, 80)
    (plan,) = algorithm.distiller.plans
    assert plan.shapes['preds_S'] == plan.shapes['preds_T'] == (1, 4, 24, 40)


def segmentor(backbone, size):
    head = dict(in_channels=8, channels=8, num_classes=3, num_convs=1)
    return dict(
        type='mmseg.EncoderDecoder',
        data_preprocessor=dict(type='mmseg.SegDataPreProcessor', size=size),
        backbone=dict(
            type=f'mmseg.{backbone}', img_size=size, patch_size=16, embed_dims=8,
            num_layers=2, num_heads=2, mlp_ratio=1, out_indices=[1], init_values=0.1,
        ),
        decode_head=dict(
            type='mmseg.FCNHead', norm_cfg=dict(type='BN'), in_index=0, **head
        ),
        test_cfg=dict(mode='slide', crop_size=size, stride=(32, 32)),
    )  # fmt: skip


@pytest.mark.mmseg
@pytest.mark.parametrize('backbone', ['BEiT', 'MAE'])
def test_the_check_of_a_transformer_with_a_table_of_positions(backbone):
    """Both are made for 160 x 160 here, for 640 x 640 and 512 x 512 as published."""
    pytest.importorskip('mmseg')
    links = {
        f'loss_{number}': toys.link(at)
        for number, at in enumerate(('decode_head.conv_seg', 'decode_head.convs'))
    }
    models = [segmentor(backbone, (160, 160)) for _ in range(2)]
    cfg = Config(dict(model=toys.config(links, *models), default_scope='mmseg'))
    report = check_config(cfg, data=False)
    assert not report.problems
    assert report.batch == '2 x 3 x 160 x 160 noise'
    assert all(term.gradient > 0 for term in report.terms if 'loss' in term.name)
