"""LD beside mmdet: the main term is ``LDHead``'s, and the rest fits its GFL heads."""

from __future__ import annotations

import copy

import pytest
import torch

pytest.importorskip('mmdet', reason='compares with mmdet')

from mmdet.models.task_modules.assigners import ATSSAssigner
from mmdet.registry import MODELS as MMDET
from mmdet.structures import DetDataSample
from mmdet.utils import register_all_modules
from mmengine.logging import MessageHub
from mmengine.structures import InstanceData

from mmkd_ext.errors import ConfigError
from mmkd_ext.functional import box_iou
from mmkd_ext.methods.ld import adaptive_thresholds, distribution_boxes
from mmkd_ext.registry import MODELS

pytestmark = pytest.mark.mmdet

SIZE = (96, 160)
STRIDES = [8, 16, 32, 64, 128]
BOXES = [
    [[20.0, 10.0, 90.0, 70.0], [60.0, 40.0, 150.0, 90.0]], [[5.0, 5.0, 40.0, 30.0]]]


IMAGES = pytest.mark.parametrize(
    'boxes', [BOXES, [BOXES[0], []], [[], []]],
    ids=['boxes', 'one image without', 'none'])


@pytest.fixture(autouse=True)
def _registered():
    register_all_modules(init_default_scope=False)
    MessageHub.get_current_instance().runtime_info.clear()


def head_of(kind, **changes):
    head = dict(
        type=f'mmdet.{kind}', num_classes=4, in_channels=16, feat_channels=16,
        stacked_convs=1,
        anchor_generator=dict(
            type='mmdet.AnchorGenerator', ratios=[1.0], octave_base_scale=8,
            scales_per_octave=1, strides=STRIDES),
        loss_cls=dict(type='mmdet.QualityFocalLoss', use_sigmoid=True, beta=2.0),
        loss_bbox=dict(type='mmdet.GIoULoss', loss_weight=2.0))
    if kind in ('GFLHead', 'LDHead'):
        norm = dict(type='GN', num_groups=4, requires_grad=True)
        head.update(
            norm_cfg=norm, reg_max=16,
            loss_dfl=dict(type='mmdet.DistributionFocalLoss', loss_weight=0.25))
    head.update(changes)
    return head


def detector(kind='GFL', head=None):
    return dict(
        type=f'mmdet.{kind}', data_preprocessor=dict(type='mmdet.DetDataPreprocessor'),
        backbone=dict(type='mmdet.ResNet', depth=18, base_channels=8),
        neck=dict(
            type='mmdet.FPN', in_channels=[8, 16, 32, 64], out_channels=16,
            start_level=1, add_extra_convs='on_output', num_outs=5),
        bbox_head=head or head_of('GFLHead'),
        train_cfg=dict(
            assigner=dict(type='mmdet.ATSSAssigner', topk=9), allowed_border=-1,
            pos_weight=-1, debug=False),
        test_cfg={})


HEAD = dict(of='student', at=dict(type='Module', source='bbox_head'))
LOGITS = dict(of='student', at='bbox_head', item=0)
LABELS = dict(
    of='student', call='all', item=1,
    at=dict(type='ModuleInputs', source='bbox_head.loss_cls'))
SAMPLES = dict(of='batch', at='data_samples')


def region_of(kind, **given):
    return dict(HEAD, connector=dict(type=f'mmkd_ext.{kind}'), given=given)


MAIN = region_of('LDMainRegion', logits=LOGITS, targets=LABELS)
VALUABLE = region_of('LDValuableRegion', logits=LOGITS, data_samples=SAMPLES)
INSIDE = region_of('LDInsideRegion', logits=LOGITS, data_samples=SAMPLES)
FINE = region_of('LDFineGrainedRegion', logits=LOGITS, data_samples=SAMPLES)
GI = region_of(
    'LDGIRegion',
    **{
        f'{name}_{side[0].upper()}': dict(of=side, at='bbox_head', item=item)
        for name, item in (('logits', 0), ('bins', 1))
        for side in ('student', 'teacher')})


def link(kind='LDLoss', item=1, region=MAIN, at='bbox_head', **arguments):
    return dict(
        loss=dict(type=f'mmkd_ext.{kind}', **arguments),
        preds_S=dict(of='student', at=at, item=item),
        preds_T=dict(of='teacher', at=at, item=item), region=region)


LINKS = dict(
    loss_ld=link(loss_weight=0.25),
    loss_ld_vlr=link(region=VALUABLE, avg_factor=16.0, loss_weight=0.25),
    loss_cls=link('LDClassLoss', 0, loss_weight=10.0),
    loss_cls_vlr=link('LDClassLoss', 0, VALUABLE),
    **{
        f'loss_im_{i}': link('LDImitationLoss', None, region, at='neck')
        for i, region in enumerate((MAIN, INSIDE, FINE, GI))})


def build(links, student=None, teacher=None):
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='mmkd_ext.TeacherDistill', architecture=student or detector(),
            teacher=teacher or detector(),
            distiller=dict(type='mmkd_ext.LinkDistiller', links=copy.deepcopy(links))))
    for side in (model.architecture, model.teacher):
        head = side.bbox_head
        if hasattr(head, 'gfl_reg'):
            # far from the flat distributions of a new head
            torch.nn.init.normal_(head.gfl_reg.weight, std=0.5)
            torch.nn.init.normal_(head.gfl_cls.weight, std=0.1)
    return model.train()


def batch_of(boxes=BOXES, seed=0):
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for some in boxes:
        sample = DetDataSample(
            metainfo=dict(
                img_shape=SIZE, pad_shape=SIZE, batch_input_shape=SIZE, ori_shape=SIZE))
        bboxes = torch.tensor(some).reshape(-1, 4)
        sample.gt_instances = InstanceData(
            bboxes=bboxes, labels=torch.arange(len(bboxes)))
        samples.append(sample)
    return torch.randn(len(boxes), 3, *SIZE, generator=generator), samples


def ours(model, batch):
    model.zero_grad()
    losses = model(*batch, mode='loss')
    loss = losses['distill.loss_ld']
    loss.backward()
    return loss.detach(), {
        name: p.grad.clone()
        for name, p in model.architecture.named_parameters() if p.grad is not None}


def theirs(model, batch):
    """``LDHead`` in the place of the student's head, with its weights."""
    student = model.architecture
    head = MMDET.build(
        dict(
            head_of('LDHead'), train_cfg=detector()['train_cfg'],
            loss_ld=dict(
                type='mmdet.KnowledgeDistillationKLDivLoss', loss_weight=0.25, T=10)))
    head.load_state_dict(student.bbox_head.state_dict())
    student.bbox_head, kept = head, student.bbox_head
    model.zero_grad()
    with torch.no_grad():
        teacher = model.teacher
        out_teacher = teacher.bbox_head(teacher.extract_feat(batch[0]))
    losses = head.loss(student.extract_feat(batch[0]), out_teacher, batch[1])
    loss = sum(losses['loss_ld'])
    loss.backward()
    gradients = {
        name: p.grad.clone()
        for name, p in student.named_parameters() if p.grad is not None}
    student.bbox_head = kept
    return loss.detach(), gradients


@IMAGES
def test_the_main_term_equals_ld_head_with_its_gradient(boxes):
    model, batch = build({'loss_ld': LINKS['loss_ld']}), batch_of(boxes)
    (found, gradients), (wanted, others) = ours(model, batch), theirs(model, batch)
    if any(boxes):
        assert wanted > 0.1
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)
    assert gradients['bbox_head.gfl_reg.weight'].any() == bool(any(boxes))
    for name, gradient in gradients.items():
        other = others.get(name, torch.zeros_like(gradient))
        # theirs is zero where ours has none, and float32 sums differ in their order
        scale = max(1.0, other.abs().max().item())
        torch.testing.assert_close(gradient, other, rtol=1e-5, atol=1e-6 * scale)
    assert not any(g.any() for name, g in others.items() if name not in gradients)


@IMAGES
def test_all_terms_run_on_a_gfl_pair(boxes):
    model = build(LINKS)
    losses = model(*batch_of(boxes), mode='loss')
    terms = {key: losses[f'distill.{key}'] for key in LINKS}
    assert all(value.isfinite() for value in terms.values())
    for name, value in terms.items():
        # general instances need no boxes
        assert (value > 0) == (any(boxes) or name == 'loss_im_3'), name
    sum(terms.values()).backward()


def test_the_teacher_stops_after_its_head_and_assigns_nothing(monkeypatch):
    model = build(LINKS)
    assert model.teachers['teacher'].mode == 'tensor'

    def never(*args, **kwargs):
        raise AssertionError('the teacher computes its loss')

    for name in ('loss', 'loss_by_feat', 'get_targets', 'predict', 'predict_by_feat'):
        monkeypatch.setattr(model.teacher.bbox_head, name, never)
    assert model(*batch_of(), mode='loss')['distill.loss_ld'] > 0


@pytest.mark.parametrize(('kind', 'name'), [
    ('Retina', 'loss_ld'), ('Retina', 'loss_ld_vlr'), ('Retina', 'loss_im_3'),
    ('FCOS', 'loss_ld')])
def test_a_head_without_distributions_is_named_before_training(kind, name):
    head = head_of(f'{kind}Head', loss_cls=dict(type='mmdet.FocalLoss'))
    if kind == 'Retina':
        head['loss_bbox'] = dict(type='mmdet.L1Loss')
        model = detector('RetinaNet', head)
        model['train_cfg']['assigner'] = dict(
            type='mmdet.MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4)
    else:
        del head['anchor_generator']
        head['norm_cfg'] = dict(type='GN', num_groups=4)
        model = dict(detector(kind, head), train_cfg=None)
    with pytest.raises(ConfigError, match=r'has no `reg_max`.*LD needs a GFL-type'):
        build({'loss': LINKS[name]}, model, copy.deepcopy(model))


def test_other_classes_are_refused_before_training():
    teacher = detector(head=head_of('GFLHead', num_classes=7))
    with pytest.raises(ConfigError, match=r'`model.distiller.links.loss_cls`'):
        build({'loss_cls': LINKS['loss_cls']}, teacher=teacher)
    with pytest.raises(ConfigError, match=r'loss_im_3.*Axis `k` differs'):
        build({'loss_im_3': LINKS['loss_im_3']}, teacher=teacher)


def test_boxes_of_distributions_are_those_that_the_head_decodes():
    head = MMDET.build(dict(head_of('GFLHead'), train_cfg=detector()['train_cfg']))
    logits = 2 * torch.randn(2, 68, 3, 5)
    (anchors,) = head.prior_generator.grid_priors([(3, 5)] * 5, device='cpu')[1:2]
    centers = head.anchor_center(anchors)
    found = distribution_boxes(logits, centers, 16)
    for image, boxes in zip(logits, found):
        distance = head.integral(image.permute(1, 2, 0)) * 16
        torch.testing.assert_close(boxes, head.bbox_coder.decode(centers, distance))


@pytest.mark.parametrize('seed', range(2))
def test_thresholds_are_those_of_the_assigner(seed):
    # its positives are the candidates from the threshold on with their centre inside
    head = MMDET.build(dict(head_of('GFLHead'), train_cfg=detector()['train_cfg']))
    sizes = [(16, 24), (8, 12), (4, 6), (2, 3), (1, 2)]
    levels = head.prior_generator.grid_priors(sizes, device='cpu')
    anchors = torch.cat(levels)
    generator = torch.Generator().manual_seed(seed)
    corner, size = torch.rand(2, 1, 2, generator=generator) * torch.tensor([90.0, 60.0])
    box = torch.cat([corner, corner + 20 + size], 1)
    assigned = ATSSAssigner(topk=9).assign(
        InstanceData(priors=anchors), [len(level) for level in levels],
        InstanceData(bboxes=box, labels=torch.zeros(1, dtype=torch.long)))
    positive = assigned.gt_inds > 0
    threshold = adaptive_thresholds(levels, box)
    iou = box_iou(anchors, box)[:, 0]
    assert positive.any()
    assert (iou[positive] >= threshold).all()
    center = (anchors[:, :2] + anchors[:, 2:]) / 2
    inside = ((center > box[:, :2] + 0.01) & (center < box[:, 2:] - 0.01)).all(1)
    distance = (center - (box[:, :2] + box[:, 2:]) / 2).square().sum(1)
    near = torch.cat(
        [
            d <= d.topk(min(9, len(d)), largest=False).values.max()
            for d in distance.split([len(level) for level in levels])])
    assert torch.equal(positive, near & inside & (iou >= threshold))
