from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from experiment_kit.training_report import (
    TrainedModel,
    change_text,
    fixed_pixels,
    result_table,
    write_training_report,
)
from mmkd_ext.errors import DataError, ShapeError

TRUTH = np.array([[0, 0, 1, 255]], np.uint8)
BEFORE = np.array([[0, 1, 0, 0]], np.uint8)
AFTER = np.array([[1, 0, 0, 1]], np.uint8)


def test_fixed_and_broken_pixels_are_told_apart_and_ignored_ones_left_out():
    fixed, broken = fixed_pixels(BEFORE, AFTER, TRUTH)
    assert fixed.tolist() == [[False, True, False, False]]
    assert broken.tolist() == [[True, False, False, False]]
    with pytest.raises(ShapeError, match='different sizes'):
        fixed_pixels(BEFORE, AFTER[:, :2], TRUTH)


@pytest.fixture
def models(tmp_path):
    made = {}
    for role, miou, guess in (
        ('teacher', 60.0, TRUTH % 2), ('plain', 50.0, BEFORE),
        ('distilled', 52.5, AFTER),
    ):
        folder = tmp_path / role
        log = folder / '20260101_000000' / 'vis_data' / 'scalars.json'
        log.parent.mkdir(parents=True)
        added = {'distill.loss_cwd': 1.0} if role == 'distilled' else {}
        records = [{'loss': 2.0, 'decode.loss_ce': 1.0, 'step': 10, **added},
                   {'mIoU': miou, 'step': 10}]
        log.write_text('\n'.join(map(json.dumps, records)))
        (folder / 'predictions').mkdir()
        Image.fromarray(guess).save(folder / 'predictions' / 'a.png')
        made[role] = TrainedModel(
            role, f'{role}.py', folder, {'mIoU': miou, 'IoU.road': miou + 1}, 9.0,
            predictions=folder / 'predictions')
    return made


def test_the_distilled_row_is_bold_and_the_change_is_named(models):
    table = result_table([models['plain'], models['distilled']], models['distilled'])
    assert table.attrs['bold'] == 1
    assert table.to_numpy().tolist() == [
        ['plain', '50.00', '9 s'], ['distilled', '52.50', '9 s']]
    assert '+2.50 mIoU' in change_text(**models)
    models['distilled'], models['plain'] = models['plain'], models['distilled']
    assert 'did not help' in change_text(**models)


def test_the_report_has_curves_classes_and_pictures(models, tmp_path):
    Image.fromarray(np.zeros((1, 4, 3), np.uint8)).save(tmp_path / 'a.png')
    Image.fromarray(TRUTH).save(tmp_path / 'truth.png')

    class DataSet:
        metainfo = dict(classes=('road', 'car'), palette=[[1, 2, 3], [4, 5, 6]])

        def __len__(self):
            return 1

        def get_data_info(self, index):
            return dict(img_path=str(tmp_path / 'a.png'),
                        seg_map_path=str(tmp_path / 'truth.png'))

    page, text = write_training_report(tmp_path / 'out', title='Toy', **models,
                                       dataset=DataSet())
    assert page.read_text().count('data:image/png') == 3
    assert '| road' in text.read_text()
    (models['plain'].predictions / 'a.png').unlink()
    with pytest.raises(DataError, match='No prediction'):
        write_training_report(tmp_path, title='Toy', **models, dataset=DataSet())


def test_models_without_classes_or_pictures_have_a_report(models, tmp_path):
    for name, model in models.items():
        metrics = {'coco/bbox_mAP': model.metrics['mIoU'] / 100}
        models[name] = TrainedModel(**{**vars(model), 'metrics': metrics})
    page, text = write_training_report(tmp_path / 'out', title='Toy', **models)
    assert 'AP in percent' in text.read_text()
    assert '## Classes' not in text.read_text()
    assert 'plain' in page.read_text()
