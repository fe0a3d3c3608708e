"""Several views of a picture come as one batch, view by view."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset
from mmengine.registry import TRANSFORMS
from mmengine.runner import Runner

from mmkd_ext.datasets.views import QuarterTurns, Views, views_collate
from mmkd_ext.errors import ConfigError, DataError


class Pack(BaseTransform):
    """Packs a number; changes what it is given, as transforms may."""

    def __init__(self, plus=0.0):
        self.plus = plus

    def transform(self, results):
        results['img'] += self.plus
        return {'inputs': torch.from_numpy(results['img']), 'index': results['index']}


class GivesUp(BaseTransform):
    def transform(self, results):
        return None


class Numbers(BaseDataset):
    def load_data_list(self):
        return [{'img': np.full((1, 2, 2), float(i)), 'index': i} for i in range(4)]


def test_a_batch_has_the_first_view_of_all_then_the_second_of_all():
    TRANSFORMS.register_module(name='Pack', module=Pack, force=True)
    loader = Runner.build_dataloader(dict(
        batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='mmkd_ext.views_collate'),
        dataset=dict(type=Numbers, pipeline=[dict(type='mmkd_ext.Views', views=[
            [dict(type='Pack', plus=10.0)], [dict(type='Pack', plus=100.0)]])])))
    first, second = loader
    assert [x.flatten()[0].item() for x in first['inputs']] == [10, 11, 100, 101]
    assert second['index'] == [2, 3, 2, 3]


def test_a_picture_that_one_view_gives_up_is_left_out():
    results = {'img': np.zeros((1, 1, 3)), 'index': 0}
    assert Views([[Pack()], [GivesUp()]])(results) is None


@pytest.mark.parametrize('views', [[], [[]], [[Pack()], []]])
def test_a_view_needs_transforms(views):
    with pytest.raises(ConfigError, match='a list of transforms for each view'):
        Views(views)


@pytest.mark.parametrize('batch', [[{'a': 1}], [[{'a': 1}], [{'a': 1}, {'a': 2}]]])
def test_collating_says_that_there_are_no_views(batch):
    with pytest.raises(DataError, match=r'mmkd_ext\.Views'):
        views_collate(batch)


@pytest.mark.parametrize('turns', [0, 1, 2, 3])
def test_turns_picture_and_labels_alike(turns):
    labels = np.arange(6).reshape(2, 3)
    picture = np.stack([labels] * 3, -1)
    found = QuarterTurns(turns)({'img': picture, 'gt_seg_map': labels})
    assert (found['img'][..., 0] == found['gt_seg_map']).all()
    wanted = torch.rot90(torch.from_numpy(labels), turns)
    assert torch.equal(torch.from_numpy(found['gt_seg_map']), wanted)
    assert found['img_shape'] == tuple(wanted.shape)
    with pytest.raises(ConfigError, match='`turns`'):
        QuarterTurns(4)
