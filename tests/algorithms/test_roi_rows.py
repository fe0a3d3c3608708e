"""Rows of two RoI heads are about different boxes, which a link must not compare."""

from __future__ import annotations

import cells
import pytest

from mmkd_ext.errors import ConfigError
from mmkd_ext.registry import MODELS

pytestmark = pytest.mark.mmdet

SCORES = dict(type='ModuleInputs', source='roi_head.bbox_head.loss_cls')
ROIS = dict(type='ModuleInputs', source='roi_head.bbox_roi_extractor')


@pytest.fixture(scope='module')
def tool():
    """Small detectors; see docs/cells.py."""
    pytest.importorskip('mmdet')
    return cells.Runner('mmdet')


@pytest.fixture
def build(tool):
    def make(preds_S, preds_T, **distiller):
        family = tool.families['Faster R-CNN']
        links = dict(
            loss_kd=dict(
                loss=dict(type='mmkd_ext.KDLoss'), preds_S=preds_S, preds_T=preds_T
            )
        )
        with tool.quiet():
            return MODELS.build(
                dict(
                    type='mmkd_ext.TeacherDistill',
                    architecture=tool.model_of(family, 'student'),
                    teacher=tool.model_of(family, 'teacher'),
                    distiller=dict(
                        type='mmkd_ext.LinkDistiller', links=links, **distiller
                    ),
                )
            )

    return make


@pytest.mark.parametrize(
    'at',
    [
        dict(at=SCORES, item=0),
        dict(at='roi_head.bbox_head.fc_cls'),
        dict(at='roi_head.bbox_head', item=0),
    ],
)
def test_scores_of_two_roi_heads_are_refused(build, at):
    with pytest.raises(ConfigError) as error:
        build(dict(of='student', **at), dict(of='teacher', **at))
    text = str(error.value)
    assert text.startswith('`model.distiller.links.loss_kd.preds_T.at`')
    assert 'these rows are other boxes' in text
    assert 'mmkd_ext.RoIClassify' in text


def test_the_teachers_scores_of_the_students_boxes_are_fine(build):
    teacher = dict(
        of='teacher',
        at='neck',
        connector=dict(type='mmkd_ext.RoIClassify'),
        given=dict(
            roi_head=dict(of='teacher', at=dict(type='Module', source='roi_head')),
            rois=dict(of='student', at=ROIS, item=1),
        ),
    )
    assert build(dict(of='student', at=SCORES, item=0), teacher)


def test_maps_before_the_roi_head_are_fine(build):
    at = dict(at='neck', item=0)
    assert build(dict(of='student', **at), dict(of='teacher', **at))
