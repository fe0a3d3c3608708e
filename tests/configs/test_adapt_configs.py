"""The shipped configs of adaptation: they load, say what they are, and are built."""

from __future__ import annotations

import functools
import json
from itertools import product
from pathlib import Path

import pytest

pytest.importorskip('mmseg', reason='adapts segmentors of mmseg')

import mmseg
import torch
import yaml
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.structures import SegDataSample

from mmkd_ext.adaptation import AdaptDistiller
from mmkd_ext.algorithms.sources import model_config
from mmkd_ext.registry import DATASETS, MODELS

ROOT = Path(__file__).parents[2]
import adapt_toys as toys  # noqa: E402

pytestmark = pytest.mark.mmseg
FOLDER = ROOT / 'configs/adapt/mmseg'
BASES = sorted((ROOT / 'configs/_base_/adapt').glob('*.py'))
#: Methods; `source` holds the trainings of source models.
METHODS = sorted(p for p in FOLDER.iterdir() if p.is_dir() and p.name != 'source')
CONFIGS = [path for folder in METHODS for path in sorted(folder.glob('*.py'))]
def name_of(path: Path) -> str:
    return path.stem


@functools.cache
def built_by(distiller: str) -> AdaptDistiller:
    """The method on a tiny network; several configs have the same."""
    return toys.model(json.loads(distiller), width=4).distiller


@pytest.mark.parametrize('path', CONFIGS, ids=name_of)
def test_a_config_is_a_stream_and_its_method_is_built(path):
    config = Config.fromfile(path)
    assert config.test_cfg.type == 'mmkd_ext.ContinualAdaptLoop'
    assert len(config.test_cfg.domains) > 1
    assert config.test_cfg.rounds == (3 if path.stem.endswith('-3r') else 10)
    assert config.model.type == 'mmkd_ext.ContinualAdaptation'
    method = built_by(json.dumps(config.model.distiller.to_dict()))
    assert isinstance(method, AdaptDistiller)
    if method.trains:
        assert config.test_cfg.optim_wrapper.optimizer.lr > 0
        assert method.trained()


@pytest.mark.parametrize('base', BASES, ids=name_of)
def test_the_model_of_a_base_has_the_classes_of_the_stream(base):
    config = Config.fromfile(base)
    segmentor = model_config(config.model.architecture, 'model.architecture')
    classes = 11 if base.stem.startswith('camvid') else 19
    assert segmentor.decode_head.num_classes == classes
    for domain in config.get('test_cfg', {}).get('domains', []):
        data = DATASETS.build({**domain.dataset, 'pipeline': [], 'lazy_init': True})
        assert len(data.metainfo['classes']) == classes
    # a model of our own is on the command line
    assert ('source_ckpt' in config.model) == ('cityscapes' in base.stem)


@pytest.mark.parametrize(
    'base', [base for base in BASES if 'cityscapes' in base.stem], ids=name_of)
def test_the_weights_of_a_base_are_those_that_mmseg_lists_for_its_model(base):
    model = Config.fromfile(base).model
    config = Path(model.architecture.partition('::')[2])
    folder = Path(mmseg.__file__).parent / '.mim/configs' / config.parent
    (weights,) = (
        entry['Weights']
        for entry in yaml.safe_load((folder / 'metafile.yaml').read_text())['Models']
        if entry['Name'] == config.stem)
    assert model.source_ckpt == weights


def test_the_source_on_camvid_is_the_teacher_and_takes_a_picture_of_the_stream():
    config = Config.fromfile(ROOT / 'configs/_base_/adapt/camvid_fpn-r18-w32.py')
    teacher = Config.fromfile(
        ROOT / 'benchmarks/configs/camvid/teacher_fpn-r18-w32.py'
    ).model
    teacher.data_preprocessor.pop('size')  # of the crops it is trained on
    assert config.model.architecture == teacher
    source = dict(type='mmkd_ext.SourceDistiller')
    with DefaultScope.overwrite_default_scope(config.default_scope):
        model = MODELS.build({**config.model, 'distiller': source}).eval()
    # decoded at 240 x 180, judged at the labels' size
    shapes = dict(img_shape=(180, 240), ori_shape=(360, 480))
    picture = torch.zeros(3, 180, 240, dtype=torch.uint8)
    sample = SegDataSample(metainfo=shapes)
    (result,) = model.test_step(dict(inputs=[picture], data_samples=[sample]))
    assert result.seg_logits.data.shape == (11, 360, 480)


@pytest.mark.parametrize('folder', METHODS, ids=lambda path: path.name)
def test_a_method_has_the_same_settings_on_camvid_as_on_the_streets(folder):
    streets, camvid = (
        Config.fromfile(path)
        for end in ('r18-w16_streets', 'r18-w32_camvid')
        for path in folder.glob(f'*_*{end}.py'))
    assert camvid.model.distiller == streets.model.distiller
    for one in (camvid, streets):  # rates are chosen for each, see below
        one.test_cfg.optim_wrapper.optimizer.pop('lr')
    assert camvid.test_cfg.optim_wrapper == streets.test_cfg.optim_wrapper


@pytest.mark.parametrize('grid', ['adapt_streets_rates', 'adapt_camvid_rates'])
def test_a_rate_is_the_smallest_that_is_at_most_a_tenth_behind_the_best(grid):
    found = json.loads((ROOT / f'benchmarks/results/{grid}.json').read_text())
    checked = {}
    for key, method in found['methods'].items():
        means = {
            rate: found['runs'][f'{method["title"]}, lr {rate:g}']['mIoU']['mean']
            for rate in method['learning_rates']}
        if not means or method['options'].get('model.distiller.mixing', 0.5) != 0.5:
            continue  # learns nothing, or has another normalisation than was taken
        enough = max(means.values()) - 0.1 - 1e-6
        chosen = min(rate for rate, mean in means.items() if mean >= enough)
        config = Config.fromfile(ROOT / method['config'])
        assert config.test_cfg.optim_wrapper.optimizer.lr == chosen, key
        checked[key] = chosen
    assert len(checked) >= 6


@pytest.mark.parametrize(('method', 'network'), [
    *product(['source_only', 'tent', 'cotta'], ['segformer-b5']),
    *product(['source_only', 'tent', 'cotta', 'dose'], ['deeplabv3plus-r50'])])
def test_the_short_protocol_differs_in_its_rounds_alone(method, network):
    prefix = f'{method.replace("_", "-")}_{network}_cityscapes-to-acdc'
    long, short = (
        Config.fromfile(FOLDER / method / f'{prefix}{end}.py') for end in ('', '-3r'))
    assert short.test_cfg.pop('rounds') == 3
    assert long.test_cfg.pop('rounds') == 10
    assert short.to_dict() == long.to_dict()
