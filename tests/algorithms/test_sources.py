"""Where models come from."""

from __future__ import annotations

import pytest

from mmkd_ext.algorithms.sources import build_model, model_config
from mmkd_ext.errors import ConfigError
from mmkd_ext.testing.toy import ToyModel

TOY = "model = dict(type='mmkd_ext.ToyModel', channels={})\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'toy.py'
    path.write_text("default_scope = 'mmengine'\n" + TOY.format(6))
    return str(path)


def test_a_built_model_is_taken_as_it_is():
    model = ToyModel()
    assert build_model(model, 'x') is model


def test_a_dict_is_built_and_left_unchanged():
    config = dict(type='mmkd_ext.ToyModel', channels=5)
    assert build_model(config, 'x').channels == 5
    assert config == dict(type='mmkd_ext.ToyModel', channels=5)


def test_a_file_is_read(file):
    assert build_model(file, 'x').channels == 6


def test_cfg_path_takes_overrides(file):
    model = build_model(dict(cfg_path=file, pretrained=False, channels=7), 'x')
    assert model.channels == 7


def test_a_distillation_file_gives_its_student(tmp_path, file):
    path = tmp_path / 'distill.py'
    path.write_text(
        f"model = dict(type='mmkd_ext.TeacherDistill', "
        f'architecture=dict(cfg_path={file!r}))\n'
    )
    assert build_model(str(path), 'x').channels == 6


@pytest.mark.mmseg
def test_a_package_config_is_found_and_keeps_its_scope():
    config = model_config('mmseg::fcn/fcn_r18-d8_4xb2-80k_cityscapes-512x1024.py', 'x')
    assert config['_scope_'] == 'mmseg'
    assert config.decode_head.type == 'FCNHead'


@pytest.mark.parametrize(
    ('source', 'word'),
    [
        ('nowhere.py', 'nowhere.py'),
        ('mmengine::nowhere.py', 'no config'),
        ('nopackage::x.py', 'nopackage'),
        (3, '`type`'),
        (dict(channels=3), '`type`'),
        (dict(type='mmkd_ext.ToyModl'), 'ToyModl'),
        (dict(type='mmkd_ext.ToyModel', chanels=3), 'chanels'),
        (dict(type='mmkd_ext.CWDLoss'), '`BaseModel`'),
        ('empty.py', '`model`'),
    ],
)
def test_what_is_no_model_is_named(source, word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty.py').write_text('a = 1\n')
    with pytest.raises(ConfigError) as error:
        build_model(source, 'model.teacher')
    assert error.value.problems[0].path == 'model.teacher'
    assert word in str(error.value)


def test_a_renamed_file_is_guessed(tmp_path, file):
    wrong = str(tmp_path / 'toi.py')
    for source, path in ((wrong, 'x'), (dict(cfg_path=wrong), 'x.cfg_path')):
        with pytest.raises(ConfigError, match=r'Did you mean `toy\.py`') as error:
            build_model(source, 'x')
        assert f'`{path}`' in str(error.value)


@pytest.mark.mmseg
def test_a_renamed_config_of_a_package_is_guessed():
    wrong = 'mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024x.py'
    with pytest.raises(ConfigError, match='Did you mean') as error:
        build_model(dict(cfg_path=wrong), 'x')
    assert f'`{wrong[:-4]}.py`' in str(error.value)
