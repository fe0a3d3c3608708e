"""The command-line tool visualize.py, on toy models and on streets."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

ROOT = Path(__file__).parents[2]


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sys.path.insert(0, str(ROOT))
tool = load(ROOT / 'tools' / 'visualize.py')
toy_config = load(ROOT / 'tests' / 'visualization' / 'conftest.py').toy_config


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    """Config, checkpoints of the distillation, its student and its teacher."""
    from mmkd_ext.checkpoint import student_checkpoint
    from mmkd_ext.registry import MODELS
    from mmkd_ext.testing.toy import ToyModel

    folder = tmp_path_factory.mktemp('toy')
    torch.save(dict(state_dict=ToyModel(channels=8).state_dict()),
               folder / 'teacher.pth')
    cfg = toy_config(folder)
    model = MODELS.build(cfg.model)
    content = dict(state_dict=model.state_dict(), meta={})
    torch.save(content, folder / 'iter_4.pth')
    torch.save(student_checkpoint(content), folder / 'iter_4_student.pth')
    cfg.dump(str(folder / 'toy.py'))
    plain = Config(dict(cfg.to_dict(), model=cfg.model.architecture.to_dict()))
    plain.dump(str(folder / 'plain.py'))
    return folder


def call(toy, out, *more, config='toy.py', checkpoint='iter_4.pth'):
    return tool.main([
        str(toy / config), '--checkpoint', str(toy / checkpoint), '--out', str(out),
        *map(str, more)])


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_draws_every_link_of_images_spread_over_the_data(toy, tmp_path, capsys):
    assert call(toy, tmp_path / 'a' / 'b', '--images', 2) == 0
    found = names(tmp_path / 'a' / 'b')
    assert found == [
        'loss_cwd_000000.png', 'loss_cwd_000003.png',
        'loss_neck_000000.png', 'loss_neck_000003.png']
    assert all(name in capsys.readouterr().out for name in found[:1])
    image = np.asarray(Image.open(tmp_path / 'a' / 'b' / 'loss_neck_000000.png'))
    assert image.std() > 10


def test_a_students_file_will_do_and_what_it_lacks_is_said(toy, tmp_path, capsys):
    status = call(
        toy, tmp_path, '--indices', 5, '--links', 'loss_neck', '--levels', 0, 2,
        '--own-scales', checkpoint='iter_4_student.pth')
    assert status == 0
    assert names(tmp_path) == ['loss_neck_000005.png']
    said = capsys.readouterr().err
    assert '`loss_neck` goes through' in said
    assert '`loss_cwd`' not in said


def test_links_with_fewer_levels_show_those_that_they_have(toy, tmp_path):
    assert call(toy, tmp_path, '--indices', 0, '--levels', 2) == 0
    assert names(tmp_path) == ['loss_neck_000000.png']


def test_the_same_call_draws_the_same_bytes(toy, tmp_path):
    for folder in ('a', 'b'):
        call(toy, tmp_path / folder, '--indices', 1, '--links', 'loss_cwd')
    one, two = (tmp_path / x / 'loss_cwd_000001.png' for x in 'ab')
    assert one.read_bytes() == two.read_bytes()


def test_train_images_and_overrides(toy, tmp_path):
    assert call(
        toy, tmp_path, '--split', 'train', '--images', 9, '--links', 'loss_cwd',
        '--cfg-options', 'train_dataloader.dataset.length=2') == 0
    assert names(tmp_path) == ['loss_cwd_000000.png', 'loss_cwd_000001.png']


@pytest.mark.parametrize(('more', 'said'), [
    (['--links', 'loss_cdw'], 'Did you mean `loss_cwd`'),
    (['--levels', '3'], "'loss_neck' has 3 level(s), 0 to 2, but level 3"),
    (['--levels', '-1'], '`--levels` counts from 0'),
    (['--indices', '6'], 'There is no image 6: `val_dataloader` has 6'),
    (['--images', '0'], '`--images` must be 1 or more'),
    (['--teacher-checkpoint', 'no.pth'], "there is no file 'no.pth'"),
    (['--cfg-options', 'model.teacher_ckpt=no.pth'], "there is no file 'no.pth'"),
    (['--cfg-options', 'model.teacher_ckpt=None'], 'drawn with random weights'),
    (['--cfg-options', 'val_dataloader=None'], 'no `val_dataloader`'),
    (['--device', 'nonsense'], '`--device nonsense`')])
def test_says_what_is_wrong(toy, tmp_path, capsys, more, said):
    assert call(toy, tmp_path / 'out', *more) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_a_config_without_a_distiller_is_refused(toy, tmp_path, capsys):
    assert call(toy, tmp_path / 'out', config='plain.py') == 2
    assert 'is no distillation' in capsys.readouterr().err


def test_a_missing_checkpoint_is_refused_before_the_config_is_read(
    toy, tmp_path, capsys
):
    assert call(toy, tmp_path, checkpoint='no.pth', config='no.py') == 2
    assert '`--checkpoint`: there is no file' in capsys.readouterr().err


def test_out_must_be_a_folder(toy, tmp_path, capsys):
    (tmp_path / 'x').write_text('')
    assert call(toy, tmp_path / 'x') == 2
    assert 'is a file; give a folder' in capsys.readouterr().err


def test_a_checkpoint_of_another_model_is_refused(toy, tmp_path, capsys):
    assert call(toy, tmp_path / 'out', checkpoint='teacher.pth') == 2
    assert 'must match' in capsys.readouterr().err


def test_wrong_links_show_before_models_are_built(toy, tmp_path, monkeypatch, capsys):
    from mmkd_ext.testing.toy import ToyModel

    def refuse(*args, **kwargs):
        raise AssertionError('a model is built')

    monkeypatch.setattr(ToyModel, '__init__', refuse)
    assert call(toy, tmp_path, '--links', 'x') == 2
    assert "There is no link 'x'" in capsys.readouterr().err
