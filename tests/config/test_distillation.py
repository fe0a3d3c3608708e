"""Mistakes in distillations: each one named at its place, all of them at once."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmkd_ext.config.check import check_config as check
from mmkd_ext.errors import ShapeError
from mmkd_ext.registry import MODELS
from mmkd_ext.testing.toy import ToyModel

LINKS = 'model.distiller.links'
CWD = f'{LINKS}.loss_cwd'
ADAPTER = {'type': 'mmkd_ext.ConvAdapter', 'in_channels': 4, 'out_channels': 8}
STUDENT, TEACHER = {'of': 'student', 'at': 'neck'}, {'of': 'teacher', 'at': 'neck'}
PYRAMID = {f'{CWD}.preds_S': STUDENT, f'{CWD}.preds_T': TEACHER}


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


def only(found):
    assert len(found) == 1, [str(problem) for problem in found]
    return found[0]


def paths(found):
    return [problem.path for problem in found]


def terms(cfg, **options):
    return {term.name: term for term in check(cfg, **options).terms}


# ---- a config that is right -------------------------------------------------------


def test_reports_links_shapes_alignment_and_models(distillation):
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
    assert (link.loss, link.schedule) == ('mmkd_ext.CWDLoss(tau=2.0)', 'constant')
    assert link.alignment == ', '.join(['1x1 conv 4->8'] * 3)
    side, other = link.taps
    assert (side.argument, side.of, side.at) == ('preds_S', 'student', 'neck')
    assert side.shape == '[2x4x64x64, 2x4x32x32, 2x4x16x16]'
    assert side.entering == other.shape == '[2x8x64x64, 2x8x32x32, 2x8x16x16]'


def test_shares_of_loss_and_gradient_add_up_to_one(distillation):
    found = terms(distillation())
    assert set(found) == {'student.loss_seg', 'student.loss_aux', 'distill.loss_cwd'}
    assert sum(term.share for term in found.values()) == pytest.approx(1)
    assert sum(term.gradient_share for term in found.values()) == pytest.approx(1)
    assert all(term.gradient > 0 for term in found.values())
    plain = terms(distillation(), gradients=False).values()
    assert {(term.gradient, term.gradient_share) for term in plain} == {(None, None)}


def test_a_list_of_losses_counts_as_the_sum_of_their_means(distillation):
    plain, listed = (
        terms(distillation({'model.architecture.type': kind}))['student.loss_seg']
        for kind in ('mmkd_ext.ToyModel', 'CheckedListModel')
    )
    assert listed.value == pytest.approx(4 * plain.value, rel=1e-5)
    assert listed.gradient == pytest.approx(4 * plain.gradient, rel=1e-4)


def test_the_batch_can_be_tapped_too(distillation):
    link = {
        'loss': {'type': 'CheckedBatchLoss'},
        'preds_S': {'of': 'student', 'at': 'head.conv_seg',
                    'connector': [ADAPTER, {'type': 'CheckedUpsample'}]},
        'inputs': {'of': 'batch', 'at': 'inputs'},
        'data_samples': {'of': 'batch', 'at': 'data_samples'},
    }  # fmt: skip
    report = check(distillation({LINKS: {'loss_x': link}}))
    assert report.ok
    shapes = [tap.shape for tap in only(report.links).taps]
    assert shapes == ['2x4x64x64', '2x3x128x128', 'NoneType']


def test_a_config_file_names_a_model_and_its_weights_are_not_fetched(
    distillation, tmp_path
):
    file = tmp_path / 'student.py'
    file.write_text("model = dict(type='mmkd_ext.ToyModel', channels=5)")
    student = {'cfg_path': str(file), 'pretrained': True}
    report = check(
        distillation({'model.architecture': student, 'model.teacher': str(file)})
    )
    assert report.ok
    assert [model.parameters for model in report.models] == [1_013, 1_013]


def test_a_weight_changes_value_and_gradient_alike(distillation):
    one, ten = (
        terms(distillation({f'{CWD}.loss.loss_weight': weight}))['distill.loss_cwd']
        for weight in (1.0, 10.0)
    )
    assert ten.value == pytest.approx(10 * one.value, rel=1e-4)
    assert ten.gradient == pytest.approx(10 * one.gradient, rel=1e-4)


def test_a_schedule_that_starts_at_zero_is_measured_in_full(distillation):
    report = check(distillation({f'{CWD}.schedule': {'type': 'linear', 'end': 5}}))
    assert only(report.links).schedule == 'linear(end=5)'
    plain = check(distillation())
    assert [t.value for t in report.terms] == [t.value for t in plain.terms]


def test_shows_the_shape_before_and_after_a_connector(distillation):
    at = {f'{CWD}.preds_S.at': 'neck.convs.1', f'{CWD}.preds_T.at': 'neck.convs.1'}
    report = check(distillation({**at, f'{CWD}.preds_S.connector': ADAPTER}))
    side = only(report.links).taps[0]
    assert (side.shape, side.connector, side.entering) == (
        '2x4x32x32',
        'ConvAdapter',
        '2x8x32x32',
    )
    assert only(report.links).alignment == 'none'


def test_in_place_activations_that_are_turned_off_are_noted(distillation, link):
    # the activation after `norm` works in place, and the logits come later
    norm = 'backbone.stages.0.norm'
    report = check(
        distillation({f'{LINKS}.loss_norm': link(preds_S__at=norm, preds_T__at=norm)})
    )
    assert report.ok
    expected = ['model.module_inplace', 'model.teacher_module_inplace']
    assert paths(report.notes) == expected


def test_a_teacher_of_other_statistics_is_reported_as_renormalised(distillation):
    changes = {f'model.{role}.{key}': [value] * 3 for role, key, value in (
        ('architecture', 'mean', 0), ('architecture', 'std', 1),
        ('teacher', 'mean', 9), ('teacher', 'std', 2))}  # fmt: skip
    report = check(distillation(changes))
    assert report.models[1].input == 're-normalised'
    assert '(9, 9, 9)' in str(report.notes[0])


def test_a_preprocessor_beside_the_model_counts(distillation):
    cfg = distillation(data_preprocessor={'type': 'BaseDataPreprocessor'})
    assert check(cfg).ok


# ---- single mistakes --------------------------------------------------------------

PER_LEVEL = {'type': 'mmkd_ext.PerLevel', 'levels': 3}
CHECKED_BATCH = {
    '.loss': {'type': 'CheckedBatchLoss'}, '.preds_T': None,
    '.inputs': {'of': 'batch', 'at': 'inputs'},
    '.data_samples': {'of': 'batch', 'at': 'data_samples'}}  # fmt: skip
#: One change: its key, its value, a word of the problem. A key that begins with a dot
#: is of the link, and the problem is at the key.
AT_THE_KEY = [
    ('.preds_S.at', 'heads.conv_seg', '`head.conv_seg`'),
    ('.preds_T.at', 'nek', '`neck`'),
    ('.preds_T.of', 'techer', '`teacher`'),
    ('.preds_S.at', 'backbone.stages', 'backbone.stages.0'),
    ('model.techer_ckpt', 'x.pth', '`teacher_ckpt`'),
    ('model.distiller.conectors', {}, '`connectors`'),
    ('.shedule', 3, '`schedule`'),
    ('.preds_S.conector', ADAPTER, '`connector`'),
    ('.loss.tua', 3, '`tau`'),
    ('.preds_Q', STUDENT, '`preds_'),
    ('.schedule', {'type': 'linaer', 'end': 3}, '`linear`'),
    ('.schedule', 'linear', "'linear'"),
    ('.schedule', {'type': 'linear', 'begin': 9, 'end': 3}, '`end`'),
    ('.schedule', {'type': 'linear'}, "['end']"),
    ('.preds_S.connector', {'type': 'mmkd_ext.ConvAdapter', 'in_channels': 4},
     "needs ['out_channels']"),
    ('.preds_S.connector', {**PER_LEVEL, 'connector': 'four'}, 'PerLevel'),
    ('model.teacher', None, 'give either'),
    (LINKS, {}, 'link'),
    ('.loss.type', 'mmkd_ext.CWDLos', '`mmkd_ext.CWDLoss`'),
    ('.loss.type', 'MyCWDLoss', 'custom_imports'),
    ('model.distiller.type', 'mmkd_ext.LinkDistller', '`mmkd_ext.LinkDistiller`'),
    ('model.distiller', 'links', "'links'"),
    ('model.architecture.type', 'mmkd_ext.ToyModle', '`mmkd_ext.ToyModel`'),
    ('model.architecture.chanels', 3, '`channels`'),
    ('model.architecture', {'type': 'CheckedBrokenModel'}, 'no such luck'),
    ('model.teacher_norm_eval', False, 'teacher_trainable=True'),
    ('model.teacher_ckpt', 'gone.pth', "'gone.pth'"),
    ('model.teacher', 'gone.py', "'gone.py'"),
]  # fmt: skip
#: Several changes, or a problem elsewhere.
ELSEWHERE = [
    ({'.preds_S': {'of': 'student', 'at': 'head', 'call': 3}, '.preds_T.at': 'head'},
     '.preds_S.at', '`call=3` was asked'),
    ({'.preds_S.connector': {**ADAPTER, 'kernel': 3}}, '.preds_S.connector.kernel',
     '`kernel_size`'),
    ({'.preds_S.connector': {**PER_LEVEL, 'connector': {**ADAPTER, 'kernel': 3}}},
     '.preds_S.connector.connector.kernel', '`kernel_size`'),
    ({'model.distiller.connectors': {'adapt': {**ADAPTER, 'kernel': 3}},
      '.preds_S.connector': 'adapt'},
     'model.distiller.connectors.adapt.kernel', '`kernel_size`'),
    ({'.schedule': {'type': 'linear', 'end': 3, 'strat': 0}}, '.schedule.strat',
     '`start`'),
    ({'.preds_T': None}, '', 'preds_T=dict(of='),
    ({'model.distiller': None}, 'model', "needs ['distiller']"),
    ({'.preds_S.connector': {'type': 'mmkd_ext.ConvAdaptor'}},
     '.preds_S.connector.type', '`mmkd_ext.ConvAdapter`'),
    ({'model.distiller.type': None}, 'model.distiller', 'mmkd_ext.Link'),
    ({'.preds_S.at': {'type': 'ModulOutputs', 'source': 'neck'}}, '.preds_S.at.type',
     '`ModuleOutputs`'),
    ({'.loss': {'type': 'mmkd_ext.KDLoss'}, '.preds_S.at': 'head.conv',
      '.preds_T.at': 'head.conv'}, '', 'mmkd_ext.ConvAdapter'),
    ({'.preds_S': {**STUDENT, 'item': [0, 1]}, '.preds_T': TEACHER}, '',
     'number of levels'),
    ({'.preds_S': {**STUDENT, 'connector': {**PER_LEVEL, 'levels': 5,
      'connector': ADAPTER}}, '.preds_T': TEACHER}, '.preds_S.connector', 'levels=5'),
    ({'.preds_S': {**STUDENT, 'item': 7}, '.preds_T': TEACHER}, '', 'has no item 7'),
    ({'.loss.tau': -1}, '.loss', '`tau`'),
    ({'.loss': {'type': 'CheckedStrangeLoss', 'fail': True}}, '.loss',
     '(1, 4, 64, 64)'),
    (CHECKED_BATCH, '', 'as large as the picture'),
    ({**PYRAMID, '.loss.reduction': 'none'}, '.loss', 'takes one level'),
    ({'model.teacher': None, 'model.teachers': ['x']}, 'model.teachers', 'a dict'),
    ({'model.teacher': None, 'model.teachers': {}},
     'model.distiller.links.loss_cwd.preds_T.of', "no 'teacher'"),
    ({'model.teacher': None, 'model.teachers': {'batch': {}}}, 'model.teachers',
     "['batch']"),
]  # fmt: skip


def full(path):
    return CWD + path if path[:1] in ('', '.') else path


@pytest.mark.parametrize(
    ('changes', 'path', 'word'),
    [*(({key: value}, key, word) for key, value, word in AT_THE_KEY), *ELSEWHERE],
)
def test_names(changes, path, word, distillation):
    cfg = distillation({full(key): value for key, value in changes.items()})
    path, problems = full(path), check(cfg).problems
    assert path in paths(problems)
    assert word in next(str(problem) for problem in problems if problem.path == path)
    # a mistake must not be blamed on anything else
    around = path, path.rsplit('.', 1)[0]
    assert all(problem.path.startswith(around) for problem in problems)


def test_mistakes_of_every_stage_are_reported_at_once(distillation, link):
    conv = {'preds_S__at': 'head.conv', 'preds_T__at': 'head.conv'}
    strange = {'type': 'CheckedStrangeLoss', 'fail': True}
    links = {
        'cwd': link({'loss__tua': 3, 'preds_S__at': 'heads'}),
        'loss_b': link(loss__type='mmkd_ext.CWDLos', preds_T__itm=1,
                       preds_S__at='backbone.stages'),
        'loss_c': link({'preds_S__at': 'neck'}),
        'loss_d': link(schedule={'type': 'linaer'}, preds_T__at='neck'),
        'loss_e': link(loss__type='mmkd_ext.KDLoss', **conv),
        'loss_f': link({'preds_S__at': 'nothing', 'preds_T__of': 'nobody'}),
        'loss_g': link(loss=strange),
        'loss_h': 3,
        'loss_ok': link(),
    }  # fmt: skip
    others = {'optimizer_config': {}, 'load_from': 'gone.pth', 'model.techer_ckpt': 'x'}
    report = check(distillation({**others, LINKS: links}))
    expected = [
        'cwd', 'cwd.loss.tua', 'cwd.preds_S.at', 'loss_b.loss.type',
        'loss_b.preds_T.itm', 'loss_b.preds_S.at', 'loss_c', 'loss_d.schedule',
        'loss_d', 'loss_e', 'loss_f.preds_S.at', 'loss_f.preds_T.of', 'loss_g.loss',
        'loss_h',
    ]  # fmt: skip
    assert sorted(paths(report.problems)) == sorted(
        [*others, *(f'{LINKS}.{path}' for path in expected)]
    )
    assert [summary.name for summary in report.links] == ['loss_ok']
    assert report.terms == []


def test_a_shared_connector_that_is_wrong_takes_its_links_out(distillation, link):
    at = {'preds_S__at': 'neck.convs.0', 'preds_T__at': 'neck.convs.0'}
    cfg = distillation(
        {
            'model.distiller.connectors': {'wrong': {'type': 'Wrong'}, 'good': ADAPTER},
            LINKS: {
                'loss_a': link(preds_S__connector='good', **at),
                'loss_b': link(preds_S__connector='wrong', **at),
            },
        }
    )
    report = check(cfg)
    assert paths(report.problems) == ['model.distiller.connectors.wrong.type']
    assert [summary.name for summary in report.links] == ['loss_a']


# ---- MMRazor's keys ---------------------------------------------------------------

LOGITS = {'type': 'ModuleOutputs', 'source': 'head.conv_seg'}
SIDE = {'from_student': True, 'recorder': 'logits'}
OTHER = {'from_student': False, 'recorder': 'logits'}


def razor(distillation, **keys):
    return distillation(
        model__distiller={
            'type': 'ConfigurableDistiller',
            'student_recorders': {'logits': LOGITS,
                                  'gone': {**LOGITS, 'source': 'head.conv_sge'}},
            'teacher_recorders': {'logits': LOGITS},
            **keys,
        }
    )  # fmt: skip


def test_mmrazors_keys_are_checked_too(distillation):
    losses = {'loss_cwd': {'type': 'mmkd_ext.CWDLoss'}}
    mappings = {'loss_cwd': {'preds_S': SIDE, 'preds_T': OTHER}}
    cfg = razor(distillation, distill_losses=losses, loss_forward_mappings=mappings)
    report = check(cfg)
    assert report.ok
    assert only(report.links).name == 'loss_cwd'


@pytest.mark.parametrize(('key', 'value'), [
    ('distill_losses', {'loss_b': {'type': 'mmkd_ext.CWDLoss'}}),
    ('loss_forward_mappings', {'loss_b': {}}),
])  # fmt: skip
def test_a_loss_without_mapping_and_a_mapping_without_loss(key, value, distillation):
    keys = {'distill_losses': {}, 'loss_forward_mappings': {}, key: value}
    problem = only(check(razor(distillation, **keys)).problems)
    assert problem.path == f'model.distiller.{key}.loss_b'


def test_mistakes_in_mmrazors_keys_are_reported_at_once(distillation):
    gone = {'preds_S': {**SIDE, 'recorder': 'gone'}, 'preds_T': OTHER}
    cfg = razor(
        distillation,
        connectors={'adapt': {**ADAPTER, 'kernel': 3}},
        distill_losses={
            'loss_a': {'type': 'mmkd_ext.CWDLoss', 'tua': 1.0},
            'loss_b': {'type': 'mmkd_ext.KDLos'},
            'loss_c': {'type': 'mmkd_ext.CWDLoss', 'tau': -1},
            'loss_d': {'type': 'mmkd_ext.CWDLoss'},
            'loss_e': {'type': 'mmkd_ext.CWDLoss'},
        },
        loss_forward_mappings={
            'loss_a': gone,
            'loss_b': {'preds_S': {**SIDE, 'connector': 'adapt'}, 'preds_T': OTHER},
            'loss_c': {'preds_S': SIDE, 'preds_T': {**OTHER, 'recorder': 'lgits'}},
            'loss_d': {'preds_S': SIDE, 'preds_T': OTHER},
            'loss_e': gone,
        },
    )
    report = check(cfg)
    expected = [
        'connectors.adapt.kernel', 'distill_losses.loss_a.tua',
        'distill_losses.loss_b.type', 'distill_losses.loss_c',
        'loss_forward_mappings.loss_c.preds_T.recorder', 'student_recorders.gone',
    ]  # fmt: skip
    found = [path.removeprefix('model.distiller.') for path in paths(report.problems)]
    assert sorted(found) == expected
    assert [summary.name for summary in report.links] == ['loss_d']


def test_deliveries_alone_are_noted(distillation):
    method = 'mmkd_ext.testing.toy.ToyModel._logits'
    delivery = {'type': 'MethodOutputs', 'max_keep_data': 1, 'method_path': method}
    distiller = {'type': 'mmkd_ext.LinkDistiller',
                 'distill_deliveries': {'logits': delivery}}  # fmt: skip
    report = check(distillation(model__distiller=distiller))
    assert report.ok
    assert 'deliveries and no losses' in noted(report, 'model.distiller')
    assert [term.name for term in report.terms] == [
        'student.loss_seg',
        'student.loss_aux',
    ]


# ---- models that cannot be built --------------------------------------------------


def test_taps_of_the_teacher_are_looked_up_without_the_student(distillation):
    wrong = {'model.architecture.type': 'mmkd_ext.ToyModle'}
    at = {f'{CWD}.preds_T.at': 'nek', f'{CWD}.preds_S.at': 'nek'}
    report = check(distillation({**wrong, **at}))
    assert paths(report.problems) == [*wrong, f'{CWD}.preds_T.at']
    assert 'were not checked' in str(report.notes)


def test_without_a_model_that_was_built_no_tap_is_looked_up(distillation):
    kinds = 'model.architecture.type', 'model.teacher.type'
    report = check(distillation(dict.fromkeys(kinds, 'mmkd_ext.ToyModle')))
    assert paths(report.problems) == [*kinds]
    assert report.models == []


def test_a_student_that_is_missing_is_reported_once(distillation):
    report = check(distillation({'model.architecture': None}))
    assert "needs ['architecture']" in only(report.problems).found


# ---- several teachers -------------------------------------------------------------


def teachers(distillation, **changes):
    one = {'model': {'type': 'mmkd_ext.ToyModel'}, 'weight': 0.5}
    return distillation(
        {
            'model.teacher': None,
            'model.teachers': {'teacher': dict(one), 'other': dict(one)},
        },
        **changes,
    )


def test_several_teachers_are_reported_each(distillation):
    report = check(teachers(distillation))
    assert report.ok
    assert [model.role for model in report.models] == ['student', 'teacher', 'other']
    assert set(paths(report.warnings)) == {
        'model.teachers.teacher.ckpt',
        'model.teachers.other.ckpt',
    }


@pytest.mark.parametrize(('key', 'value', 'hint'), [
    ('teachers.other.wieght', 2, '`weight`'),
    ('teachers.other.weight', -2, '>= 0'),
    ('teachers.other.ckpt', 'gone.pth', "'gone.pth'"),
    ('teachers.other.preprocess', {'men': 1}, 'needs `mean`'),
    ('teachers.other.model', 3, 'must be a'),
    ('teacher_ckpt', 'x.pth', '`ckpt`'),
])  # fmt: skip
def test_mistakes_of_one_of_several_teachers_are_named(key, value, hint, distillation):
    cfg = teachers(distillation, **{f'model.{key}': value})
    problem = only(check(cfg).problems)
    assert problem.path == f'model.{key}'
    assert hint in str(problem)


# ---- warnings and notes -----------------------------------------------------------


def warned(report, path):
    return next(str(problem) for problem in report.warnings if problem.path == path)


def noted(report, path):
    return next(str(problem) for problem in report.notes if problem.path == path)


def test_a_teacher_without_checkpoint_is_a_warning(distillation):
    assert 'no checkpoint' in warned(check(distillation()), 'model.teacher_ckpt')


def test_checkpoints_are_read_and_their_match_is_reported(distillation, tmp_path):
    model = MODELS.build({'type': 'mmkd_ext.ToyModel', 'channels': 8})
    file = tmp_path / 'teacher.pth'
    torch.save({'state_dict': model.state_dict()}, file)
    report = check(distillation(model__teacher_ckpt=str(file)))
    assert report.ok
    assert (report.models[1].matched, report.models[1].checkpoint) == (1, str(file))
    torch.save({'state_dict': {'w': torch.zeros(1)}}, file)
    report = check(distillation(model__student_ckpt=str(file)))
    assert paths(report.problems) == ['model.student_ckpt']


def test_an_address_is_reported_and_not_fetched(distillation):
    report = check(distillation(model__teacher_ckpt='https://host/x/teacher.pth'))
    assert report.ok
    assert report.models[1].checkpoint == 'teacher.pth (not fetched)'
    assert not report.warnings


def test_class_counts_that_differ_are_a_warning_for_features(distillation):
    report = check(distillation({**PYRAMID, 'model.teacher.classes': 7}))
    assert report.ok
    assert '7 classes' in warned(report, 'model.teacher')


@pytest.mark.parametrize(('channels', 'relation'), [(4, 'as large'), (2, 'smaller')])
def test_a_teacher_that_is_no_larger_is_noted(channels, relation, distillation):
    report = check(distillation(model__teacher__channels=channels))
    assert relation in noted(report, 'model.teacher')


def test_a_schedule_beyond_the_training_is_a_warning_also_in_a_misnamed_link(
    distillation, link
):
    late = link(schedule={'type': 'linear', 'end': 99})
    report = check(distillation({'train_cfg': {'max_iters': 9}, LINKS: {'cwd': late}}))
    assert '99' in warned(report, f'{LINKS}.cwd.schedule.end')


def test_a_student_that_does_not_learn_has_no_gradient(distillation):
    found = terms(distillation(model__student_trainable=False)).values()
    assert {(term.gradient, term.gradient_share) for term in found} == {(0.0, 0.0)}


def test_frozen_parts_of_a_student_have_no_part_in_the_gradient(distillation):
    frozen = terms(distillation({'model.architecture.type': 'CheckedFrozenModel'}))
    free = terms(distillation())['distill.loss_cwd']
    assert 0 < frozen['distill.loss_cwd'].gradient < free.gradient


@pytest.mark.parametrize(('ckpt', 'count'), [(None, 1), ('https://host/x.pth', 0)])
def test_first_weights_that_a_checkpoint_replaces_are_not_noted(
    ckpt, count, distillation
):
    init = {'type': 'Pretrained', 'checkpoint': 'https://host/backbone.pth'}
    changes = {'model.teacher.init_cfg': init}
    if ckpt:
        changes['model.teacher_ckpt'] = ckpt
    notes = check(distillation(changes)).notes
    assert paths(notes) == ['model.teacher.init_cfg.checkpoint'] * count


@pytest.mark.parametrize(('loss', 'word'), [
    ({'type': 'mmkd_ext.CWDLoss', 'loss_weight': 0.0}, 'no gradient'),
    ({'type': 'CheckedStrangeLoss', 'factor': float('nan')}, 'dry run'),
])  # fmt: skip
def test_a_term_without_gradient_or_not_finite_is_a_warning(loss, word, distillation):
    report = check(distillation({f'{CWD}.loss': loss}))
    assert word in warned(report, 'distill.loss_cwd')


@pytest.mark.parametrize(('weight', 'amount'), [(1e-9, 'little'), (1e9, 'most')])
def test_a_share_that_is_tiny_or_everything_is_noted(weight, amount, distillation):
    report = check(distillation({f'{CWD}.loss.loss_weight': weight}))
    assert amount in noted(report, 'model.distiller')


def test_a_foreign_loss_between_unlike_shapes_is_a_warning(distillation):
    strange = {f'{CWD}.loss': {'type': 'CheckedStrangeLoss'}}
    at = {f'{CWD}.preds_S.at': 'neck.convs.0', f'{CWD}.preds_T.at': 'neck.convs.0'}
    report = check(distillation({**strange, **at}))
    assert report.ok
    assert 'compare them wrongly' in warned(report, CWD)
    kind = {f'{CWD}.loss.type': 'mmrazor.ChannelWiseDivergence'}
    report = check(distillation({**at, **kind}))
    found = str(report.warnings) + str(report.problems)
    assert '`mmkd_ext.CWDLoss` takes other channels and size itself' in found
    assert CWD not in paths(check(distillation(strange)).warnings)


def test_a_head_that_fails_on_noise_is_a_warning_and_links_are_still_shown(
    distillation,
):
    report = check(distillation({'model.architecture.type': 'CheckedShyModel'}))
    assert report.ok
    assert 'too shy' in warned(report, 'model')
    assert only(report.links).taps[0].shape == '(1, 4, 64, 64)'
    assert report.terms == []


# ---- across classes and sizes -----------------------------------------------------


def test_the_map_of_classes_is_shown_and_their_number_is_no_warning(distillation):
    folded = {
        'type': 'mmkd_ext.ClassMap',
        'source': ['a', 'b', 'c', 'd', 'e', 'f'],
        'target': ['a', 'b', 'c', 'z'],
        'merge': {'z': ['e', 'f']},
    }
    changes = {'model.teacher.classes': 6}
    assert 'ClassMap' in str(check(distillation(changes)).problems)
    report = check(distillation({**changes, f'{CWD}.preds_T.connector': folded}))
    assert report.ok
    assert '6 classes' not in str(report.warnings)
    (note,) = [p for p in report.notes if p.path == f'{CWD}.preds_T.connector']
    assert note.found == 'a: a; b: b; c: c; z: e + f; left out: d'
    folded['merge'] = {'z': ['e', 'g']}
    report = check(distillation({**changes, f'{CWD}.preds_T.connector': folded}))
    assert f'{CWD}.preds_T.connector.merge.z' in paths(report.problems)


def test_the_size_of_the_students_pictures_is_shown(distillation):
    report = check(distillation({'model.student_input': {'scale': 0.5}}))
    assert report.ok
    assert [model.input for model in report.models] == ['x 1/2', 'as it is']
    (problem,) = check(distillation({'model.student_input': {'scale': 3}})).problems
    assert problem.path == 'model.student_input'
