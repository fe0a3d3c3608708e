"""Mistakes in distillations: each one named at its place, all of them at once."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmkd_ext.config.check import check_config
from mmkd_ext.errors import ShapeError
from mmkd_ext.registry import MODELS
from mmkd_ext.testing.toy import ToyModel

LINKS = 'model.distiller.links'
CWD = f'{LINKS}.loss_cwd'
ADAPTER = {'type': 'mmkd_ext.ConvAdapter', 'in_channels': 4, 'out_channels': 8}
PYRAMID = {
    f'{CWD}.preds_{side}': {'of': of, 'at': 'neck'}
    for side, of in (('S', 'student'), ('T', 'teacher'))
}


@MODELS.register_module()
class CheckedStrangeLoss(nn.Module):
    """A loss that is not ours: it takes anything, and fails as it likes."""

    def __init__(self, fail=False, factor=1.0):
        super().__init__()
        self.fail = fail
        self.factor = factor

    def forward(self, preds_S, preds_T):
        if self.fail:
            raise RuntimeError('sizes must match')
        return self.factor * (preds_S.mean() - preds_T.mean())


@MODELS.register_module()
class CheckedBatchLoss(nn.Module):
    """A loss that wants more than features."""

    def forward(self, preds_S, inputs, data_samples):
        if preds_S.shape[2:] == inputs.shape[2:]:
            return preds_S.mean() + inputs.mean()
        raise ShapeError('the map must be as large as the picture')


@MODELS.register_module()
class CheckedListModel(ToyModel):
    """A model whose loss is a list, one a level, as detection heads give."""

    def forward(self, inputs, data_samples=None, mode='tensor'):
        out = super().forward(inputs, data_samples, mode)
        if mode == 'loss':
            out['loss_seg'] = [out['loss_seg'], 3 * out['loss_seg'].expand(4)]
        return out


@MODELS.register_module()
class CheckedBrokenModel(nn.Module):
    """A model that cannot be built."""

    def __init__(self):
        raise RuntimeError('no such luck')


def check(cfg, **options):
    return check_config(cfg, **options)


def only(found):
    assert len(found) == 1, [str(one) for one in found]
    return found[0]


@MODELS.register_module()
class CheckedFrozenModel(ToyModel):
    """A model whose backbone does not learn, as with `frozen_stages`."""

    def __init__(self, **more):
        super().__init__(**more)
        self.backbone.requires_grad_(False)


@MODELS.register_module()
class CheckedUpsample(nn.Upsample):
    """Doubles the size."""

    def __init__(self):
        super().__init__(scale_factor=2)


@MODELS.register_module()
class CheckedShyModel(ToyModel):
    """A model whose loss fails on noise."""

    def _targets(self, inputs, data_samples):
        raise RuntimeError('too shy')


# ---- a config that is right -------------------------------------------------------


def test_reports_links_shapes_alignment_terms_and_models(distillation):
    report = check(distillation(PYRAMID))
    assert report.ok
    assert report.kind == 'mmkd_ext.TeacherDistill'
    student, teacher = report.models
    assert (student.role, student.kind, student.parameters) == (
        'student',
        'ToyModel',
        688,
    )
    assert (teacher.role, teacher.mode, teacher.input) == (
        'teacher',
        'tensor',
        'as the student',
    )
    link = only(report.links)
    assert link.loss == 'mmkd_ext.CWDLoss(tau=2.0)'
    assert link.schedule == 'constant'
    assert link.alignment == ', '.join(['1x1 conv 4->8'] * 3)
    side, other = link.taps
    assert (side.argument, side.of, side.at) == ('preds_S', 'student', 'neck')
    assert side.shape == '[2x4x64x64, 2x4x32x32, 2x4x16x16]'
    assert side.entering == other.shape == '[2x8x64x64, 2x8x32x32, 2x8x16x16]'


def test_shares_of_loss_and_gradient_add_up_to_one(distillation):
    terms = check(distillation()).terms
    assert {term.name for term in terms} == {
        'student.loss_seg',
        'student.loss_aux',
        'distill.loss_cwd',
    }
    assert sum(term.share for term in terms) == pytest.approx(1)
    assert sum(term.gradient_share for term in terms) == pytest.approx(1)
    assert all(term.gradient > 0 for term in terms)


def test_a_list_of_losses_counts_as_the_sum_of_their_means(distillation):
    plain, listed = (
        {
            term.name: term
            for term in check(distillation({'model.architecture.type': kind})).terms
        }['student.loss_seg']
        for kind in ('mmkd_ext.ToyModel', 'CheckedListModel')
    )
    assert listed.value == pytest.approx(4 * plain.value, rel=1e-5)
    assert listed.gradient == pytest.approx(4 * plain.gradient, rel=1e-4)


def test_the_batch_can_be_tapped_too(distillation, link):
    batch = {'of': 'batch'}
    report = check(
        distillation(
            {
                LINKS: {
                    'loss_x': {
                        'loss': {'type': 'CheckedBatchLoss'},
                        'preds_S': {
                            'of': 'student',
                            'at': 'head.conv_seg',
                            'connector': [ADAPTER, {'type': 'CheckedUpsample'}],
                        },
                        'inputs': {**batch, 'at': 'inputs'},
                        'data_samples': {**batch, 'at': 'data_samples'},
                    }
                }
            }
        )
    )
    assert report.ok
    assert [tap.shape for tap in only(report.links).taps] == [
        '2x4x64x64',
        '2x3x128x128',
        'NoneType',
    ]


def test_a_config_file_names_a_model_and_its_weights_are_not_fetched(
    distillation, tmp_path
):
    file = tmp_path / 'student.py'
    file.write_text("model = dict(type='mmkd_ext.ToyModel', channels=5)")
    report = check(
        distillation(
            {
                'model.architecture': {'cfg_path': str(file), 'pretrained': True},
                'model.teacher': str(file),
            }
        )
    )
    assert report.ok
    assert [model.parameters for model in report.models] == [1_013, 1_013]


def test_without_gradients_only_values_are_reported(distillation):
    terms = check(distillation(), gradients=False).terms
    assert {term.gradient for term in terms} == {None}
    assert {term.gradient_share for term in terms} == {None}


def test_a_weight_changes_value_and_gradient_alike(distillation):
    one, ten = (
        {
            term.name: term
            for term in check(distillation({f'{CWD}.loss.loss_weight': weight})).terms
        }['distill.loss_cwd']
        for weight in (1.0, 10.0)
    )
    assert ten.value == pytest.approx(10 * one.value, rel=1e-4)
    assert ten.gradient == pytest.approx(10 * one.gradient, rel=1e-4)


def test_a_schedule_that_starts_at_zero_is_measured_in_full(distillation):
    schedule = {'type': 'linear', 'end': 5}
    report = check(distillation({f'{CWD}.schedule': schedule}))
    plain = check(distillation())
    assert only(report.links).schedule == 'linear(end=5)'
    assert [t.value for t in report.terms] == [t.value for t in plain.terms]


def test_shows_the_shape_before_and_after_a_connector(distillation):
    report = check(
        distillation(
            {
                f'{CWD}.preds_S': {
                    'of': 'student',
                    'at': 'neck.convs.1',
                    'connector': ADAPTER,
                },
                f'{CWD}.preds_T': {'of': 'teacher', 'at': 'neck.convs.1'},
            }
        )
    )
    side = only(report.links).taps[0]
    assert (side.shape, side.connector, side.entering) == (
        '2x4x32x32',
        'ConvAdapter',
        '2x8x32x32',
    )
    assert only(report.links).alignment == 'none'


def test_mmrazors_keys_are_checked_too(distillation):
    recorder = {'type': 'ModuleOutputs', 'source': 'head.conv_seg'}
    cfg = distillation(
        model__distiller={
            'type': 'ConfigurableDistiller',
            'student_recorders': {'logits': recorder},
            'teacher_recorders': {'logits': recorder},
            'distill_losses': {'loss_cwd': {'type': 'mmkd_ext.CWDLoss'}},
            'loss_forward_mappings': {
                'loss_cwd': {
                    'preds_S': {'from_student': True, 'recorder': 'logits'},
                    'preds_T': {'from_student': False, 'recorder': 'logits'},
                }
            },
        }
    )
    report = check(cfg)
    assert report.ok
    assert only(report.links).name == 'loss_cwd'


def test_in_place_activations_that_are_turned_off_are_noted(distillation, link):
    # the activation after `norm` works in place, and the logits come later
    norm = 'backbone.stages.0.norm'
    report = check(
        distillation({f'{LINKS}.loss_norm': link(preds_S__at=norm, preds_T__at=norm)})
    )
    assert report.ok
    assert [note.path for note in report.findings.notes] == [
        'model.module_inplace',
        'model.teacher_module_inplace',
    ]


def test_a_teacher_of_other_statistics_is_reported_as_renormalised(distillation):
    report = check(
        distillation(
            {
                'model.architecture.mean': [0, 0, 0],
                'model.architecture.std': [1, 1, 1],
                'model.teacher.mean': [9, 9, 9],
                'model.teacher.std': [2, 2, 2],
            }
        )
    )
    assert report.models[1].input == 're-normalised'
    assert '(9, 9, 9)' in str(report.findings.notes[0])


def test_a_preprocessor_beside_the_model_counts(distillation):
    cfg = distillation(data_preprocessor={'type': 'BaseDataPreprocessor'})
    assert check(cfg).ok


# ---- single mistakes --------------------------------------------------------------

MISTAKES = {
    'an unknown module of the student': (
        {f'{CWD}.preds_S.at': 'heads.conv_seg'}, f'{CWD}.preds_S.at',
        '`head.conv_seg`'),
    'an unknown module of the teacher': (
        {f'{CWD}.preds_T.at': 'nek'}, f'{CWD}.preds_T.at', '`neck`'),
    'an unknown owner': (
        {f'{CWD}.preds_T.of': 'techer'}, f'{CWD}.preds_T.of', '`teacher`'),
    'a container': (
        {f'{CWD}.preds_S.at': 'backbone.stages'}, f'{CWD}.preds_S.at',
        'backbone.stages.0'),
    'a branch that does not run in the student in any mode': (
        {f'{CWD}.preds_S': {'of': 'student', 'at': 'head'}, f'{CWD}.preds_T.at': 'head',
        f'{CWD}.preds_S.call': 3}, f'{CWD}.preds_S.at', '`call=3` was asked'),
    'an unknown key of the model': (
        {'model.techer_ckpt': 'x.pth'}, 'model.techer_ckpt', '`teacher_ckpt`'),
    'an unknown key of the distiller': (
        {'model.distiller.conectors': {}}, 'model.distiller.conectors', '`connectors`'),
    'an unknown key of a link': ({f'{CWD}.shedule': 3}, f'{CWD}.shedule', '`schedule`'),
    'an unknown key of a tap': (
        {f'{CWD}.preds_S.conector': ADAPTER}, f'{CWD}.preds_S.conector', '`connector`'),
    'an unknown argument of a loss': (
        {f'{CWD}.loss.tua': 3}, f'{CWD}.loss.tua', '`tau`'),
    'an unknown argument of the call of a loss': (
        {f'{CWD}.preds_Q': {'of': 'student', 'at': 'neck'}}, f'{CWD}.preds_Q',
        '`preds_'),
    'an unknown argument of a connector': (
        {f'{CWD}.preds_S.connector': {**ADAPTER, 'kernel': 3}},
        f'{CWD}.preds_S.connector.kernel', '`kernel_size`'),
    'an unknown argument of the connector inside a connector': (
        {f'{CWD}.preds_S.connector': {'type': 'mmkd_ext.PerLevel', 'levels': 3,
        'connector': {**ADAPTER, 'kernel': 3}}},
        f'{CWD}.preds_S.connector.connector.kernel', '`kernel_size`'),
    'an unknown argument of a shared connector': (
        {'model.distiller.connectors': {'adapt': {**ADAPTER, 'kernel': 3}},
        f'{CWD}.preds_S.connector': 'adapt'}, 'model.distiller.connectors.adapt.kernel',
        '`kernel_size`'),
    'an unknown argument of a schedule': (
        {f'{CWD}.schedule': {'type': 'linear', 'end': 3, 'strat': 0}},
        f'{CWD}.schedule.strat', '`start`'),
    'an unknown schedule': (
        {f'{CWD}.schedule': {'type': 'linaer', 'end': 3}}, f'{CWD}.schedule',
        '`linear`'),
    'a schedule that is no dict': (
        {f'{CWD}.schedule': 'linear'}, f'{CWD}.schedule', "'linear'"),
    'a schedule that ends before it begins': (
        {f'{CWD}.schedule': {'type': 'linear', 'begin': 9, 'end': 3}},
        f'{CWD}.schedule', '`end`'),
    'a missing argument of a schedule': (
        {f'{CWD}.schedule': {'type': 'linear'}}, f'{CWD}.schedule', "['end']"),
    'a missing argument of a loss': ({f'{CWD}.preds_T': None}, CWD, 'preds_T=dict(of='),
    'a missing argument of a connector': (
        {f'{CWD}.preds_S.connector': {'type': 'mmkd_ext.ConvAdapter',
        'in_channels': 4}}, f'{CWD}.preds_S.connector', "needs ['out_channels']"),
    'a missing argument of the model': (
        {'model.distiller': None}, 'model', "needs ['distiller']"),
    'no teacher': ({'model.teacher': None}, 'model.teacher', 'give either'),
    'a name without loss in it': (
        {f'{LINKS}.loss_cwd': None,
        f'{LINKS}.cwd': {'loss': {'type': 'mmkd_ext.CWDLoss'},
        'preds_S': {'of': 'student', 'at': 'head.conv_seg'},
        'preds_T': {'of': 'teacher', 'at': 'head.conv_seg'}}}, f'{LINKS}.cwd',
        '`loss_cwd`'),
    'no links': ({LINKS: {}}, LINKS, 'link'),
    'an unknown loss': (
        {f'{CWD}.loss.type': 'mmkd_ext.CWDLos'}, f'{CWD}.loss.type',
        '`mmkd_ext.CWDLoss`'),
    'an own loss that is not imported': (
        {f'{CWD}.loss.type': 'MyCWDLoss'}, f'{CWD}.loss.type', 'custom_imports'),
    'an unknown connector': (
        {f'{CWD}.preds_S.connector': {'type': 'mmkd_ext.ConvAdaptor'}},
        f'{CWD}.preds_S.connector.type', '`mmkd_ext.ConvAdapter`'),
    'an unknown distiller': (
        {'model.distiller.type': 'mmkd_ext.LinkDistller'}, 'model.distiller.type',
        '`mmkd_ext.LinkDistiller`'),
    'a distiller without type': (
        {'model.distiller.type': None}, 'model.distiller', 'mmkd_ext.Link'),
    'a distiller that is no dict': (
        {'model.distiller': 'links'}, 'model.distiller', "'links'"),
    'an unknown recorder': (
        {f'{CWD}.preds_S.at': {'type': 'ModulOutputs', 'source': 'neck'}},
        f'{CWD}.preds_S.at.type', '`ModuleOutputs`'),
    'an unknown student': (
        {'model.architecture.type': 'mmkd_ext.ToyModle'}, 'model.architecture.type',
        '`mmkd_ext.ToyModel`'),
    'an unknown argument of the student': (
        {'model.architecture.chanels': 3}, 'model.architecture.chanels', '`channels`'),
    'channels that a loss does not align': (
        {f'{CWD}.loss': {'type': 'mmkd_ext.KDLoss'}, f'{CWD}.preds_S.at': 'head.conv',
        f'{CWD}.preds_T.at': 'head.conv'}, CWD, 'mmkd_ext.ConvAdapter'),
    'a pyramid of another length': (
        {**PYRAMID, f'{CWD}.preds_S.item': [0, 1]}, CWD, 'number of levels'),
    'a connector for a pyramid of another length': (
        {**PYRAMID, f'{CWD}.preds_S.connector': {'type': 'mmkd_ext.PerLevel',
        'levels': 5, 'connector': ADAPTER}}, f'{CWD}.preds_S.connector', 'levels=5'),
    'a part that a tap does not have': (
        {**PYRAMID, f'{CWD}.preds_S.item': 7}, CWD, 'has no item 7'),
    'a value out of range': ({f'{CWD}.loss.tau': -1}, f'{CWD}.loss', '`tau`'),
    'a value that makes a class fail': (
        {f'{CWD}.preds_S.connector': {'type': 'mmkd_ext.PerLevel', 'levels': 3,
        'connector': 'four'}}, f'{CWD}.preds_S.connector', 'PerLevel'),
    'a teacher that is to be trained': (
        {'model.teacher_trainable': True}, 'model.teacher_trainable',
        'mmrazor.SingleTeacherDistill'),
    'a missing checkpoint of the teacher': (
        {'model.teacher_ckpt': 'gone.pth'}, 'model.teacher_ckpt', "'gone.pth'"),
    'a missing config file': (
        {'model.teacher': 'gone.py'}, 'model.teacher', "'gone.py'"),
    'a model that fails by itself': (
        {'model.architecture': {'type': 'CheckedBrokenModel'}}, 'model.architecture',
        'no such luck'),
    'a loss that fails in the dry run': (
        {f'{CWD}.loss': {'type': 'CheckedStrangeLoss', 'fail': True}}, f'{CWD}.loss',
        '(1, 4, 64, 64)'),
    'a loss of ours that refuses the shapes': (
        {f'{CWD}.loss': {'type': 'CheckedBatchLoss'}, f'{CWD}.preds_T': None,
        f'{CWD}.inputs': {'of': 'batch', 'at': 'inputs'},
        f'{CWD}.data_samples': {'of': 'batch', 'at': 'data_samples'}}, CWD,
        'as large as the picture'),
    'a loss that takes no pyramid': (
        {**PYRAMID, f'{CWD}.loss.reduction': 'none'}, f'{CWD}.loss', 'takes one level'),
    'teachers that are no dict': (
        {'model.teacher': None, 'model.teachers': ['x']}, 'model.teachers', 'a dict'),
    'no teacher among the teachers': (
        {'model.teacher': None, 'model.teachers': {}}, 'model.teachers', 'a dict'),
    'a teacher called like the batch': (
        {'model.teacher': None, 'model.teachers': {'batch': {}}}, 'model.teachers',
        "['batch']"),
}  # fmt: skip


@pytest.mark.parametrize(('changes', 'path', 'word'), MISTAKES.values(), ids=MISTAKES)
def test_names(changes, path, word, distillation):
    problems = check(distillation(changes)).findings.problems
    assert path in [problem.path for problem in problems]
    text = next(str(problem) for problem in problems if problem.path == path)
    assert word in text
    # a mistake must not be blamed on anything else
    assert all(
        problem.path.startswith((path, path.rsplit('.', 1)[0])) for problem in problems
    )


def test_mistakes_of_every_stage_are_reported_at_once(distillation, link):
    cfg = distillation(
        {
            'optimizer_config': {},
            'load_from': 'gone.pth',
            'model.techer_ckpt': 'x',
            LINKS: {
                'cwd': link({'loss__tua': 3, 'preds_S__at': 'heads'}),
                'loss_b': link(
                    loss__type='mmkd_ext.CWDLos',
                    preds_T__itm=1,
                    preds_S__at='backbone.stages',
                ),
                'loss_c': link({'preds_S__at': 'neck'}),
                'loss_d': link(schedule={'type': 'linaer'}, preds_T__at='neck'),
                'loss_e': link(
                    loss__type='mmkd_ext.KDLoss',
                    preds_S__at='head.conv',
                    preds_T__at='head.conv',
                ),
                'loss_f': link({'preds_S__at': 'nothing', 'preds_T__of': 'nobody'}),
                'loss_g': link(loss={'type': 'CheckedStrangeLoss', 'fail': True}),
                'loss_h': 3,
                'loss_ok': link(),
            },
        }
    )
    report = check(cfg)
    assert sorted(problem.path for problem in report.findings.problems) == sorted(
        [
            'optimizer_config',
            'load_from',
            'model.techer_ckpt',
            f'{LINKS}.cwd',
            f'{LINKS}.cwd.loss.tua',
            f'{LINKS}.cwd.preds_S.at',
            f'{LINKS}.loss_b.loss.type',
            f'{LINKS}.loss_b.preds_T.itm',
            f'{LINKS}.loss_b.preds_S.at',
            f'{LINKS}.loss_c',
            f'{LINKS}.loss_d.schedule',
            f'{LINKS}.loss_d',
            f'{LINKS}.loss_e',
            f'{LINKS}.loss_f.preds_S.at',
            f'{LINKS}.loss_f.preds_T.of',
            f'{LINKS}.loss_g.loss',
            f'{LINKS}.loss_h',
        ]
    )
    assert [one.name for one in report.links] == ['loss_ok']
    assert report.terms == []


@pytest.mark.parametrize(('changes', 'path'), [
    ({'distill_losses': {'loss_b': {'type': 'mmkd_ext.CWDLoss'}}},
     'model.distiller.distill_losses.loss_b'),
    ({'loss_forward_mappings': {'loss_b': {}}},
     'model.distiller.loss_forward_mappings.loss_b'),
])  # fmt: skip
def test_a_loss_without_mapping_and_a_mapping_without_loss(changes, path, distillation):
    distiller = {
        'type': 'ConfigurableDistiller',
        'distill_losses': {},
        'loss_forward_mappings': {},
        **changes,
    }
    problem = only(check(distillation(model__distiller=distiller)).findings.problems)
    assert problem.path == path


def test_mappings_are_mended_one_by_one(distillation):
    recorder = {'type': 'ModuleOutputs', 'source': 'head.conv_seg'}
    side = {'from_student': True, 'recorder': 'logits'}
    other = {**side, 'from_student': False}
    cfg = distillation(
        model__distiller={
            'type': 'ConfigurableDistiller',
            'student_recorders': {
                'logits': recorder,
                'gone': {**recorder, 'source': 'x'},
            },
            'teacher_recorders': {'logits': recorder},
            'connectors': {'wrong': {'type': 'Wrong'}},
            'distill_losses': {
                f'loss_{name}': {'type': 'mmkd_ext.CWDLoss'} for name in 'abcd'
            },
            'loss_forward_mappings': {
                'loss_a': {'preds_S': side, 'preds_T': {**other, 'recorder': 'logit'}},
                'loss_b': {'preds_S': {**side, 'connector': 'wrong'}, 'preds_T': other},
                'loss_c': {'preds_S': {**side, 'recorder': 'gone'}, 'preds_T': other},
                'loss_d': {'preds_S': side, 'preds_T': other},
            },
        }
    )
    report = check(cfg)
    mappings = 'model.distiller.loss_forward_mappings'
    assert [problem.path for problem in report.findings.problems] == [
        f'{mappings}.loss_a.preds_T.recorder',
        'model.distiller.connectors.wrong.type',
        'model.distiller.student_recorders.gone',
    ]
    assert [one.name for one in report.links] == ['loss_d']


def test_mistakes_of_every_stage_are_reported_at_once_in_mmrazors_form_too(
    distillation,
):
    recorder = {'type': 'ModuleOutputs', 'source': 'head.conv_seg'}
    side = {'from_student': True, 'recorder': 'logits'}
    other = {**side, 'from_student': False}
    cfg = distillation(
        model__distiller={
            'type': 'ConfigurableDistiller',
            'student_recorders': {
                'logits': recorder,
                'gone': {**recorder, 'source': 'head.conv_sge'},
            },
            'teacher_recorders': {'logits': recorder},
            'connectors': {'adapt': {**ADAPTER, 'kernel': 3}},
            'distill_losses': {
                'loss_a': {'type': 'mmkd_ext.CWDLoss', 'tua': 1.0},
                'loss_b': {'type': 'mmkd_ext.KDLos'},
                'loss_c': {'type': 'mmkd_ext.CWDLoss', 'tau': -1},
                'loss_d': {'type': 'mmkd_ext.CWDLoss'},
            },
            'loss_forward_mappings': {
                'loss_a': {'preds_S': {**side, 'recorder': 'gone'}, 'preds_T': other},
                'loss_b': {'preds_S': {**side, 'connector': 'adapt'}, 'preds_T': other},
                'loss_c': {'preds_S': side, 'preds_T': {**other, 'recorder': 'lgits'}},
                'loss_d': {'preds_S': side, 'preds_T': other},
            },
        }
    )
    report = check(cfg)
    inside = 'model.distiller'
    assert sorted(problem.path for problem in report.findings.problems) == [
        f'{inside}.connectors.adapt.kernel',
        f'{inside}.distill_losses.loss_a.tua',
        f'{inside}.distill_losses.loss_b.type',
        f'{inside}.distill_losses.loss_c',
        f'{inside}.loss_forward_mappings.loss_c.preds_T.recorder',
        f'{inside}.student_recorders.gone',
    ]
    assert [one.name for one in report.links] == ['loss_d']


def test_deliveries_alone_are_noted(distillation):
    cfg = distillation(
        model__distiller={
            'type': 'mmkd_ext.LinkDistiller',
            'distill_deliveries': {
                'logits': {
                    'type': 'MethodOutputs',
                    'max_keep_data': 1,
                    'method_path': 'mmkd_ext.testing.toy.ToyModel._logits',
                }
            },
        }
    )
    report = check(cfg)
    assert report.ok
    assert 'deliveries and no losses' in str(noted(report, 'model.distiller'))
    assert {term.name for term in report.terms} == {
        'student.loss_seg',
        'student.loss_aux',
    }


def test_a_shared_connector_that_is_wrong_takes_its_links_out(distillation, link):
    cfg = distillation(
        {
            'model.distiller.connectors': {'wrong': {'type': 'Wrong'}, 'good': ADAPTER},
            LINKS: {
                'loss_a': link(
                    preds_S__connector='good',
                    preds_S__at='neck.convs.0',
                    preds_T__at='neck.convs.0',
                )
            },
        }
    )
    report = check(cfg)
    assert (
        only(report.findings.problems).path == 'model.distiller.connectors.wrong.type'
    )
    assert [one.name for one in report.links] == ['loss_a']


def test_taps_of_the_teacher_are_looked_up_when_the_student_cannot_be_built(
    distillation,
):
    report = check(
        distillation(
            {
                'model.architecture.type': 'mmkd_ext.ToyModle',
                f'{CWD}.preds_T.at': 'nek',
                f'{CWD}.preds_S.at': 'nek',
            }
        )
    )
    assert [problem.path for problem in report.findings.problems] == [
        'model.architecture.type',
        f'{CWD}.preds_T.at',
    ]
    assert 'were not checked' in str(report.findings.notes)


def test_without_a_model_that_was_built_no_tap_is_looked_up(distillation):
    wrong = 'mmkd_ext.ToyModle'
    report = check(
        distillation({'model.architecture.type': wrong, 'model.teacher.type': wrong})
    )
    assert [problem.path for problem in report.findings.problems] == [
        'model.architecture.type',
        'model.teacher.type',
    ]
    assert report.models == []


def test_a_student_that_is_missing_is_said_once(distillation):
    report = check(distillation({'model.architecture': None}))
    assert "needs ['architecture']" in only(report.findings.problems).found


# ---- several teachers -------------------------------------------------------------


def teachers(distillation, **changes):
    one = {'model': {'type': 'mmkd_ext.ToyModel'}, 'weight': 0.5}
    return distillation(
        {
            'model.teacher': None,
            'model.teachers': {'teacher': dict(one), 'other': dict(one)},
            **{key.replace('__', '.'): value for key, value in changes.items()},
        }
    )


def test_several_teachers_are_reported_each(distillation):
    report = check(teachers(distillation))
    assert report.ok
    assert [model.role for model in report.models] == ['student', 'teacher', 'other']
    assert {warning.path for warning in report.findings.warnings} == {
        'model.teachers.teacher.ckpt',
        'model.teachers.other.ckpt',
    }


@pytest.mark.parametrize(('changes', 'path', 'hint'), [
    ({'model__teachers__other__wieght': 2}, 'model.teachers.other.wieght', '`weight`'),
    ({'model__teachers__other__weight': -2}, 'model.teachers.other.weight', '>= 0'),
    ({'model__teachers__other__ckpt': 'gone.pth'}, 'model.teachers.other.ckpt',
     "'gone.pth'"),
    ({'model__teachers__other__preprocess': {'men': 1}},
     'model.teachers.other.preprocess', 'needs `mean`'),
    ({'model__teachers__other__model': 3}, 'model.teachers.other.model', 'must be a'),
    ({'model__teacher_ckpt': 'x.pth'}, 'model.teacher_ckpt', '`ckpt`'),
])  # fmt: skip
def test_mistakes_of_one_of_several_teachers_are_named(
    changes, path, hint, distillation
):
    problem = only(check(teachers(distillation, **changes)).findings.problems)
    assert problem.path == path or f'`{path}`' in problem.found
    assert hint in str(problem)


# ---- warnings and notes -----------------------------------------------------------


def warned(report, path):
    return next(str(one) for one in report.findings.warnings if one.path == path)


def noted(report, path):
    return next(str(one) for one in report.findings.notes if one.path == path)


def test_a_teacher_without_checkpoint_is_a_warning(distillation):
    assert 'no checkpoint' in warned(check(distillation()), 'model.teacher_ckpt')


def test_checkpoints_are_read_and_their_match_is_reported(distillation, tmp_path):
    model = MODELS.build({'type': 'mmkd_ext.ToyModel', 'channels': 8})
    file = tmp_path / 'teacher.pth'
    torch.save({'state_dict': model.state_dict()}, file)
    report = check(distillation(model__teacher_ckpt=str(file)))
    assert report.ok
    assert report.models[1].matched == 1
    assert report.models[1].checkpoint == str(file)


def test_a_checkpoint_of_another_model_is_a_problem(distillation, tmp_path):
    file = tmp_path / 'other.pth'
    torch.save({'state_dict': {'w': torch.zeros(1)}}, file)
    report = check(distillation(model__student_ckpt=str(file)))
    assert only(report.findings.problems).path == 'model.student_ckpt'


def test_an_address_is_reported_and_not_fetched(distillation):
    report = check(distillation(model__teacher_ckpt='https://host/x/teacher.pth'))
    assert report.ok
    assert report.models[1].checkpoint == 'teacher.pth (not fetched)'
    assert not report.findings.warnings


def test_class_counts_that_differ_are_a_warning_for_features(distillation):
    report = check(distillation({**PYRAMID, 'model.teacher.classes': 7}))
    assert report.ok
    assert '7 classes' in warned(report, 'model.teacher')


@pytest.mark.parametrize(
    ('channels', 'said'),
    [(4, 'is as large as the student'), (2, 'is smaller than the student')],
)
def test_a_teacher_that_is_no_larger_is_noted(channels, said, distillation):
    report = check(distillation(model__teacher__channels=channels))
    assert said in noted(report, 'model.teacher')


def test_a_schedule_beyond_the_training_is_a_warning_also_in_a_misnamed_link(
    distillation, link
):
    schedule = {'type': 'linear', 'end': 99}
    report = check(
        distillation(
            {'train_cfg': {'max_iters': 9}, LINKS: {'cwd': link(schedule=schedule)}}
        )
    )
    assert '99' in warned(report, f'{LINKS}.cwd.schedule.end')


def test_a_term_without_gradient_is_a_warning(distillation):
    report = check(distillation({f'{CWD}.loss.loss_weight': 0.0}))
    assert 'no gradient' in warned(report, 'distill.loss_cwd')


def test_a_student_that_does_not_learn_has_no_gradient(distillation):
    report = check(distillation(model__student_trainable=False))
    assert {term.gradient for term in report.terms} == {0.0}
    assert {term.gradient_share for term in report.terms} == {0.0}


def test_frozen_parts_of_a_student_have_no_part_in_the_gradient(distillation):
    frozen = check(distillation({'model.architecture.type': 'CheckedFrozenModel'}))
    term = {term.name: term for term in frozen.terms}['distill.loss_cwd']
    free = {term.name: term for term in check(distillation()).terms}['distill.loss_cwd']
    assert 0 < term.gradient < free.gradient


@pytest.mark.parametrize(('ckpt', 'count'), [(None, 1), ('https://host/x.pth', 0)])
def test_first_weights_that_a_checkpoint_replaces_are_not_noted(
    ckpt, count, distillation
):
    init = {'type': 'Pretrained', 'checkpoint': 'https://host/backbone.pth'}
    changes = {'model.teacher.init_cfg': init}
    if ckpt:
        changes['model.teacher_ckpt'] = ckpt
    notes = check(distillation(changes)).findings.notes
    assert [note.path for note in notes] == [
        'model.teacher.init_cfg.checkpoint'
    ] * count


def test_a_term_that_is_not_finite_is_a_warning(distillation):
    strange = {'type': 'CheckedStrangeLoss', 'factor': float('nan')}
    report = check(distillation({f'{CWD}.loss': strange}))
    assert 'dry run' in warned(report, 'distill.loss_cwd')


@pytest.mark.parametrize(('weight', 'said'), [(1e-9, 'little'), (1e9, 'most')])
def test_a_share_that_is_tiny_or_everything_is_noted(weight, said, distillation):
    report = check(distillation({f'{CWD}.loss.loss_weight': weight}))
    assert said in noted(report, 'model.distiller')


def test_a_foreign_loss_between_unlike_shapes_is_a_warning(distillation):
    strange = {'type': 'CheckedStrangeLoss'}
    at = {'preds_S.at': 'neck.convs.0', 'preds_T.at': 'neck.convs.0'}
    report = check(
        distillation(
            {
                f'{CWD}.loss': strange,
                **{f'{CWD}.{key}': value for key, value in at.items()},
            }
        )
    )
    assert report.ok
    assert 'compare them wrongly' in warned(report, CWD)
    at['loss.type'] = 'mmrazor.ChannelWiseDivergence'
    report = check(distillation({f'{CWD}.{key}': value for key, value in at.items()}))
    said = str(report.findings.warnings) + str(report.findings.problems)
    assert '`mmkd_ext.CWDLoss` takes other channels and size itself' in said
    report = check(distillation({f'{CWD}.loss': strange}))
    assert CWD not in [warning.path for warning in report.findings.warnings]


def test_a_head_that_fails_on_noise_is_a_warning_and_links_are_still_shown(
    distillation,
):
    report = check(distillation({'model.architecture.type': 'CheckedShyModel'}))
    assert report.ok
    assert 'too shy' in warned(report, 'model')
    link = only(report.links)
    assert link.taps[0].shape == '(1, 4, 64, 64)'
    assert report.terms == []
