"""CRD is told the classes of the samples when training begins."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset
from torch import nn

from mmkd_ext.engine import CRDClassesHook
from mmkd_ext.engine.hooks.crd import sample_classes
from mmkd_ext.errors import CheckpointError, ConfigError, DataError
from mmkd_ext.methods import CRDLoss

LABELS = [2, 0, 2, 1]


class Labelled(BaseDataset):
    labels = LABELS

    def load_data_list(self):
        return [{'gt_label': label} for label in self.labels]


class Multiple(Labelled):
    labels = [2, [0, 1]]


class Unlabelled(Labelled):
    def load_data_list(self):
        return [{'img_path': 'a.jpg'}]


def runner(dataset, *losses):
    return SimpleNamespace(model=nn.ModuleList(losses),
                           train_dataloader=SimpleNamespace(dataset=dataset))


def loss(samples=4):
    return CRDLoss(samples, 3, 3, channels=2, negatives=2)


def test_every_loss_knows_the_classes():
    losses = loss(), loss()
    CRDClassesHook().before_train(runner(Labelled(), *losses))
    assert [one.classes.tolist() for one in losses] == [LABELS, LABELS]


def test_the_indices_of_the_data_set_are_those_of_the_classes():
    dataset = Labelled(indices=[3, 1])
    assert sample_classes(dataset).tolist() == [1, 0]
    assert [dataset[i]['sample_idx'] for i in (0, 1)] == [0, 1]
    repeated = RepeatDataset(Labelled(), 3)
    assert sample_classes(repeated).tolist() == LABELS
    assert repeated[6]['sample_idx'] == 2


def test_a_resumed_memory_of_another_data_set_is_refused():
    one = loss()
    CRDClassesHook().before_train(runner(Labelled(), one))
    one(torch.rand(1, 3), torch.rand(1, 3), indices=torch.tensor([0]))
    other = Labelled()
    other.get_data_info = lambda index: {'gt_label': LABELS[::-1][index]}
    CRDClassesHook().before_train(runner(Labelled(), one))
    with pytest.raises(CheckpointError, match='another data set'):
        CRDClassesHook().before_train(runner(other, one))


@pytest.mark.parametrize(('dataset', 'message'), [
    (lambda: ConcatDataset([Labelled(), Labelled()]), 'no index of their own'),
    (lambda: [1, 2], '`list` have no index'),
    (Multiple, r'sample 1 of `Multiple` has \[0, 1\]'),
    (Unlabelled, 'has None as its `gt_label`')])
def test_says_what_the_data_set_lacks(dataset, message):
    with pytest.raises(DataError, match=message):
        CRDClassesHook().before_train(runner(dataset(), loss()))


def test_says_that_sizes_differ_or_that_there_is_no_loss():
    with pytest.raises(ConfigError, match='4 samples, but `CRDLoss` was made for 5'):
        CRDClassesHook().before_train(runner(Labelled(), loss(5)))
    with pytest.raises(ConfigError, match='finds no `CRDLoss`'):
        CRDClassesHook().before_train(runner(Labelled()))
