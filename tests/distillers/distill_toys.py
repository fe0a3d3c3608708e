"""A toy distillation for tests: its links, the algorithm, and what is refused."""

from __future__ import annotations

import pytest
import torch

from mmkd_ext.errors import ConfigError
from mmkd_ext.registry import MODELS
from mmkd_ext.testing.toy import toy_batch

LOGITS = 'head.conv_seg'
TOY = 'mmkd_ext.ToyModel'


def link(at=LOGITS, loss='CWDLoss', of='teacher', student=None, teacher=None, **more):
    """A link of one module of both; ``student`` and ``teacher`` change the taps."""
    return dict(
        loss=dict(type=f'mmkd_ext.{loss}'),
        preds_S=dict(dict(of='student', at=at), **(student or {})),
        preds_T=dict(dict(of=of, at=at), **(teacher or {})),
        **more,
    )


def config(links=None, student=None, teacher=None, **more):
    """Config of a distillation; one link is ``loss_x``."""
    links = link() if links is None else links
    links = {'loss_x': links} if 'loss' in links else links
    distiller = more.pop('distiller', None) or {}
    if 'teachers' not in more:
        more['teacher'] = teacher or dict(type=TOY, channels=12)
    return dict(
        type='mmkd_ext.TeacherDistill',
        architecture=student or dict(type=TOY),
        distiller={**dict(type='mmkd_ext.LinkDistiller', links=links), **distiller},
        **more,
    )


def build(*args, **more):
    torch.manual_seed(0)
    return MODELS.build(config(*args, **more))


def refused(*args, **more):
    """Problems of a distillation that must not be built."""
    with pytest.raises(ConfigError) as error:
        build(*args, **more)
    return error.value.problems


def losses_of(algorithm, batch=None):
    """Losses of the links in one step, by their names."""
    losses = algorithm(**(batch or toy_batch()), mode='loss')
    return {k.removeprefix('distill.'): v for k, v in losses.items() if 'distill.' in k}


def calls_of(module):
    """A list that grows with each call of a module."""
    calls = []
    module.register_forward_hook(lambda *_: calls.append(1))
    return calls


def equal_states(one, other):
    same = one.keys() == other.keys()
    return same and all(torch.equal(one[k], other[k]) for k in one)
