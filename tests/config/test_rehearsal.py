"""What training builds is built, and what crashes it is told before it."""

from __future__ import annotations

import copy
import importlib.util
import os
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.optim import OptimWrapper
from torch import nn

from mmkd_ext.config import rehearsal
from mmkd_ext.config.check import check_config
from mmkd_ext.registry import HOOKS, MODELS
from mmkd_ext.testing.toy import ToyModel

ROOT = Path(__file__).parents[2]
LINK = 'model.distiller.links.loss_cwd'


@HOOKS.register_module()
class RehearsedHook(CheckpointHook):
    """Fails where it is told to."""

    def __init__(self, at='', **more):
        super().__init__(**more)
        self.at = at

    def after_train_iter(self, *args, **kwargs):
        if self.at == 'train':
            raise RuntimeError('no such file')

    def after_val_epoch(self, runner, metrics=None):
        if self.at == 'val':
            raise KeyError(f'{self.at} in {metrics}')


@MODELS.register_module()
class RehearsedBroken(ToyModel):
    """Fails whatever it is asked for."""

    def forward(self, *args, **kwargs):
        raise RuntimeError('num_groups must be positive')


@pytest.fixture
def distils(distillation, training):
    """A distillation with its training, with keys changed by dotted name."""

    def make(changes=None):
        whole, inside = training(), {}
        for key, value in (changes or {}).items():
            top = key.split('.')[0]
            (inside if top in whole and '.' in key else whole).update({key: value})
        whole = {key: value for key, value in whole.items() if value is not None}
        return distillation({**whole, **inside})

    return make


def told(cfg, **options):
    problems = check_config(cfg, **options).problems
    return {problem.path: str(problem) for problem in problems}


def test_a_training_that_runs_is_measured_on_its_own_pictures(distils):
    report = check_config(distils())
    assert report.ok, report.problems
    assert report.batch == '2 x 3 x 32 x 32 pictures'
    assert all(term.gradient > 0 for term in report.terms)
    # without reading data it is noise of the model's own size
    assert check_config(distils(), data=False).batch == '2 x 3 x 128 x 128 noise'


def test_gradients_are_measured_on_noise_where_pictures_are_large(distils, monkeypatch):
    monkeypatch.setattr(rehearsal, 'LARGE', 0)
    report = check_config(distils())
    assert report.ok, report.problems
    noise = '2 x 3 x 128 x 128 noise'
    assert report.batch == f'2 x 3 x 32 x 32 pictures, gradients on {noise}'
    assert all(term.gradient > 0 for term in report.terms)
    assert sum(term.gradient_share for term in report.terms) == pytest.approx(1)


CHECKPOINT = {'type': 'mmkd_ext.DistillCheckpointHook'}
SCHEDULE = {'type': 'LinearLR', 'start_factor': 0.1, 'by_epoch': False}
DATA = 'train_dataloader.dataset'
#: One change: its key, its value, and a word of the problem, which is at the key.
AT_THE_KEY = [
    (f'{DATA}.lenght', 3, '`length`'),
    ('train_dataloader.samples_per_gpu', 2, '`batch_size`'),
    ('optim_wrapper.optimizer', None, "type='SGD'"),
    ('optim_wrapper.optimizer', 'abc', 'must be a dict'),
    ('optim_wrapper.optimizer.lr_', 1, '`lr`'),
    ('optim_wrapper.clip_gard', {'max_norm': 1}, '`clip_grad`'),
    ('val_dataloader', None, '`val_cfg`'),
    ('train_cfg.max_iters', -200, 'nothing is trained'),
    ('train_cfg.max_iter', 3, '`max_iters`'),
    (f'{LINK}.loss.loss_weight', -1.0, 'larger'),
]
#: Several changes, or a problem elsewhere.
ELSEWHERE = [
    ({f'{DATA}.type': None}, DATA, 'needs `type`'),
    ({f'{DATA}.length': 0}, DATA, 'has no picture'),
    ({'train_dataloader.batch_size': 'abc'}, 'train_dataloader', 'batch_size'),
    ({'train_dataloader.batch_size': 'abc', 'auto_scale_lr': {'base_batch_size': 4}},
     'train_dataloader', 'batch_size'),
    ({'train_dataloader.batch_size': 9, 'train_dataloader.drop_last': True},
     'train_dataloader', 'gives no batch'),
    ({'param_scheduler': [{**SCHEDULE, 'ned': 3}]}, 'param_scheduler[0].ned',
     'no such argument'),
    ({'param_scheduler': [{**SCHEDULE, 'start_factor': 'abc'}]}, 'param_scheduler[0]',
     'not supported'),
    ({'param_scheduler': [SCHEDULE, {**SCHEDULE, 'begin': 9, 'end': 3}]},
     'param_scheduler[1]', 'larger'),
    ({'custom_hooks': [{'type': 'LoggerHook', 'intervall': 1}]},
     'custom_hooks[0].intervall', '`interval`'),
    ({'default_hooks': {'checkpoint': {**CHECKPOINT, 'foo': 1}}},
     'default_hooks.checkpoint.foo', 'unknown key'),
    ({'custom_hooks': [{'type': 'EMAHook', 'foo': 1}]}, 'custom_hooks[0]', "'foo'"),
    ({'model.architecture.type': 'mmkd_ext.RehearsedBroken'}, 'model.architecture',
     'num_groups must be positive'),
    ({'default_hooks': {'loger': {'type': 'LoggerHook', 'interval': 7}}},
     'default_hooks.loger', '`logger`'),
    ({'custom_hooks': [{'type': 'mmkd_ext.RehearsedHook', 'at': 'train'}]},
     'custom_hooks[0]', 'no such file'),
    ({'custom_hooks': [{'type': 'mmkd_ext.RehearsedHook', 'at': 'val'}]},
     'custom_hooks[0]', 'toy/acc'),
    ({'default_hooks': {'checkpoint': {**CHECKPOINT, 'save_best': 'toy/mIoU',
      'rule': 'greater'}}}, 'default_hooks.checkpoint', 'toy/mIoU'),
    ({'val_evaluator': [{'type': 'mmkd_ext.ToyAcuracy'}]}, 'val_evaluator[0].type',
     '`mmkd_ext.ToyAccuracy`'),
    ({'train_cfg.val_interval': 0}, 'train_cfg', 'ZeroDivision'),
    ({'randomness': {'sed': 1}}, 'randomness.sed', '`seed`'),
    ({'env_cfg': {'mp_cfg': {'mp_start_method': 'frok'}}}, 'env_cfg', 'frok'),
    ({'log_processor': {'by_epch': False}}, 'log_processor.by_epch', '`by_epoch`'),
]  # fmt: skip


@pytest.mark.parametrize(
    ('changes', 'path', 'text'),
    [*(({key: value}, key, text) for key, value, text in AT_THE_KEY), *ELSEWHERE],
)
def test_refuses(changes, path, text, distils):
    problems = told(distils(changes), gradients=False)
    assert path in problems, problems
    assert text in problems[path]
    assert len(problems) <= 2, problems


@pytest.mark.parametrize('value', ['abc', 3])
@pytest.mark.parametrize(
    'key',
    ['train_dataloader', 'train_cfg', 'val_cfg', 'optim_wrapper', 'param_scheduler',
     'default_hooks', 'custom_hooks', 'val_evaluator', 'randomness'],
)  # fmt: skip
def test_what_is_no_dict_is_told_and_breaks_nothing(key, value, distils):
    problems = told(distils({key: value}), data=False, gradients=False)
    assert 'must be' in problems[key]


def test_mistakes_in_all_parts_are_told_together(distils):
    changes = {
        'optim_wrapper.optimizer.lr_': 1,
        f'{DATA}.lenght': 3,
        'custom_hooks': [{'type': 'LoggerHook', 'intervall': 1}, {'type': 'NoHook'}],
        'val_evaluator': [{'type': 'mmkd_ext.ToyAcuracy'}],
        f'{LINK}.preds_S.at': 'hed',
    }
    assert set(told(distils(changes))) == {
        'optim_wrapper.optimizer.lr_', f'{DATA}.lenght', 'custom_hooks[0].intervall',
        'custom_hooks[1].type', 'val_evaluator[0].type', f'{LINK}.preds_S.at'}
    # schedules are judged also without an optimizer
    schedules = [{**SCHEDULE, 'ned': 3}]
    cfg = distils({'optim_wrapper.optimizer': None, 'param_scheduler': schedules})
    assert set(told(cfg)) == {'optim_wrapper.optimizer', 'param_scheduler[0].ned'}
    assert set(told(distils({'val_evaluator': None}))) == {'val_evaluator'}


def test_schedules_of_a_training_of_negative_length_are_not_judged(distils):
    cfg = distils({'train_cfg.max_iters': -200, 'param_scheduler': [SCHEDULE]})
    report = check_config(cfg, gradients=False)
    paths = [warning.path for warning in report.warnings]
    assert not any(path.startswith('param_scheduler') for path in paths)


def test_a_file_to_start_from_that_fills_nothing_is_told(distils, tmp_path):
    file = str(tmp_path / 'other.pth')
    torch.save({'state_dict': {'other.weight': torch.zeros(1)}}, file)
    problems = told(distils({'load_from': file}), gradients=False)
    assert set(problems) == {'load_from'}
    assert '`model.student_ckpt`' in problems['load_from']
    # the student's own weights are as good as a distillation's
    torch.save(ToyModel(channels=4).state_dict(), file)
    assert not told(distils({'load_from': file}), gradients=False)


def test_nothing_is_left_behind(distils, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoint = {'type': 'CheckpointHook', 'out_dir': 'somewhere', 'interval': 1}
    cfg = distils({'default_hooks': {'checkpoint': checkpoint}})
    cfg.work_dir = 'work'
    before, variables = copy.deepcopy(cfg.to_dict()), dict(os.environ)
    assert check_config(cfg).ok
    assert list(tmp_path.iterdir()) == []
    assert cfg.to_dict() == before
    assert dict(os.environ) == variables


def test_mixed_precision_can_be_checked_without_a_gpu(distils):
    wrapper = {'optim_wrapper.type': 'AmpOptimWrapper'}
    assert check_config(distils({**wrapper, 'optim_wrapper.loss_scale': 'dynamic'})).ok


# ---- scopes and bases ----------------------------------------------------------------


def test_a_scope_in_the_model_is_the_registrys(distils):
    cfg = distils({'model._scope_': 'mmkd_ext', 'model.type': 'TeacherDistill'})
    cfg.default_scope = 'mmengine'
    cfg.model.architecture.type = 'mmkd_ext.ToyModel'
    cfg.model.distiller._scope_ = 'mmkd_ext'
    report = check_config(cfg)
    assert report.ok, report.problems


@pytest.mark.mmseg
@pytest.mark.mmdet
@pytest.mark.usefixtures('_one_block_a_stage')
@pytest.mark.parametrize('base', [
    'adapt/mmseg/source/deeplabv3plus-r18-w16_streets.py',
    # seconds each: the models are as large as shipped
    'distill/mmseg/cwd/cwd-logits_pspnet-r101_pspnet-r18_4xb2-40k_'
    'cityscapes-512x512.py',
    pytest.param('distill/mmdet/cwd/cwd-fpn_gfl-r101_gfl-r18_8xb2-1x_coco.py',
                 marks=pytest.mark.slow),
])  # fmt: skip
def test_a_child_of_ours_by_package_passes(base, tmp_path):
    file = tmp_path / 'child.py'
    file.write_text(f"_base_ = ['mmkd_ext::{base}']\n")
    cfg = Config.fromfile(file)
    assert '_scope_' in cfg.model
    cfg.model.pop('teacher_ckpt', None)
    report = check_config(cfg, data=False, gradients=False)
    assert report.ok, report.problems


def razor(name):
    import mmrazor

    folder = Path(mmrazor.__file__).parent / '.mim' / 'configs' / 'distill'
    return next(folder.glob(f'*/*/{name}*.py'))


@pytest.mark.mmseg
@pytest.mark.mmdet
@pytest.mark.usefixtures('_one_block_a_stage')
@pytest.mark.parametrize('name', ['cwd_logits_pspnet', *(
    pytest.param(name, marks=pytest.mark.slow)
    for name in ('cwd_cls_head_gfl', 'fbkd_fpn_faster', 'pkd_fpn_faster',
                 'pkd_fpn_fcos_x101', 'pkd_fpn_mask', 'pkd_fpn_reppoints',
                 'pkd_fpn_retina'))])  # fmt: skip
@pytest.mark.parametrize('kind', [
    'mmkd_ext.TeacherDistill',
    pytest.param('SingleTeacherDistill', marks=pytest.mark.slow),
])  # fmt: skip
def test_a_config_of_mmrazor_passes_as_it_is_shipped(name, kind):
    cfg = Config.fromfile(razor(name))
    cfg.model.type = kind
    cfg.model.pop('teacher_norm_eval', None)
    report = check_config(cfg, data=False, gradients=False)
    assert report.ok, report.problems


# ---- terms that teach nothing --------------------------------------------------------


class Detached(nn.Conv2d):
    """What runs inside a checkpointed part: its output has no gradient."""

    def forward(self, x):
        return super().forward(x).detach()


@MODELS.register_module()
class RehearsedDetached(ToyModel):
    """A part of its neck returns what is detached."""

    def __init__(self, **more):
        super().__init__(**more)
        self.neck.convs[0] = Detached(self.channels, self.channels, 1)


@pytest.mark.parametrize('connected', [True, False])
@pytest.mark.parametrize('gradients', [True, False])
def test_a_term_that_teaches_the_student_nothing_is_refused(
    distils, gradients, connected
):
    at = {f'{LINK}.preds_S.at': 'neck.convs.0', f'{LINK}.preds_T.at': 'neck.convs.0'}
    changes = {'model.architecture.type': 'mmkd_ext.RehearsedDetached', **at}
    if not connected:
        changes['model.teacher.channels'] = 4
    problems = told(distils(changes), gradients=gradients)
    assert list(problems) == [f'{LINK}.preds_S.at']
    assert 'gives no gradient' in problems[f'{LINK}.preds_S.at']


# ---- shipped configs, changed at random ----------------------------------------------


@pytest.fixture(scope='module')
def mutations():
    folder = ROOT / 'benchmarks'
    sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location(
        'check_mutations', folder / 'check_mutations.py'
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(folder))


@pytest.fixture(scope='module')
def toys(mutations, tmp_path_factory):
    root = tmp_path_factory.mktemp('toys')
    mutations.draw(root)
    return root


DETECTOR = 'bccd/student_retinanet-r18-w8.py'
SEGMENTOR = 'demo/student.py'
SHIPPED = {
    'a step without type': (
        SEGMENTOR, {f'{DATA}.pipeline': [{'typ': 'LoadImageFromFile'}]},
        f'{DATA}.pipeline[0]'),
    'an unknown argument of a step': (
        SEGMENTOR, {f'{DATA}.pipeline': [{'type': 'LoadImageFromFile', 'to_float': 1}]},
        f'{DATA}.pipeline[0].to_float'),
    'a wrong value of a step': (
        SEGMENTOR, {f'{DATA}.pipeline': [{'type': 'LoadImageFromFile'},
        {'type': 'LoadAnnotations'}, {'type': 'Resize', 'scale': ('a', 3)},
        {'type': 'PackSegInputs'}]}, f'{DATA}.pipeline[2]'),
    'a misspelt data_prefix': (
        DETECTOR, {f'{DATA}.data_prefix': {'imgs': 'images/'}}, DATA),
    'classes that the annotations lack': (
        DETECTOR, {f'{DATA}.metainfo.classes': ('RBC', 'WBC', 'Platelet')},
        f'{DATA}.metainfo.classes'),
    'groups of a norm': (
        SEGMENTOR, {'model.decode_head.norm_cfg': {'type': 'GN', 'num_groups': -8}},
        'model.decode_head'),
    'what the assigner misses': (
        DETECTOR, {'model.train_cfg': {'assigner': None, 'allowed_border': -1}},
        'model.train_cfg'),
    'a typo of what is only read at validation': (
        DETECTOR, {'model.test_cfg': {'nms_pre': 100, 'score_thr': 0.0,
        'max_per_img': 10, 'nms': {'type': 'nsm', 'iou_threshold': 0.5}}}, 'model'),
}  # fmt: skip


@pytest.mark.mmseg
@pytest.mark.mmdet
@pytest.mark.parametrize(('name', 'changes', 'path'), SHIPPED.values(), ids=SHIPPED)
def test_refuses_a_shipped_config_with(name, changes, path, mutations, toys):
    cfg = mutations.small(name, toys)
    for key, value in changes.items():
        *parents, last = key.split('.')
        holder = cfg
        for parent in parents:
            holder = holder[parent]
        holder[last] = copy.deepcopy(value)
    problems = told(cfg, gradients=False)
    assert len(problems) == 1, problems
    assert next(iter(problems)).startswith(path)


@pytest.mark.mmseg
@pytest.mark.mmdet
@pytest.mark.parametrize(('name', 'key', 'value', 'path', 'word'), [
    (DETECTOR, 'metainfo', {'classes': ('RBC', 'WBC', 'Platelet')},
     f'{DATA}.metainfo.classes', 'Did you mean `Platelets`?'),
    (DETECTOR, 'data_prefix', {'imgs': 'images/'}, DATA, "the keys ['imgs']"),
    (SEGMENTOR, 'data_prefix', {'img_pth': 'leftImg8bit/train'}, DATA,
     "the keys ['img_pth']"),
    (SEGMENTOR, 'type', None, DATA, 'needs `type`'),
])  # fmt: skip
def test_names_what_is_wrong_with_shipped_data(
    name, key, value, path, word, mutations, toys
):
    cfg = mutations.small(name, toys)
    del cfg.train_dataloader.dataset[key]
    if value is not None:
        cfg.train_dataloader.dataset[key] = value
    assert word in told(cfg, gradients=False)[path]


@pytest.mark.mmseg
@pytest.mark.mmdet
def test_a_dozen_random_changes_pass_only_where_training_runs(mutations, monkeypatch):
    # seconds: each change is checked and trained
    monkeypatch.setattr(Config, 'pretty_text', property(lambda c: repr(c._cfg_dict)))
    configs = mutations.CONFIGS[:1] + mutations.CONFIGS[-1:]
    *_, found = mutations.run(6, 3, configs)
    assert found['passed_and_crashed'] == []
    assert found['false_alarms_on_unchanged'] == {}
    assert sum(found['counts'].values()) == 6


def test_the_optimizer_of_the_config_steps(distils, monkeypatch):
    stepped = []
    monkeypatch.setattr(OptimWrapper, 'step', lambda self, **more: stepped.append(self))
    assert check_config(distils()).ok
    assert len(stepped) == 1
    assert isinstance(stepped[0].optimizer.param_groups[0]['params'][0], nn.Parameter)
