"""The command-line tools: train.py, test.py, export_student.py, on toy models."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import MODELS

ROOT = Path(__file__).parents[2]
import engine_toys as toys  # noqa: E402

from mmkd_ext.checkpoint import read_checkpoint  # noqa: E402
from mmkd_ext.cli import export, test, train  # noqa: E402
from mmkd_ext.engine import launch  # noqa: E402
from mmkd_ext.engine.student import (  # noqa: E402
    is_adaptation_config,
    is_distillation_config,
    plain_config,
    plain_config_text,
)
from mmkd_ext.errors import CheckpointError, ConfigError  # noqa: E402


def call(module, *arguments):
    return module.main([str(a) for a in arguments])


@pytest.fixture
def config(tmp_path):
    """Writes a config and returns its path."""

    def write(name='toy.py', **settings):
        settings.setdefault('length', 2)
        cfg = toys.config(tmp_path / 'run', **settings)
        cfg.dump(str(tmp_path / name))
        return tmp_path / name

    return write


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A trained distillation, its config, and that of the student alone."""
    folder = tmp_path_factory.mktemp('trained')
    cfg = toys.config(folder / 'run', length=3)
    cfg.dump(str(folder / 'distill.py'))
    plain_config(cfg).dump(str(folder / 'plain.py'))
    toys.train(cfg)
    return folder


@pytest.mark.parametrize('folder', ['bccd', 'camvid', 'demo'])
def test_a_config_that_moved_is_told_where_it_lies(tmp_path, folder):
    old = ROOT / 'configs' / folder / 'student.py'
    child = tmp_path / 'child.py'
    child.write_text(f'_base_ = {str(old)!r}\n')
    for name in (old, child):
        with pytest.raises(ConfigError, match=f'lie in benchmarks/configs/{folder}/'):
            launch.load_config(str(name))


# ---- train.py ----------------------------------------------------------------------


def test_trains_in_the_folder_that_is_asked_for(config, tmp_path):
    status = call(
        train, config(), '--work-dir', tmp_path / 'other', '--no-check',
        '--cfg-options', 'train_cfg.max_iters=1')
    assert status == 0
    assert (tmp_path / 'other' / 'iter_1_student.pth').exists()


def test_resumes_from_the_last_checkpoint_and_from_a_given_one(config, tmp_path):
    file = config(length=4, interval=2)
    assert (
        call(train, file, '--no-check', '--cfg-options', 'train_cfg.max_iters=2') == 0)
    for resume in (['--resume'], ['--resume', tmp_path / 'run' / 'iter_2.pth']):
        assert call(train, file, '--no-check', *resume) == 0
        steps = [step for _, step in toys.logged(tmp_path / 'run', 'loss')]
        assert sorted(steps) == [1, 2, 3, 4]


def test_a_moved_folder_is_resumed_from_where_it_is_now(config, tmp_path):
    call(train, config(), '--no-check')
    (tmp_path / 'run').rename(tmp_path / 'moved')
    found = launch.find_resume(str(tmp_path / 'moved'), 'auto')
    assert found == str(tmp_path / 'moved' / 'iter_2.pth')
    (tmp_path / 'moved' / 'iter_2.pth').unlink()
    with pytest.raises(CheckpointError, match='points to'):
        launch.find_resume(str(tmp_path / 'moved'), 'auto')


def test_a_student_file_cannot_be_resumed_and_the_full_one_is_named(trained):
    with pytest.raises(CheckpointError, match=r'Resume from .*iter_3\.pth'):
        launch.find_resume('x', str(trained / 'run' / 'iter_3_student.pth'))


def test_amp_on_a_cpu_computes_in_bfloat16(config, monkeypatch):
    seen = []
    forward = toys.ToyNet.forward

    def spy(self, inputs, data_samples=None, mode='tensor'):
        if mode == 'loss':
            seen.append(self.stem(inputs).dtype)
        return forward(self, inputs, data_samples, mode)

    monkeypatch.setattr(toys.ToyNet, 'forward', spy)
    assert call(train, config(), '--no-check', '--amp') == 0
    assert set(seen) == {torch.bfloat16}


def test_the_learning_rate_follows_the_batch_when_asked(config, tmp_path):
    # a batch of 3 where the rate was made for 6
    file = config(auto_scale_lr=dict(base_batch_size=6))
    assert call(train, file, '--no-check', '--auto-scale-lr') == 0
    assert toys.logged(tmp_path / 'run', 'lr')['lr', 1] == pytest.approx(0.1 / 2)


def test_an_error_of_the_user_is_a_message_and_status_2(config, tmp_path, capsys):
    (tmp_path / 'broken.py').write_text('a = (1\n')
    apex = config('apex.py', wrapper=dict(type='ApexOptimWrapper'))
    for arguments, told in [
            ([f'{config()}x'], 'Did you mean `toy.py`?'),
            ([tmp_path / 'broken.py'], 'SyntaxError'),
            ([apex, '--no-check', '--amp'], '`--amp`'),
            ([config(), '--no-check', '--auto-scale-lr'], 'base_batch_size')]:
        assert call(train, *arguments) == 2
        shown = capsys.readouterr().err
        assert 'error: ' in shown
        assert told in shown
        assert 'Traceback' not in shown
    assert call(train, f'{config()}x', '--debug') == 2
    assert 'Traceback' in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_a_message(config, tmp_path, capsys):
    (tmp_path / 'file').touch()
    assert call(train, config(), '--no-check', '--work-dir', tmp_path / 'file') == 2
    shown = capsys.readouterr().err
    assert f"error: '{tmp_path / 'file'}': " in shown
    assert 'Traceback' not in shown


def test_an_error_of_the_program_keeps_its_traceback(config, monkeypatch):
    monkeypatch.setattr(train, 'build_runner', lambda cfg: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call(train, config(), '--no-check')


def test_the_check_runs_first_and_can_be_left_out(config, monkeypatch):
    calls = []
    monkeypatch.setattr(train, 'check', lambda cfg: calls.append('check'))

    class Runner:
        def train(self):
            calls.append('train')

    monkeypatch.setattr(train, 'build_runner', lambda cfg: Runner())
    call(train, config())
    call(train, config(), '--no-check')
    assert calls == ['check', 'train', 'train']


CURVES = """
custom_imports = dict(imports=['mmkd_ext.testing.toy'])
model = dict(type='mmkd_ext.ToyModel')
train_dataloader = dict(
    batch_size=2,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='mmkd_ext.ToyDataset'),
)
train_cfg = dict(by_epoch=False, max_iters=1)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
default_hooks = dict(logger=dict(type='LoggerHook', interval=1))
visualizer = dict(
    type='mmseg.SegLocalVisualizer',
    name='visualizer',
    vis_backends=[dict(type='LocalVisBackend')],
)
"""


@pytest.mark.mmseg
def test_a_training_that_was_checked_writes_its_curves(tmp_path):
    """The check is the first to import mmseg's visualizer, and builds one."""
    (tmp_path / 'curves.py').write_text(CURVES)
    subprocess.run(
        [sys.executable, ROOT / 'tools' / 'train.py', 'curves.py', '--work-dir', 'w'],
        check=True, cwd=tmp_path, env={**os.environ, 'OMP_NUM_THREADS': '1'})
    assert len(list((tmp_path / 'w').glob('*/vis_data/scalars.json'))) == 1


def test_a_model_that_adapts_itself_is_no_distillation():
    cfg = Config(dict(model=dict(
        type='mmkd_ext.ContinualAdaptation',
        architecture=dict(type='mmkd_ext.ToyModel'))))
    assert not is_distillation_config(cfg)
    assert is_adaptation_config(cfg)
    assert plain_config(cfg).model.type == 'mmkd_ext.ToyModel'
    assert plain_config_text(cfg)


@pytest.mark.parametrize('key', ['teacher', 'teachers', 'teacher_store'])
def test_the_plain_config_of_any_distillation_is_its_students(key):
    cfg = Config(dict(model=dict(
        type='mmkd_ext.TeacherDistill', architecture=dict(type='mmkd_ext.ToyModel'),
        distiller={}, **{key: {}})))
    assert plain_config(cfg).model == dict(type='mmkd_ext.ToyModel')


@pytest.mark.parametrize(('student', 'scope'), [
    (dict(cfg_path='mmseg::pspnet/x.py'), 'mmseg'), ('mmdet::x.py', 'mmdet'),
    (dict(type=BaseModel), 'mmengine'), (dict(type='ToyNet'), 'mmkd_ext'),
    ('{folder}/student.py', 'mmseg'), (dict(cfg_path='{folder}/bare.py'), 'mmkd_ext')])
def test_the_scope_comes_from_the_student_unless_the_config_says(
        tmp_path, student, scope):
    (tmp_path / 'student.py').write_text("default_scope = 'mmseg'\nmodel = {}\n")
    (tmp_path / 'bare.py').write_text("model = dict(type='mmkd_ext.ToyModel')\n")
    if isinstance(student, str):
        student = student.format(folder=tmp_path)
    elif 'cfg_path' in student:
        student = dict(cfg_path=student['cfg_path'].format(folder=tmp_path))
    model = dict(type='mmkd_ext.TeacherDistill', architecture=student)
    for given, expected in (({}, scope), (dict(default_scope='mine'), 'mine')):
        cfg = Config(dict(model=model, **given))
        launch.set_default_scope(cfg)
        assert cfg.default_scope == expected


def test_shipped_configs_are_found_by_package(tmp_path, monkeypatch):
    package = tmp_path / 'somepackage'
    (package / '.mim' / 'configs' / 'a').mkdir(parents=True)
    (package / '__init__.py').touch()
    (package / '.mim' / 'configs' / 'a' / 'name.py').write_text('x = 1\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    assert launch.load_config('somepackage::a/name.py').x == 1
    with pytest.raises(ConfigError, match=r'Did you mean `somepackage::a/name\.py`'):
        launch.load_config('somepackage::a/nme.py')
    with pytest.raises(ConfigError, match='no package `nopackage`'):
        launch.load_config('nopackage::a.py')


def test_a_launcher_without_its_variables_is_told(config, capsys, monkeypatch):
    for name in ('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'SLURM_PROCID'):
        monkeypatch.delenv(name, raising=False)
    assert call(train, config(), '--no-check', '--launcher', 'pytorch') == 2
    assert 'torchrun' in capsys.readouterr().err
    assert call(train, config(), '--no-check', '--launcher', 'slurm') == 2
    assert 'srun' in capsys.readouterr().err


@pytest.fixture
def srun(tmp_path):
    """A stand-in for slurm that prints how it was called."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    (folder / 'srun').write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (folder / 'srun').chmod(0o755)

    def call(script, *arguments, **variables):
        env = toys.environment(PYTHON='py', **variables)
        env['PATH'] = f'{folder}{os.pathsep}{env["PATH"]}'
        command = ['bash', str(ROOT / 'tools' / script), *arguments]
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        return done.returncode, done.stdout.splitlines()

    return call


def test_slurm_scripts_take_the_usual_arguments(srun):
    status, words = srun(
        'slurm_train.sh', 'part', 'job', 'c.py', 'work', '--amp', GPUS='16',
        SRUN_ARGS='--quotatype=spot --exclusive')
    assert status == 0
    assert {
        '--partition=part', '--job-name=job', '--ntasks=16', '--gres=gpu:8',
        '--ntasks-per-node=8', '--quotatype=spot', '--exclusive'} < set(words)
    assert words[-5:][1:] == ['c.py', '--work-dir=work', '--launcher=slurm', '--amp']
    status, words = srun('slurm_test.sh', 'part', 'job', 'c.py', 'k.pth', GPUS='2')
    assert status == 0
    assert '--gres=gpu:2' in words
    assert words[-3:] == ['c.py', 'k.pth', '--launcher=slurm']
    assert srun('slurm_train.sh', 'part', 'job')[0] == 2


# ---- test.py -----------------------------------------------------------------------


@pytest.mark.parametrize('config_name', ['distill.py', 'plain.py'])
@pytest.mark.parametrize('checkpoint', ['iter_3.pth', 'iter_3_student.pth'])
def test_each_config_goes_with_each_checkpoint(
    config_name, checkpoint, trained, tmp_path
):
    # no teacher is built
    options = ['--cfg-options', 'model.teacher_ckpt=/nowhere/teacher.pth']
    arguments = ['--work-dir', tmp_path, '--out', tmp_path / 'p.pkl',
                 *(options if config_name == 'distill.py' else [])]
    assert call(test, trained / config_name, trained / 'run' / checkpoint,
                *arguments) == 0
    metrics = json.loads(next(tmp_path.glob('*/*.json')).read_text())
    # by hand: the student alone on the six pictures
    student = toys.ToyNet().eval()
    student.load_state_dict(
        read_checkpoint(trained / 'run' / 'iter_3_student.pth')['state_dict'],
        strict=True)
    data = toys.ToyPixels(length=6, augment=False)
    right = [
        (student(p['inputs'][None]).argmax(1)[0] == p['data_samples'])
        .float()
        .mean()
        .item()
        for p in map(data.__getitem__, range(6))]
    assert metrics['acc'] == pytest.approx(sum(right) / 6)
    assert (tmp_path / 'p.pkl').exists()


def test_what_cannot_be_tested_is_told(trained, tmp_path, capsys):
    torch.save(dict(state_dict=toys.ToyNet(width=9).state_dict()), tmp_path / 'x.pth')
    good = trained / 'run' / 'iter_3.pth'
    for told, arguments in {
            'another width': [tmp_path / 'x.pth'], 'No weights': [],
            'SegVisualizationHook': [good, '--show-dir', tmp_path / 's']}.items():
        config = trained / 'plain.py'
        assert call(test, config, *arguments, '--work-dir', tmp_path) == 2
        assert told in capsys.readouterr().err


def test_show_and_out_set_what_each_project_reads():
    cfg = Config(dict(
        default_hooks=dict(visualization=dict(type='SegVisualizationHook')),
        test_evaluator=dict(type='IoUMetric')))
    args = test.parse_args(['c', 'k', '--show-dir', 's'])
    test.use_show(cfg, args)
    assert cfg.visualizer.save_dir == 's'
    assert cfg.default_hooks.visualization.draw
    test.use_out(cfg, 'masks')
    assert cfg.test_evaluator.output_dir == 'masks'
    cfg = Config(dict(
        default_hooks=dict(visualization=dict(type='DetVisualizationHook')),
        test_evaluator=dict(type='CocoMetric')))
    test.use_show(cfg, args)
    assert cfg.default_hooks.visualization.test_out_dir == 's'
    with pytest.raises(ConfigError, match=r'ends in \.pkl'):
        test.use_out(cfg, 'masks')


# ---- export_student.py -------------------------------------------------------------


def test_exports_a_student_that_loads_strictly(trained, tmp_path, capsys):
    out = tmp_path / 's.pth'
    assert (
        call(
            export, trained / 'run' / 'iter_3.pth', '--out', out, '--config',
            trained / 'distill.py')
        == 0)
    content = read_checkpoint(out)
    toys.ToyNet().load_state_dict(content['state_dict'], strict=True)
    beside = read_checkpoint(trained / 'run' / 'iter_3_student.pth')['state_dict']
    assert all(torch.equal(content['state_dict'][k], beside[k]) for k in beside)
    assert 'teacher' not in content['meta']['cfg']
    assert str(out) in capsys.readouterr().out


def mmrazor_checkpoint(path):
    """Writes what mmrazor's own SingleTeacherDistill saves, and returns the model."""
    from mmkd_ext import compat

    compat.apply()
    import mmrazor.models  # noqa: F401

    model = MODELS.build(dict(
        type='mmrazor.SingleTeacherDistill',
        architecture=dict(type='mmengine.ToyNet', width=4),
        teacher=dict(type='mmengine.ToyNet', width=8),
        distiller=dict(type='mmrazor.ConfigurableDistiller')))
    torch.save(dict(meta=dict(iter=5), state_dict=model.state_dict()), path)
    return model


def test_exports_student_and_teacher_of_mmrazor_checkpoints(tmp_path):
    model = mmrazor_checkpoint(tmp_path / 'old.pth')
    for part, built in (('student', model.architecture), ('teacher', model.teacher)):
        assert call(export, tmp_path / 'old.pth', '--part', part) == 0
        state = read_checkpoint(tmp_path / f'old_{part}.pth')['state_dict']
        assert state.keys() == built.state_dict().keys()
        built.load_state_dict(state, strict=True)


def test_export_tells_what_is_wrong_and_writes_nothing(trained, tmp_path, capsys):
    checkpoint = trained / 'run' / 'iter_3.pth'
    cfg = toys.config(tmp_path / 'run', model=dict(type='ToyNet', width=6))
    cfg.dump(str(tmp_path / 'other.py'))
    out = tmp_path / 's.pth'
    for told, arguments in {
            'averaged weights': [checkpoint, '--ema', '--out', out],
            'has no teacher in it': [checkpoint, '--part', 'teacher', '--out', out],
            'is the checkpoint itself': [checkpoint, '--out', checkpoint],
            'does not exist': [tmp_path / 'none.pth', '--out', out],
            'size mismatch': [checkpoint, '--out', out, '--config',
                              tmp_path / 'other.py']}.items():
        assert call(export, *arguments) == 2
        assert told in capsys.readouterr().err
    assert not out.exists()


def test_exports_the_average_or_what_it_averaged(tmp_path):
    content = dict(
        state_dict=OrderedDict({'architecture.w': torch.ones(1)}),
        ema_state_dict={'module.architecture.w': torch.zeros(1)})
    torch.save(content, tmp_path / 'x.pth')
    for flags, value in (([], 1), (['--ema'], 1), (['--no-ema'], 0)):
        assert call(export, tmp_path / 'x.pth', *flags) == 0
        assert read_checkpoint(tmp_path / 'x_student.pth')['state_dict']['w'] == value
