"""The drawn folders through the real classes and the base configs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('mmseg', reason='data sets of mmseg')

from mmengine.config import Config

from mmkd_ext.registry import DATASETS

CONFIGS = Path(__file__).parents[2] / 'configs' / '_base_' / 'datasets'


def moved(name: str, root: Path) -> Config:
    """A base config whose ``data_root`` is ``root`` everywhere."""
    config = Config.fromfile(CONFIGS / name)
    text = config.pretty_text.replace(config.data_root, f'{root}/')
    return Config.fromstring(text, '.py')


def loaders(config: Config) -> dict[str, Config]:
    return {key: value for key, value in config.items() if key.endswith('_dataloader')}


@pytest.mark.mmseg
@pytest.mark.parametrize('name', ['streets.py', 'cityscapes_512x1024.py'])
def test_the_cityscapes_class_reads_the_streets(name, small_streets):
    config = moved(name, small_streets)
    assert set(loaders(config)) == {
        'train_dataloader', 'val_dataloader', 'test_dataloader'}
    train = DATASETS.build(config.train_dataloader.dataset)
    assert type(train).__name__ == 'CityscapesDataset'
    assert len(train) == 5
    item = train[0]
    assert tuple(item['inputs'].shape) == (3, *config.crop_size)
    truth = item['data_samples'].gt_sem_seg.data
    assert tuple(truth.shape) == (1, *config.crop_size)
    val = DATASETS.build(config.val_dataloader.dataset)
    assert len(val) == 2
    truth = val[0]['data_samples'].gt_sem_seg.data
    assert tuple(truth.shape) == (1, 64, 128)  # never resized
    assert set(truth.unique().tolist()) <= {*range(19), 255}


@pytest.mark.mmdet
def test_the_coco_class_reads_boxes_that_agree_with_its_masks(small_streets):
    pytest.importorskip('mmdet', reason='data sets of mmdet')
    config = moved('streets_det.py', small_streets)
    dataset = config.train_dataloader.dataset
    dataset.pipeline = [
        {'type': 'mmdet.LoadImageFromFile'},
        {'type': 'mmdet.LoadAnnotations', 'with_bbox': True, 'with_mask': True}]
    data = DATASETS.build(dataset)
    boxes = 0
    for item in data:
        assert len(item['gt_masks'].masks) == len(item['gt_bboxes'])
        for mask, box in zip(item['gt_masks'].masks, item['gt_bboxes'].numpy()):
            rows, cols = mask.nonzero()
            expected = (cols.min(), rows.min(), cols.max() + 1, rows.max() + 1)
            np.testing.assert_allclose(box, expected)
            boxes += 1
    assert boxes > 30
    assert data.metainfo['classes'][2] == 'car'


@pytest.mark.mmdet
def test_the_detection_config_scores_perfect_boxes_with_one(small_streets):
    pytest.importorskip('mmdet', reason='data sets of mmdet')
    import torch
    from mmengine.evaluator import Evaluator
    from mmengine.structures import InstanceData

    config = moved('streets_det.py', small_streets)
    data = DATASETS.build(config.val_dataloader.dataset)
    evaluator = Evaluator(config.val_evaluator)
    evaluator.dataset_meta = data.metainfo
    for index in range(len(data)):
        sample = data[index]['data_samples']
        truth = sample.gt_instances
        sample.pred_instances = InstanceData(
            bboxes=truth.bboxes.tensor, labels=truth.labels,
            scores=torch.ones(len(truth.labels)))
        evaluator.process([sample])
    assert evaluator.evaluate(len(data))['coco/bbox_mAP'] > 0.99


@pytest.mark.mmseg
@pytest.mark.parametrize('name', ['acdc.py', 'streets_acdc.py'])
def test_the_four_domains_are_built_one_by_one_and_together(name, small_streets):
    config = moved(name, small_streets)
    assert [domain.name for domain in config.domains] == [
        'fog', 'night', 'rain', 'snow']
    for domain in config.domains:
        data = DATASETS.build(domain.dataloader.dataset)
        assert (data.condition, len(data)) == (domain.name, 4)
        assert domain.evaluator.prefix == domain.name
        assert tuple(data[0]['data_samples'].gt_sem_seg.shape) == (64, 128)
    assert len(DATASETS.build(config.test_dataloader.dataset)) == 16


@pytest.mark.mmseg
def test_the_camvid_config_names_its_three_parts():
    config = Config.fromfile(CONFIGS / 'camvid.py')
    lists = [part.dataset.ann_file for part in loaders(config).values()]
    assert lists == ['splits/train.txt', 'splits/val.txt', 'splits/val.txt']
    for part in loaders(config).values():
        assert part.dataset.type == 'mmkd_ext.CamVidDataset'
        data = DATASETS.build({**part.dataset, 'lazy_init': True})
        assert len(data.metainfo['classes']) == 11
