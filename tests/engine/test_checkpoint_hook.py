"""Checkpoints with the student beside them, whole at any moment."""

from __future__ import annotations

import os
from pathlib import Path

import engine_toys as toys
import pytest
import torch

from mmkd_ext.checkpoint import read_checkpoint, student_path
from mmkd_ext.engine import DistillCheckpointHook
from mmkd_ext.errors import ConfigError


def names(folder):
    return sorted(p.name for p in folder.glob('*.pth'))


def with_students(*stems):
    return sorted(f'{stem}{end}.pth' for stem in stems for end in ('', '_student'))


BEST = dict(
    length=3,
    interval=1,
    val_interval=1,
    save_best='acc',
    checkpoint=dict(max_keep_ckpts=1),
)


def accuracies(monkeypatch, *values):
    """Lets validations find these, one after the other."""
    given = iter(values)
    monkeypatch.setattr(
        toys.PixelMetric, 'compute_metrics', lambda self, results: dict(acc=next(given))
    )


def test_each_checkpoint_has_its_student(tmp_path):
    toys.train(toys.config(tmp_path, length=5, interval=2))
    steps = ['iter_2', 'iter_4', 'iter_5']
    assert names(tmp_path) == with_students(*steps)
    for step in steps:
        full = read_checkpoint(tmp_path / f'{step}.pth')['state_dict']
        student = read_checkpoint(tmp_path / f'{step}_student.pth')
        assert student['meta']['iter'] == int(step.split('_')[1])
        assert student['meta']['dataset_meta']['classes'] == ('sky', 'road', 'tree')
        assert student['state_dict'].keys() == toys.ToyNet().state_dict().keys()
        for name, value in student['state_dict'].items():
            assert torch.equal(value, full[f'architecture.{name}'])


def test_the_student_is_the_averaged_one_and_the_teacher_is_nowhere(tmp_path):
    runner = toys.train(
        toys.config(
            tmp_path, length=4, interval=4, hooks=[dict(type='EMAHook', momentum=0.5)]
        )
    )
    full = read_checkpoint(tmp_path / 'iter_4.pth')
    hook = next(h for h in runner.hooks if type(h).__name__ == 'EMAHook')
    average = hook.ema_model.module.architecture.state_dict()
    student = read_checkpoint(tmp_path / 'iter_4_student.pth')['state_dict']
    assert all(torch.equal(student[k], average[k]) for k in average)
    trained = runner.model.architecture.state_dict()
    assert not torch.equal(student['stem.weight'], trained['stem.weight'])
    wide = {v.shape for v in runner.model.teacher.state_dict().values()}
    wide -= {v.shape for v in trained.values()}
    for part in ('state_dict', 'ema_state_dict'):
        assert not [k for k in full[part] if 'teacher' in k]
        assert not [k for k, v in full[part].items() if v.shape in wide]


def test_the_average_shares_the_teacher(tmp_path):
    runner = toys.train(toys.config(tmp_path, length=1, hooks=[dict(type='EMAHook')]))
    hook = next(h for h in runner.hooks if type(h).__name__ == 'EMAHook')
    assert hook.ema_model.module.teacher is runner.model.teacher


def test_students_go_with_their_checkpoints_and_nothing_else_goes(tmp_path):
    kept = ['mine_student.pth', 'iter_99_student.pth', 'iter_99.pth']
    tmp_path.mkdir(exist_ok=True)
    for name in kept:
        (tmp_path / name).touch()
    toys.train(
        toys.config(tmp_path, length=5, interval=1, checkpoint=dict(max_keep_ckpts=2))
    )
    assert names(tmp_path) == sorted([*kept, *with_students('iter_4', 'iter_5')])
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'iter_5.pth')


def test_the_best_one_and_its_student_replace_the_best_before(tmp_path, monkeypatch):
    accuracies(monkeypatch, 0.1, 0.3, 0.2)
    toys.train(toys.config(tmp_path, **BEST))
    assert names(tmp_path) == with_students('best_acc_iter_2', 'iter_3')


def test_several_best_ones_each_have_their_student(tmp_path, monkeypatch):
    given = iter([(0.1, 0.9), (0.3, 0.2)])

    def both(self, results):
        one, other = next(given)
        return dict(acc=one, mIoU=other)

    monkeypatch.setattr(toys.PixelMetric, 'compute_metrics', both)
    toys.train(
        toys.config(
            tmp_path, length=2, interval=2, val_interval=1, save_best=['acc', 'mIoU']
        )
    )
    best = [n for n in names(tmp_path) if n.startswith('best')]
    assert best == with_students('best_acc_iter_2', 'best_mIoU_iter_1')
    first, second = (
        read_checkpoint(tmp_path / n)['meta']['iter'] for n in (best[1], best[3])
    )
    assert (first, second) == (2, 1)


class Killed(BaseException):
    """As SIGKILL: nothing of the program runs after it."""


@pytest.mark.parametrize('write', range(9))
def test_whenever_it_is_killed_there_is_one_to_resume(write, tmp_path, monkeypatch):
    """Dies before the n-th rename; the pointer always points to a whole file."""
    accuracies(monkeypatch, 0.1, 0.3, 0.5, 0.7)
    done = []
    rename = os.replace

    def replace(part, target):
        if len(done) == write:
            raise Killed
        done.append(target)
        rename(part, target)

    monkeypatch.setattr(os, 'replace', replace)
    monkeypatch.setattr(Path, 'unlink', lambda self: None)
    with pytest.raises(Killed):
        toys.train(toys.config(tmp_path, **BEST))
    monkeypatch.undo()
    pointer = tmp_path / 'last_checkpoint'
    assert pointer.exists() or write <= 2
    if pointer.exists():
        saved = Path(pointer.read_text())
        content = read_checkpoint(saved)
        assert read_checkpoint(student_path(str(saved)))['state_dict']
        best = content['message_hub']['runtime_info'].get('best_ckpt')
        assert best is None or Path(best).exists()
    for file in names(tmp_path):
        read_checkpoint(tmp_path / file)

    accuracies(monkeypatch, 0.3, 0.5, 0.7, 0.8, 0.9)
    again = toys.config(tmp_path, **BEST)
    again.resume = True
    toys.train(again)
    left = [n for n in names(tmp_path) if n.startswith('iter')]
    assert left == with_students('iter_3')
    assert not list(tmp_path.glob('.*.part'))


def test_what_a_killed_run_did_not_remove_is_removed_later(tmp_path, monkeypatch):
    def killed(self, path):
        raise Killed

    settings = dict(length=4, interval=1, checkpoint=dict(max_keep_ckpts=1))
    with monkeypatch.context() as patch:
        patch.setattr(DistillCheckpointHook, '_remove', killed)
        with pytest.raises(Killed):
            toys.train(toys.config(tmp_path, **settings))
    assert 'iter_1.pth' in names(tmp_path)
    again = toys.config(tmp_path, **settings)
    again.resume = True
    toys.train(again)
    assert names(tmp_path) == with_students('iter_4')


@pytest.mark.parametrize(
    'more', [dict(model=dict(type='ToyNet')), dict(checkpoint=dict(student_file=False))]
)
def test_a_plain_model_or_one_that_asks_gets_no_second_file(tmp_path, more):
    toys.train(toys.config(tmp_path, length=1, **more))
    assert names(tmp_path) == ['iter_1.pth']


def test_another_folder_for_checkpoints(tmp_path):
    out = dict(out_dir=str(tmp_path / 'out'))
    toys.train(toys.config(tmp_path / 'run', length=1, checkpoint=out))
    assert names(tmp_path / 'out' / 'run') == with_students('iter_1')


def test_the_student_carries_its_own_config(tmp_path):
    toys.train(toys.config(tmp_path, length=1))
    text = read_checkpoint(tmp_path / 'iter_1_student.pth')['meta']['cfg']
    assert 'teacher' not in text
    assert 'mmkd_ext' not in text
    assert "type='ToyNet'" in text


def test_a_misspelt_argument_is_refused_at_once():
    with pytest.raises(ConfigError, match='`interval`'):
        DistillCheckpointHook(intervall=3)
