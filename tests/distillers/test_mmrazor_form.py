"""MMRazor's keys: what is wrong is told where it was written, all at once."""

from __future__ import annotations

import copy

import distill_toys as toys
import pytest
import torch
from mmrazor.models import distillers as razor_distillers
from mmrazor.models import losses as razor_losses
from mmrazor.models.task_modules import recorder as razor_recorders

from mmkd_ext.connectors import ConvAdapter
from mmkd_ext.distillers import LinkDistiller
from mmkd_ext.distillers.schedules import LinearSchedule
from mmkd_ext.errors import ConfigError
from mmkd_ext.methods import CWDLoss
from mmkd_ext.testing.toy import ToyModel, toy_batch

LOGITS = dict(type='ModuleOutputs', source='head.conv_seg')
NECK = dict(type='ModuleOutputs', source='neck')
CONFIG = dict(
    type='ConfigurableDistiller',
    student_recorders=dict(logits={**LOGITS}, neck={**NECK}),
    teacher_recorders=dict(logits={**LOGITS}, neck={**NECK}),
    connectors=dict(
        adapt=dict(type='mmkd_ext.ConvAdapter', in_channels=4, out_channels=8)
    ),
    distill_losses=dict(
        loss_cwd=dict(type='mmkd_ext.CWDLoss'),
        loss_neck=dict(type='mmkd_ext.FitNetsLoss'),
    ),
    loss_forward_mappings=dict(
        loss_cwd=dict(
            preds_S=dict(from_student=True, recorder='logits'),
            preds_T=dict(from_student=False, recorder='logits'),
        ),
        loss_neck=dict(
            preds_S=dict(
                from_student=True, recorder='neck', data_idx=0, connector='adapt'
            ),
            preds_T=dict(from_student=False, recorder='neck', data_idx=0),
        ),
    ),
)


MAPPING = 'loss_forward_mappings.loss_cwd'


def changed(changes=None, **more):
    """The config with values put at dotted paths."""
    config = copy.deepcopy(CONFIG)
    for path, value in {**(changes or {}), **more}.items():
        *parents, last = path.split('.')
        inside = config
        for key in parents:
            inside = inside[key]
        inside[last] = value
    return config


def build(distiller):
    return toys.build(
        student=ToyModel(channels=4), teacher=ToyModel(channels=8),
        distiller={**dict(links=None), **distiller},
    )  # fmt: skip


def paths_of(distiller):
    with pytest.raises(ConfigError) as error:
        build(distiller)
    problems = error.value.problems
    found = [problem.path for problem in problems] or [str(error.value).split('`')[1]]
    return [path.removeprefix('model.distiller.') for path in found]


def test_the_config_is_right():
    losses = build(changed())(**toy_batch(), mode='loss')
    assert {'distill.loss_cwd', 'distill.loss_neck'} <= set(losses)


@pytest.mark.parametrize(
    ('key', 'value', 'path'),
    [
        ('distill_losses.loss_cwd.tua', 1.0, ''),
        ('distill_losses.loss_cwd.type', 'CWDLos', ''),
        ('distill_losses.loss_cwd.tau', -1.0, 'distill_losses.loss_cwd'),
        ('distill_losses.loss_cwd', {}, ''),
        ('distill_losses', ['loss'], ''),
        ('student_recorders.logits.source', 'had', 'student_recorders.logits'),
        ('teacher_recorders.logits.source', 'had', 'teacher_recorders.logits'),
        ('student_recorders.logits.type', 'ModuleOutput', ''),
        ('student_recorders.logits.from_', 1, 'student_recorders.logits'),
        ('connectors.adapt.kernel', 3, ''),
        ('connectors.adapt.type', 'ConvAdaptr', ''),
        (f'{MAPPING}.preds_S.data_idx', 1.5, ''),
        (f'{MAPPING}.preds_S.record_idx', -1, ''),
        (f'{MAPPING}.preds_S.connector', 'adpt', ''),
        (f'{MAPPING}.preds_S', 3, ''),
        (MAPPING, 3, ''),
        (f'{MAPPING}.preds_S.conector', 'c', ''),
        (f'{MAPPING}.preds_S.recorder', 'logit', ''),
        (f'{MAPPING}.preds_S.from_student', 1, ''),
        ('loss_forward_mappings.loss_b', {}, ''),
        (f'{MAPPING}.preds_U', dict(from_student=True, recorder='logits'), ''),
    ],
)
def test_a_mistake_is_told_where_it_was_written(key, value, path):
    assert (path or key) in paths_of(changed({key: value}))


def test_mistakes_in_all_parts_are_told_at_once():
    config = changed({
        'distill_losses.loss_cwd.tua': 1.0,
        'distill_losses.loss_more': dict(type='mmkd_ext.CWDLoss'),
        'connectors.adapt.kernel': 3,
        'loss_forward_mappings.loss_neck.preds_T.recorder': 'nck',
    })
    assert sorted(paths_of(config)) == [
        'connectors.adapt.kernel',
        'distill_losses.loss_cwd.tua',
        'distill_losses.loss_more',
        'loss_forward_mappings.loss_neck.preds_T.recorder',
    ]


def test_a_recorder_of_several_losses_is_told_once():
    config = changed({'student_recorders.neck.source': 'nck'})
    config['distill_losses']['loss_b'] = dict(type='mmkd_ext.FitNetsLoss')
    config['loss_forward_mappings']['loss_b'] = copy.deepcopy(
        CONFIG['loss_forward_mappings']['loss_neck']
    )
    assert paths_of(config) == ['student_recorders.neck']


def test_links_beside_mmrazors_keys_are_refused():
    config = changed()
    del config['loss_forward_mappings']
    config['links'] = dict(loss_a=toys.link())
    found = paths_of(config)
    assert found == ['student_recorders', 'teacher_recorders', 'distill_losses']


# ---- types given as classes, as in mmengine's new-style configs ----------------------


def test_types_may_be_classes():
    config = changed({
        'type': razor_distillers.ConfigurableDistiller,
        'distill_losses.loss_cwd.type': razor_losses.ChannelWiseDivergence,
        'connectors.adapt.type': ConvAdapter,
        'student_recorders.logits.type': razor_recorders.ModuleOutputsRecorder,
    })
    losses = build(config)(**toy_batch(), mode='loss')
    named = build(changed())
    assert {'distill.loss_cwd', 'distill.loss_neck'} <= set(losses)
    assert isinstance(named.distiller, LinkDistiller)


def test_types_of_links_may_be_classes():
    link = toys.link(schedule=dict(type=LinearSchedule, end=10, start=0.5))
    link['loss'] = dict(type=CWDLoss)
    algorithm = build(dict(type=LinkDistiller, links=dict(loss_a=link)))
    (built,) = algorithm.distiller.links
    assert algorithm.distiller.factor(built, 5, 0) == pytest.approx(0.75)


@pytest.mark.parametrize(
    'kind', [razor_distillers.BaseDistiller, ToyModel, 'ByotDistiller', None]
)
def test_what_is_no_distiller_of_links_is_refused(kind):
    with pytest.raises(ConfigError, match=r'`model\.distiller\.type`: must be'):
        build(changed(type=kind))


# ---- deliveries ----------------------------------------------------------------------

TOY = 'mmkd_ext.testing.toy.ToyModel'


def deliver(method, **more):
    return dict(
        type='MethodOutputs', max_keep_data=1, method_path=f'{TOY}.{method}', **more
    )


def test_deliveries_alone_run():
    torch.manual_seed(0)
    config = dict(
        type='ConfigurableDistiller', distill_deliveries=dict(one=deliver('_logits'))
    )
    algorithm = build(config).eval()
    batch = toy_batch()
    losses = algorithm(**batch, mode='loss')
    assert not any(name.startswith('distill.') for name in losses)
    # the student takes the teacher's logits over, so its task loss is the teacher's
    wanted = algorithm.teacher(**batch, mode='loss')['loss_seg']
    torch.testing.assert_close(losses['student.loss_seg'], wanted)
    alone = algorithm.student(**batch, mode='loss')['loss_seg']
    assert not torch.allclose(alone, wanted)


def test_a_teacher_runs_as_far_as_what_it_delivers():
    config = changed(distill_deliveries=dict(one=deliver('_targets')))
    algorithm = build(config)
    assert algorithm.teachers['teacher'].mode == 'loss'
    for _ in range(2):
        losses = algorithm(**toy_batch(), mode='loss')
    assert 'distill.loss_cwd' in losses


def test_the_student_runs_without_deliveries_once_distillation_has_stopped():
    algorithm = build(changed(distill_deliveries=dict(one=deliver('_targets'))))
    algorithm.distillation_stopped = True
    assert algorithm(**toy_batch(), mode='loss')['student.loss_seg'] > 0


@pytest.mark.parametrize(
    ('delivery', 'path', 'words'),
    [
        (dict(deliver('_logits'), type='MethodOutput'), '.one.type', 'Did you mean'),
        (dict(type='FunctionOutputs', max_keep_data=1), '.one', '`func_path`'),
        (3, '.one', 'must be a dict'),
        (dict(deliver('_logits'), max_keep=2), '', 'max_keep'),
        (deliver('nowhere'), '', 'nowhere is not in ToyModel'),
    ],
)
def test_names_mistakes_in_deliveries(delivery, path, words):
    with pytest.raises(ConfigError) as error:
        build(dict(type=LinkDistiller, distill_deliveries=dict(one=delivery)))
    assert f'`model.distiller.distill_deliveries{path}`' in str(error.value)
    assert words in str(error.value)


def test_a_delivery_that_nobody_calls_is_told():
    method = dict(deliver('x'), method_path='mmkd_ext.connectors.ConvAdapter.forward')
    config = dict(type=LinkDistiller, distill_deliveries=dict(one=method))
    with pytest.raises(ConfigError, match=r'ConvAdapter.*was not called'):
        build(config)


def test_a_method_is_as_it_was_after_its_calls_were_counted():
    before = vars(ToyModel)['_logits']
    config = dict(type=LinkDistiller, distill_deliveries=dict(one=deliver('_logits')))
    build(config)(**toy_batch(), mode='loss')
    assert vars(ToyModel)['_logits'] is before
