"""The teacher's RoI head on the student's proposals."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmkd_ext.connectors import RoIClassify
from mmkd_ext.errors import ConfigError, ShapeError


class Head(nn.Module):
    """Scores each region by its width, with noise while training."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.dropout = nn.Dropout(0.9)

    def _bbox_forward(self, maps, rois):
        assert isinstance(maps, tuple)
        width = rois[:, 3] - rois[:, 1]
        score = self.dropout(self.scale * width + maps[0].sum())
        return dict(cls_score=torch.stack([score, -score], 1), bbox_pred=None)


class Cascade(Head):
    def __init__(self):
        super().__init__()
        self.bbox_head = nn.ModuleList([nn.Identity(), nn.Identity()])

    def _bbox_forward(self, stage, maps, rois):
        return dict(cls_score=super()._bbox_forward(maps, rois)['cls_score'] + stage)


MAPS = (torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 2, 2))
ROIS = torch.tensor([[0.0, 1, 1, 4, 5], [0, 0, 0, 8, 8]])


def test_returns_the_class_scores_of_each_region():
    scores = RoIClassify()(MAPS, roi_head=Head().eval(), rois=ROIS)
    assert scores.tolist() == [[6, -6], [16, -16]]
    assert not scores.requires_grad


def test_a_single_map_is_a_pyramid_of_one():
    scores = RoIClassify()(MAPS[0], roi_head=Head().eval(), rois=ROIS)
    assert scores.shape == (2, 2)


def test_the_head_is_in_eval_mode_and_its_mode_is_put_back():
    head = Head().train()
    head.dropout.eval()
    head.dropout.train()
    assert RoIClassify()(MAPS, roi_head=head, rois=ROIS)[0, 0] == 6
    assert head.training
    assert head.dropout.training
    head.dropout.eval()
    RoIClassify()(MAPS, roi_head=head, rois=ROIS)
    assert not head.dropout.training


def test_a_stage_of_a_cascade_classifies():
    head = Cascade().eval()
    assert RoIClassify(stage=1)(MAPS, roi_head=head, rois=ROIS)[0, 0] == 7
    for stage in (None, 2):
        with pytest.raises(ConfigError, match='stages 0 to 1'):
            RoIClassify(stage=stage)(MAPS, roi_head=head, rois=ROIS)
    with pytest.raises(ConfigError, match='no stages'):
        RoIClassify(stage=0)(MAPS, roi_head=Head(), rois=ROIS)


def test_no_regions_have_no_scores():
    scores = RoIClassify()(MAPS, roi_head=Head().eval(), rois=ROIS[:0])
    assert scores.shape == (0, 2)


@pytest.mark.parametrize('rois', [ROIS[:, 1:], MAPS, torch.zeros(2, 3, 5)])
def test_says_which_regions_it_takes(rois):
    with pytest.raises(ShapeError, match='`rois`'):
        RoIClassify()(MAPS, roi_head=Head(), rois=rois)


def test_refuses_what_is_no_roi_head_and_no_stage():
    with pytest.raises(ConfigError, match='`Linear`'):
        RoIClassify()(MAPS, roi_head=nn.Linear(2, 2), rois=ROIS)
    with pytest.raises(ConfigError, match=r'`RoIClassify\.stage`'):
        RoIClassify(stage=-1)


# ---- mmdet's heads -------------------------------------------------------------------

FASTER = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
MASK = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'
CASCADE = 'mmdet::cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py'


def narrow(path, classes=3):
    from mmengine.hub import get_config

    heads = dict(in_channels=32, fc_out_channels=32, num_classes=classes)
    if path == CASCADE:
        stages = get_config(path).model.roi_head.bbox_head
        box = [dict(stage, **heads) for stage in stages]
    else:
        box = heads
    roi_head = dict(bbox_roi_extractor=dict(out_channels=32), bbox_head=box)
    if path == MASK:
        roi_head.update(
            mask_roi_extractor=dict(out_channels=32),
            mask_head=dict(in_channels=32, conv_out_channels=32, num_classes=classes))
    return dict(
        cfg_path=path,
        backbone=dict(depth=18, base_channels=8, init_cfg=None),
        neck=dict(in_channels=[8, 16, 32, 64], out_channels=32),
        rpn_head=dict(in_channels=32, feat_channels=32),
        roi_head=roi_head)


def linked(student, teacher, loss, stage=None, place='', **links):
    from mmkd_ext.algorithms.teacher_distill import TeacherDistill

    loss_cls = dict(type='ModuleInputs', source=f'roi_head.bbox_head{place}.loss_cls')
    pooling = dict(type='ModuleInputs', source=f'roi_head.bbox_roi_extractor{place}')
    links = {name: dict(tap, at=loss_cls) for name, tap in links.items()}
    return TeacherDistill(student, dict(type='mmkd_ext.LinkDistiller', links=dict(
        loss_rows=dict(
            loss=loss,
            preds_S=dict(of='student', at=loss_cls, item=0),
            preds_T=dict(
                of='teacher', at='neck',
                connector=dict(type='mmkd_ext.RoIClassify', stage=stage),
                given=dict(
                    roi_head=dict(
                        of='teacher', at=dict(type='Module', source='roi_head')),
                    rois=dict(of='student', at=pooling, item=1))),
            **links))), teacher)


def batch():
    """Two images; the second one has no boxes."""
    import numpy as np
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData

    samples = []
    for boxes in ([[20.0, 20, 80, 70]], []):
        count = len(boxes)
        sample = DetDataSample(metainfo=dict(
            img_shape=(96, 128), pad_shape=(96, 128), batch_input_shape=(96, 128),
            ori_shape=(96, 128), scale_factor=(1.0, 1.0), img_id=0))
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor(boxes).reshape(-1, 4),
            labels=torch.ones(count, dtype=torch.long),
            masks=BitmapMasks(np.ones((count, 96, 128), 'uint8'), 96, 128))
        samples.append(sample)
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 96, 128, generator=generator), samples


@pytest.mark.mmdet
@pytest.mark.parametrize(('path', 'stage', 'place'), [
    (FASTER, None, ''), (MASK, None, ''), (CASCADE, 1, '.1')])
def test_a_teacher_with_the_students_weights_scores_its_proposals_alike(
        path, stage, place):
    algorithm = linked(narrow(path), narrow(path), dict(type='mmkd_ext.KDLoss'), stage,
                       place)
    assert algorithm.student_mode == 'loss'
    shapes = algorithm.distiller.plans[0].shapes
    assert shapes['preds_S'] == shapes['preds_T']
    assert shapes['preds_S'][1] == 4
    # other than the first weights, with which all scores are about 0
    for parameter in algorithm.student.roi_head.parameters():
        nn.init.normal_(parameter, std=0.3)
    algorithm.teacher.load_state_dict(algorithm.student.state_dict())
    seen = {}
    algorithm.distiller.distill_losses['loss_rows'].register_forward_pre_hook(
        lambda loss, inputs, named: seen.update(named), with_kwargs=True)
    losses = algorithm.eval().loss(*batch())
    assert losses['distill.loss_rows'].abs() < 1e-6
    rows = seen['preds_S'], seen['preds_T']
    torch.testing.assert_close(rows[0], rows[1])
    assert rows[0].std() > 0.01


@pytest.mark.mmdet
def test_dkd_trains_the_student_on_its_proposals_and_not_the_teacher():
    algorithm = linked(
        narrow(FASTER), narrow(CASCADE), dict(type='mmkd_ext.DKDLoss', beta=0.25),
        stage=0, labels=dict(of='student', item=1))
    losses = algorithm.train().loss(*batch())
    losses['distill.loss_rows'].backward()
    assert losses['distill.loss_rows'] > 0
    assert algorithm.student.roi_head.bbox_head.fc_cls.weight.grad.any()
    assert algorithm.student.backbone.layer4[0].conv1.weight.grad.any()
    assert all(p.grad is None for p in algorithm.teacher.parameters())


@pytest.mark.mmdet
def test_other_classes_are_named():
    with pytest.raises(ConfigError, match='differ in classes'):
        linked(narrow(FASTER, 3), narrow(FASTER, 5), dict(type='mmkd_ext.KDLoss'))


@pytest.mark.mmdet
def test_a_batch_without_boxes_and_proposals_gives_zero_and_a_warning(logged):
    algorithm = linked(
        narrow(FASTER), narrow(FASTER), dict(type='mmkd_ext.DKDLoss'),
        labels=dict(of='student', item=1)).train()
    inputs, samples = batch()
    assert algorithm.loss(inputs, samples)['distill.loss_rows'] > 0
    for sample in samples:
        sample.gt_instances = sample.gt_instances[:0]
    # images without boxes still have proposals, all of them background
    assert algorithm.loss(inputs, samples)['distill.loss_rows'] > 0
    assert not logged
    # no proposal is large enough, and mmdet's head calls no `loss_cls`
    algorithm.student.train_cfg.rpn_proposal['min_bbox_size'] = 10**6
    losses = algorithm.loss(inputs, samples)
    assert losses['distill.loss_rows'] == 0
    assert len(logged) == 1
    assert 'roi_head.bbox_head.loss_cls' in logged[0]
    total, _ = algorithm.parse_losses(losses)
    total.backward()
