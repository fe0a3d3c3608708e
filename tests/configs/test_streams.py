"""The shipped streams: their domains are built, and the source configs."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip('mmseg', reason='streams of mmseg')

from mmengine.config import Config

from mmkd_ext.registry import DATASETS, MODELS

pytestmark = pytest.mark.mmseg
CONFIGS = Path(__file__).parents[2] / 'configs'
STREAMS = sorted((CONFIGS / '_base_' / 'streams').glob('*.py'))
SOURCES = sorted((CONFIGS / 'adapt/mmseg/source').glob('*.py'))
WEATHERS = ['fog', 'night', 'rain', 'snow']
ORDER = {
    'cityscapes-to-acdc': WEATHERS,
    'cityscapes-to-shift': ['rain', 'fog', 'dusk', 'night'],
    'cityscapes-to-cdriving': ['cloudy', 'rainy', 'snowy', 'overcast'],
    'streets-fog-night-rain-snow': WEATHERS,
    'camvid-day-dusk-weather': ['day', 'dusk', *WEATHERS],
    'camvid-256x512-day-dusk-weather': ['day', 'dusk', *WEATHERS],
    'camvid-480x640-dusk': ['dusk']}
ROUNDS = {'camvid-256x512-day-dusk-weather': 3, 'camvid-480x640-dusk': 1}


def stream(name: str) -> Config:
    return Config.fromfile(CONFIGS / '_base_' / 'streams' / f'{name}.py')


def datasets(config: Config) -> list:
    """The data sets of all domains, without looking for files or building pipelines."""
    return [
        DATASETS.build({**domain.dataset, 'pipeline': [], 'lazy_init': True})
        for domain in config.test_cfg.domains]


@pytest.fixture(scope='module')
def streets(draw_streets):
    return draw_streets(height=32, train=1, val=2, drives=4, val_drives=0, frames=10)


def test_every_stream_is_listed_here():
    assert sorted(ORDER) == [path.stem for path in STREAMS]


@pytest.mark.parametrize('path', STREAMS, ids=lambda path: path.stem)
def test_a_stream_is_online_and_its_domains_have_the_same_classes(path):
    config = Config.fromfile(path)
    assert config.test_cfg.type == 'mmkd_ext.ContinualAdaptLoop'
    assert config.test_cfg.rounds == ROUNDS.get(path.stem, 10)
    assert [domain.name for domain in config.test_cfg.domains] == ORDER[path.stem]
    assert config.test_dataloader.batch_size == 1
    assert not config.test_dataloader.sampler.shuffle
    classes = {tuple(data.metainfo['classes']) for data in datasets(config)}
    assert len(classes) == 1
    assert len(classes.pop()) == (11 if path.stem.startswith('camvid') else 19)


@pytest.mark.parametrize('name', ['cityscapes-to-acdc', 'streets-fog-night-rain-snow'])
def test_a_stream_in_the_layout_of_acdc_delivers_its_pictures(name, streets):
    config = stream(name)
    for domain in config.test_cfg.domains:
        data = DATASETS.build({**domain.dataset, 'data_root': str(streets)})
        assert (data.condition, data.split) == (domain.name, 'train')
        item = data[0]
        assert tuple(item['data_samples'].gt_sem_seg.shape) == (32, 64)
        # of the toy streets every second frame is enough
        many, wide = (40, 960) if name.startswith('cityscapes') else (20, 64)
        assert len(data) == many
        assert item['inputs'].shape[-1] == wide


def test_the_streets_say_what_is_forgotten_of_the_clear_day(streets):
    config = stream('streets-fog-night-rain-snow')
    assert config.test_cfg.source_eval.interval == 'round'
    dataset = config.test_cfg.source_eval.dataloader.dataset
    assert len(DATASETS.build({**dataset, 'data_root': str(streets)})) == 2


def test_the_weather_of_camvid_lies_over_the_day_clip_alone():
    config = stream('camvid-day-dusk-weather')
    for domain in config.test_cfg.domains:
        kinds = [
            step.kind
            for step in domain.dataset.pipeline
            if step.type == 'mmkd_ext.Corrupt']
        assert kinds == ([domain.name] if domain.name in WEATHERS else [])
        clip = 'dusk' if domain.name == 'dusk' else 'val'
        assert domain.dataset.ann_file == f'splits/{clip}.txt'


def test_camvid_is_looked_for_where_the_environment_says(monkeypatch):
    monkeypatch.setenv('CAMVID_ROOT', '/somewhere/camvid')
    config = stream('camvid-day-dusk-weather')
    roots = {domain.dataset.data_root for domain in config.test_cfg.domains}
    assert roots == {'/somewhere/camvid'}


def test_a_child_reorders_and_shortens_a_stream(tmp_path):
    """As docs/howto/streams.md shows it."""
    child = tmp_path / 'child.py'
    parent = CONFIGS / '_base_/streams/cityscapes-to-acdc.py'
    child.write_text(
        f"_base_ = ['{parent}']\n"
        'fog, night, rain, snow = _base_.test_cfg.domains\n'
        'test_cfg = dict(rounds=3, domains=[night, fog, snow])\n')
    config = Config.fromfile(child)
    assert config.test_cfg.rounds == 3
    assert [domain.name for domain in config.test_cfg.domains] == [
        'night', 'fog', 'snow']


@pytest.mark.parametrize('path', SOURCES, ids=lambda path: path.stem)
def test_a_source_model_has_batch_norm_and_the_classes_of_its_stream(path):
    from torch.nn.modules.batchnorm import _BatchNorm

    config = Config.fromfile(path)
    model = MODELS.build({**config.model, 'data_preprocessor': None})
    assert sum(isinstance(module, _BatchNorm) for module in model.modules()) > 20
    data = DATASETS.build(
        {**config.train_dataloader.dataset, 'pipeline': [], 'lazy_init': True})
    assert model.decode_head.num_classes == len(data.metainfo['classes'])
