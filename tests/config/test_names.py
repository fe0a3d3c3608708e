"""The grammar of config names."""

from __future__ import annotations

import re

import pytest

from mmkd_ext.config.names import ConfigName, batch_of_name, name_problems, parse_name
from mmkd_ext.errors import ConfigError

GOOD = 'cwd-logits_pspnet-r101_pspnet-r18_4xb2-80k_cityscapes-512x1024'


def test_reads_every_part_of_a_name():
    assert parse_name(f'configs/distill/mmseg/cwd/{GOOD}.py') == ConfigName(
        method='cwd-logits',
        teacher='pspnet-r101',
        student='pspnet-r18',
        gpus=4,
        samples=2,
        limit='max_iters',
        length=80_000,
        dataset='cityscapes-512x1024',
    )


@pytest.mark.parametrize(('written', 'limit', 'length'), [
    ('8xb2-1x', 'max_epochs', 12), ('8xb2-2x', 'max_epochs', 24),
    ('1xb16-20e', 'max_epochs', 20), ('1xb8-600i', 'max_iters', 600),
])  # fmt: skip
def test_the_unit_says_what_the_length_counts(written, limit, length):
    name = parse_name(f'fitnets-fpn_a+b_c_{written}_coco')
    assert (name.limit, name.length) == (limit, length)


@pytest.mark.parametrize(('name', 'said'), [
    ('cwd_pspnet-r18_4xb2-80k_cityscapes', 'has 4 parts'),
    ('CWD_a_b_4xb2-80k_cityscapes', "part 'CWD' must be small letters"),
    ('cwd_a_b_4x2-80k_cityscapes', "part '4x2-80k' must be `<gpus>xb<samples>-"),
    ('cwd_a_b_4xb2-80_cityscapes', "part '4xb2-80' must be"),
    ('cwd_a-_b_4xb2-80k_cityscapes', "part 'a-' must be"),
])  # fmt: skip
def test_says_which_part_of_a_name_is_wrong(name, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        parse_name(name)


@pytest.mark.parametrize(('name', 'batch'), [
    ('pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py', (4, 2)),
    ('retinanet_r50_fpn_1x_coco.py', None),
    ('yolov3_mobilenetv2_8xb24-300e_coco.py', (8, 24)), ('', None), (None, None),
])  # fmt: skip
def test_reads_the_batch_off_any_name_of_openmmlab(name, batch):
    assert batch_of_name(name) == batch


def test_a_config_that_agrees_with_its_name_has_no_problem():
    config = {'train_dataloader': {'batch_size': 2}, 'train_cfg': {'max_iters': 80_000}}
    assert name_problems(f'configs/distill/mmseg/cwd/{GOOD}.py', config) == []
    assert name_problems(f'configs/distill/mmseg/cwd/{GOOD}.py', {}) == []


def test_says_where_config_and_name_differ():
    config = {'train_dataloader': {'batch_size': 4}, 'train_cfg': {'max_iters': 4000}}
    found = name_problems(f'configs/distill/mmseg/kd/{GOOD}.py', config)
    assert [str(problem) for problem in found] == [
        "`name`: lies in the folder 'kd'. Put it into 'cwd', named after its method.",
        '`train_dataloader.batch_size`: is 4, but the name says 2.',
        '`train_cfg.max_iters`: is 4000, but the name says 80000.',
    ]


def test_a_name_outside_the_grammar_is_a_problem_among_the_shipped_configs_only():
    assert 'has 1 parts' in str(name_problems('configs/distill/mmseg/cwd/x.py', {})[0])
    assert name_problems('my/own/x.py', {}) == []
