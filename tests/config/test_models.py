"""Starting a model as training would, without fetching anything."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule, ModuleList
from torch import nn

from mmkd_ext.config.context import Report
from mmkd_ext.config.models import initialize

FETCHED = {'type': 'Pretrained', 'checkpoint': 'https://host/x.pth'}
ONES = {'type': 'Constant', 'layer': 'Conv2d', 'val': 1.0}


class Checked(BaseModule):
    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.conv = nn.Conv2d(1, 1, 1)


class CheckedFailing(BaseModule):
    def init_weights(self):
        raise RuntimeError('no such luck')


def test_weights_are_initialised_and_none_are_fetched():
    model = ModuleList([Checked(FETCHED), Checked([FETCHED, ONES]), Checked(ONES)])
    before = model[0].conv.weight.clone()
    report = Report()
    initialize(model, 'model', report)
    assert report == Report()
    assert torch.equal(model[0].conv.weight, before)
    assert model[1].conv.weight.item() == model[2].conv.weight.item() == 1


def test_a_module_that_has_nothing_to_initialise_is_left_alone():
    report = Report()
    initialize(nn.Conv2d(1, 1, 1), 'model', report)
    assert report == Report()


def test_an_initialisation_that_fails_is_a_problem():
    report = Report()
    initialize(CheckedFailing(), 'model.architecture', report)
    (problem,) = report.problems
    assert problem.path == 'model.architecture'
    assert problem.found == 'RuntimeError: no such luck'
