"""A teacher that sees another picture of the scene than the student."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from distill_toys import TOY, build, link, losses_of
from mmengine.structures import BaseDataElement, PixelData

from mmkd_ext.config import measure
from mmkd_ext.datasets import KeepInput
from mmkd_ext.errors import ConfigError, DataError
from mmkd_ext.registry import TRANSFORMS

STATISTICS = dict(mean=[120.0, 110.0, 100.0], std=[60.0, 50.0, 40.0])
SIZE = (16, 24)


@TRANSFORMS.register_module(force=True)
class Pack:
    """Ends a pipeline; `smaller` cuts rows off first."""

    def __init__(self, smaller=0):
        self.smaller = smaller

    def __call__(self, results):
        image = torch.from_numpy(results['img'][self.smaller :]).permute(2, 0, 1)
        shape = tuple(image.shape[1:])
        sample = BaseDataElement(metainfo=dict(img_shape=shape))
        return dict(inputs=image, data_samples=sample)


@TRANSFORMS.register_module(force=True)
class Darken:
    """What the student sees."""

    def __call__(self, results):
        results['img'] = results['img'] // 4
        return results


def kept(**settings):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    last = dict(type=Pack, **settings)
    keep = KeepInput('clear', [dict(type=Darken), last])
    return image, keep(dict(img=image.copy()))


def test_the_picture_is_kept_before_the_other_transforms_change_it():
    image, packed = kept()
    clear = packed['data_samples'].clear
    assert clear.dtype == torch.float32
    assert np.array_equal(clear.permute(1, 2, 0).numpy(), image)
    assert np.array_equal(packed['inputs'].permute(1, 2, 0).numpy(), image // 4)


def test_transforms_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match='put what changes the size before'):
        kept(smaller=2)
    with pytest.raises(DataError, match='End with a transform that packs'):
        KeepInput('clear', [dict(type=Darken)])(dict(img=np.zeros((2, 2, 3), np.uint8)))
    with pytest.raises(ConfigError, match=r'`KeepInput\.transforms` is empty'):
        KeepInput('clear', [])


def distillation():
    teacher = dict(type=TOY, channels=12, bgr_to_rgb=True, **STATISTICS)
    teachers = dict(clear=dict(model=teacher, input='clear'))
    return build(link(of='clear'), student=dict(type=TOY), teachers=teachers)


def test_the_teacher_gets_its_own_picture_normalised_as_it_knows_it():
    algorithm, (image, packed) = distillation(), kept()
    seen = []
    first = algorithm.teachers['clear'].module.backbone
    first.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    # the student's batch is padded by four rows
    inputs = torch.zeros(1, 3, SIZE[0] + 4, SIZE[1])
    recorder = algorithm.distiller.recorders['clear']
    algorithm.teachers['clear'].run(recorder, inputs, [packed['data_samples']])
    rgb = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1).float()
    mean, std = (torch.tensor(STATISTICS[k]).view(3, 1, 1) for k in ('mean', 'std'))
    assert seen[0].shape == inputs.shape
    torch.testing.assert_close(seen[0][0, :, : SIZE[0]], (rgb - mean) / std)
    assert not seen[0][0, :, SIZE[0] :].any()


def test_samples_without_the_field_are_told_where_to_get_it():
    with pytest.raises(DataError, match=r'teachers\.clear\.input.*KeepInput'):
        losses_of(distillation())


def test_the_check_trains_a_step_with_a_picture_for_the_teacher(monkeypatch):
    labels = PixelData(data=torch.zeros(1, 16, 16, dtype=torch.long))
    sample = BaseDataElement()
    sample.set_field(labels, 'gt_sem_seg')
    batch = dict(inputs=torch.rand(1, 3, 16, 16), data_samples=[sample])
    monkeypatch.setattr(measure, 'random_batch', lambda *_: batch)
    measure.step_on_noise(distillation(), None, predict=False)
    assert sample.clear.shape == (3, 16, 16)
