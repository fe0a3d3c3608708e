"""What headers claim as published belongs to the setting that the config has."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmkd_ext import _catalog

ROOT = Path(__file__).parents[2]
DISTILL = ROOT / 'configs/distill'
TEXTS = sorted(
    path
    for folder in ('configs', 'benchmarks/configs')
    for path in (ROOT / folder).rglob('*')
    if path.suffix in ('.py', '.md'))
#: Published on 8 GPUs with 2 images each, where methods compare within a GPU.
NARROW = sorted(
    path
    for method in ('cirkd', 'dist')
    for path in (DISTILL / 'mmseg' / method).glob(f'{method}*_4xb4-*.py')
    if not path.name.startswith('dist-logits_'))


def header(path):
    return _catalog.read_recipe(path).header


def test_nothing_is_quoted_from_memory():
    quoting = [
        str(path.relative_to(ROOT))
        for path in TEXTS
        if 'from memory' in ' '.join(path.read_text(encoding='utf-8').split())]
    assert quoting == []


@pytest.mark.parametrize('path', NARROW, ids=lambda path: path.stem)
def test_figures_of_two_images_a_gpu_name_the_config_that_has_them(path):
    wide = path.with_name(path.name.replace('_4xb4-', '_8xb2-'))
    assert wide.is_file()
    assert '`8xb2`' in header(path)['Expected']
    assert '2 there' in header(path)['Paper']


@pytest.mark.parametrize(
    'path', sorted((DISTILL / 'mmseg/cwd').glob('*-80k_*.py')), ids=lambda p: p.stem)
def test_figures_of_another_schedule_come_after_that_there_is_none(path):
    assert header(path)['Expected'].startswith('no figure for this schedule')
    assert '40k' in header(path)['Expected']
