"""A batch that leaves out a module which a link taps: a logged zero, not the end."""

from __future__ import annotations

import distill_toys as toys
import pytest
import torch
from distill_toys import link, losses_of
from torch import nn

from mmkd_ext.errors import TapError
from mmkd_ext.testing.toy import ToyModel

ADAPTER = dict(type='mmkd_ext.ConvAdapter', in_channels=8, out_channels=8)


class Fickle(ToyModel):
    """A model that calls its loss on what it finds, as a two-stage detector does."""

    finds = True

    def __init__(self, **more):
        super().__init__(**more)
        self.found = nn.Identity()

    def _logits(self, maps):
        if self.finds:
            self.found(maps[0])
        return super()._logits(maps)


@pytest.fixture
def algorithm():
    links = dict(
        loss_found=link('found', 'FitNetsLoss', student=dict(connector=ADAPTER)),
        loss_other=link(loss='FitNetsLoss'),
    )
    return toys.build(links, Fickle(), Fickle()).train()


def test_is_zero_for_every_parameter_and_leaves_other_links_alone(algorithm, logged):
    usual = losses_of(algorithm)
    assert usual['loss_found'] > 0
    algorithm.student.finds = False
    losses = losses_of(algorithm)
    assert losses['loss_found'] == 0
    torch.testing.assert_close(losses['loss_other'], usual['loss_other'])
    # DDP waits for a gradient of each parameter of the link
    losses['loss_found'].backward()
    adapter = algorithm.distiller.connectors['loss_found_preds_S']
    assert all(p.grad is not None and not p.grad.any() for p in adapter.parameters())
    algorithm.student.finds = True
    assert losses_of(algorithm)['loss_found'] > 0
    assert len(logged) == 1
    assert '`model.distiller.links.loss_found`' in logged[0]


def test_is_logged_ever_more_rarely(algorithm, logged):
    losses_of(algorithm)
    algorithm.student.finds = False
    for _ in range(100):
        losses_of(algorithm)
    assert [one.split('(')[1].split(' ')[0] for one in logged] == ['1', '10', '100']


def test_a_module_that_was_never_called_in_training_stays_an_error(algorithm, logged):
    algorithm.student.finds = False
    with pytest.raises(TapError, match='`found` of `student`'):
        losses_of(algorithm)
    assert not logged
