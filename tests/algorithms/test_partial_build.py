"""Constructors tell all their problems, and keep what works beside them."""

from __future__ import annotations

import pytest
from torch import nn

from mmkd_ext.algorithms import TeacherDistill
from mmkd_ext.distillers import LinkDistiller
from mmkd_ext.errors import ConfigError
from mmkd_ext.testing.toy import ToyModel, toy_batch

LINKS = 'model.distiller.links'


class FailingLoss(nn.Module):
    """A loss of another package that fails in the second step."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, preds_S, preds_T):
        self.calls += 1
        if self.calls > 1:
            raise RuntimeError('sizes must match')
        return preds_S.mean()


def link(loss='mmkd_ext.CWDLoss', at='head.conv_seg', **more):
    sides = {f'preds_{side}': {'of': of, 'at': at}
             for side, of in (('S', 'student'), ('T', 'teacher'))}
    return {'loss': {'type': loss, **more}, **sides}


def build(links, **more):
    distiller = {'type': LinkDistiller, 'links': links}
    return TeacherDistill(ToyModel(4), distiller, ToyModel(8), **more)


def test_a_distiller_is_kept_without_its_wrong_losses():
    links = {'loss_a': link(), 'loss_b': link('mmkd_ext.CWDLos'), 'c': link(tua=1)}
    with pytest.raises(ConfigError) as error:
        LinkDistiller(links)
    assert [problem.path for problem in error.value.problems] == [
        f'{LINKS}.c', f'{LINKS}.loss_b.loss.type', f'{LINKS}.c.loss.tua']
    assert list(error.value.partial.distill_losses) == ['loss_a']
    assert error.value.partial.broken == {'loss_b', 'c'}


def test_a_distillation_is_kept_without_the_links_that_fail_at_any_stage():
    links = {
        'loss_type': link('mmkd_ext.CWDLos'),
        'loss_tap': link(at='hed'),
        'loss_shape': link('mmkd_ext.KDLoss', at='head.conv'),
        'loss_ok': link(),
    }
    with pytest.raises(ConfigError) as error:
        build(links, inherit=['nekc'])
    paths = [problem.path for problem in error.value.problems]
    assert paths[0] == f'{LINKS}.loss_type.loss.type'
    assert 'model.inherit[0]' in paths
    assert {problem.link for problem in error.value.problems} >= {
        'loss_tap', 'loss_shape'}
    assert [one.name for one in error.value.partial.distiller.links] == ['loss_ok']
    losses = error.value.partial(**toy_batch(), mode='loss')
    assert [name for name in losses if 'distill' in name] == ['distill.loss_ok']


def test_a_model_that_cannot_run_leaves_nothing():
    class Broken(ToyModel):
        def forward(self, *args, **kwargs):
            raise RuntimeError('no')

    distiller = {'type': LinkDistiller, 'links': {'loss_a': link()}}
    with pytest.raises(ConfigError) as error:
        TeacherDistill(Broken(4), distiller, ToyModel(8))
    assert [problem.path for problem in error.value.problems] == ['model.architecture']
    assert error.value.partial is None


def test_an_error_in_a_step_has_the_name_of_its_link():
    algorithm = build({'loss_a': link(), 'loss_b': link(FailingLoss)})
    algorithm(**toy_batch(), mode='loss')
    with pytest.raises(RuntimeError, match='sizes must match') as error:
        algorithm(**toy_batch(), mode='loss')
    assert error.value.link == 'loss_b'
