"""Rows of two RoI heads are about different boxes, which a link must not compare."""

from __future__ import annotations

import cells
import distill_toys as toys
import pytest

from mmkd_ext.errors import ConfigError

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
    def make(student, teacher, **more):
        family = tool.families['Faster R-CNN']
        with tool.quiet():
            models = [tool.model_of(family, role) for role in ('student', 'teacher')]
            return toys.build(
                toys.link(loss='KDLoss', student=student, teacher=teacher),
                *models,
                **more,
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
        build(at, at)
    (problem,) = error.value.problems
    assert problem.path == 'model.distiller.links.loss_x.preds_T.at'
    assert 'mmkd_ext.RoIClassify' in problem.hint


OF_BOXES = dict(
    at='neck',
    connector=dict(type='mmkd_ext.RoIClassify'),
    given=dict(
        roi_head=dict(of='teacher', at=dict(type='Module', source='roi_head')),
        rois=dict(of='student', at=ROIS, item=1),
    ),
)


def test_the_teachers_scores_of_the_students_boxes_are_fine(build):
    assert build(dict(at=SCORES, item=0), OF_BOXES)


def test_but_not_where_the_students_picture_has_another_size(build):
    with pytest.raises(ConfigError) as error:
        build(dict(at=SCORES, item=0), OF_BOXES, student_input=dict(scale=0.5))
    (problem,) = error.value.problems
    assert problem.path == 'model.distiller.links.loss_x.preds_T.connector'
    assert 'another size' in problem.found


def test_maps_before_the_roi_head_are_fine(build):
    at = dict(at='neck', item=0)
    assert build(at, at)
