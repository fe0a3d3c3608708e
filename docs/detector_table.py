"""Writes docs/methods/detectors.md: which method runs on which of mmdet's detectors.

    python docs/detector_table.py            runs every cell and writes the page
    python docs/detector_table.py --check    runs every cell; status 1 if it differs

A cell is a training step, forward and backward, on two images with boxes: a small
teacher and a smaller student of the family, made from the config that mmdet brings by
narrowing it. A method whose class is not there has no row.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cells
import torch
from cells import CannotSay, Cells, Links, Pair, Template

from mmkd_ext.algorithms.dry_run import has_masks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import nn

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / 'docs' / 'methods' / 'detectors.md'
SHARE = REPOSITORY / 'benchmarks' / 'results' / 'check_share.json'
NOTE = '<!-- Written by docs/detector_table.py. -->'
CHANNELS = 64  # two a group of the heads' norms, which a map of one pixel needs
CLASSES = 80
SIZE = 128
NO_PRETRAINED = dict(init_cfg=None)


# ---- families ----------------------------------------------------------------------


@dataclass(frozen=True)
class Family(cells.Family):
    """A kind of detector.

    Args:
        config: Its config in mmdet.
        student: What makes the student small, as overrides of the model.
        teacher: The same for the teacher, whose backbone is larger.
        levels: Levels that its neck returns.
        channels: Channels of each.
        head: Name of its dense head.
        scores: Where the class scores of its dense head are.
        labels: Which item of what the head gives its class loss the labels are.
    """

    levels: int = 5
    channels: int = CHANNELS
    head: str = 'bbox_head'
    scores: dict[str, Any] = field(default_factory=lambda: dict(at='bbox_head', item=0))
    labels: int | str = 1


def _resnet(width: int, outs: Sequence[int] = (0, 1, 2, 3)) -> dict[str, Any]:
    """A ResNet-18 of a width, and a neck that takes it."""
    return dict(
        backbone=dict(depth=18, base_channels=width, **NO_PRETRAINED),
        neck=dict(
            in_channels=[width * 2**stage for stage in outs], out_channels=CHANNELS
        ),
    )


def _dense(width: int, **head: Any) -> dict[str, Any]:
    model = _resnet(width)
    model['bbox_head'] = dict(
        in_channels=CHANNELS, feat_channels=CHANNELS, stacked_convs=1, **head
    )
    return model


_RPN = dict(in_channels=CHANNELS, feat_channels=CHANNELS)
_PROPOSALS = dict(rpn_proposal=dict(nms_pre=50, max_per_img=20))
_EXTRACT = dict(out_channels=CHANNELS)
_BBOX = dict(in_channels=CHANNELS, fc_out_channels=CHANNELS)
_MASK = dict(in_channels=CHANNELS, conv_out_channels=CHANNELS, num_convs=1)


def _two_stage(model: dict[str, Any], **roi: Any) -> dict[str, Any]:
    roi = dict(bbox_roi_extractor=_EXTRACT, bbox_head=_BBOX, **roi)
    return dict(model, rpn_head=_RPN, roi_head=roi, train_cfg=_PROPOSALS)


def _cascade(width: int) -> dict[str, Any]:
    # a list is replaced as a whole; three heads that differ in what they have seen
    heads = [
        dict(
            type='Shared2FCBBoxHead',
            in_channels=CHANNELS,
            fc_out_channels=CHANNELS,
            roi_feat_size=7,
            num_classes=CLASSES,
            bbox_coder=dict(
                type='DeltaXYWHBBoxCoder',
                target_means=[0.0] * 4,
                target_stds=[one / (i + 1) for one in (0.1, 0.1, 0.2, 0.2)],
            ),
            reg_class_agnostic=True,
            loss_cls=dict(type='CrossEntropyLoss', loss_weight=1.0),
            loss_bbox=dict(type='SmoothL1Loss', beta=1.0, loss_weight=1.0),
        )
        for i in range(3)
    ]
    model = _two_stage(_resnet(width))
    model['roi_head'] = dict(bbox_roi_extractor=_EXTRACT, bbox_head=heads)
    return model


def _swin(width: int) -> dict[str, Any]:
    return dict(
        backbone=dict(
            embed_dims=width,
            depths=[1, 1, 1, 1],
            num_heads=[1, 2, 4, 8],
            **NO_PRETRAINED,
        ),
        neck=dict(
            in_channels=[width * 2**stage for stage in range(4)], out_channels=CHANNELS
        ),
    )


def _csp(channels: Sequence[int], widen: float, *, pretrained: bool) -> dict[str, Any]:
    backbone: dict[str, Any] = dict(deepen_factor=0.16, widen_factor=widen)
    if pretrained:
        backbone.update(NO_PRETRAINED)
    return dict(
        backbone=backbone,
        neck=dict(in_channels=list(channels), out_channels=CHANNELS, num_csp_blocks=1),
        bbox_head=dict(in_channels=CHANNELS, feat_channels=CHANNELS, stacked_convs=1),
    )


def _transformer(
    width: int, outs: Sequence[int], channels: int = CHANNELS
) -> dict[str, Any]:
    dims = dict(embed_dims=channels)
    layer = dict(
        self_attn_cfg=dims, ffn_cfg=dict(embed_dims=channels, feedforward_channels=32)
    )
    model = _resnet(width, outs)
    model['neck']['out_channels'] = channels
    return dict(
        model,
        num_queries=10,
        encoder=dict(num_layers=1, layer_cfg=layer),
        decoder=dict(num_layers=1, layer_cfg=dict(layer, cross_attn_cfg=dims)),
        positional_encoding=dict(num_feats=channels // 2),
        bbox_head=dict(embed_dims=channels),
    )


def _family(config: str, models: Iterable[dict[str, Any]], **more: Any) -> Family:
    """A family whose student and teacher differ in one number."""
    student, teacher = models
    return Family(config, student, teacher, **more)


FAMILIES: dict[str, Family] = {
    'RetinaNet': Family(
        'retinanet/retinanet_r50_fpn_1x_coco.py', _dense(8), _dense(16)
    ),
    'FCOS': Family('fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py', _dense(8), _dense(16)),
    'ATSS': Family('atss/atss_r50_fpn_1x_coco.py', _dense(8), _dense(16)),
    'GFL': Family('gfl/gfl_r50_fpn_1x_coco.py', _dense(8), _dense(16), labels='1.0'),
    'RepPoints': Family(
        'reppoints/reppoints-moment_r50_fpn-gn_head-gn_1x_coco.py',
        _dense(8, point_feat_channels=CHANNELS),
        _dense(16, point_feat_channels=CHANNELS),
    ),
    'Faster R-CNN': Family(
        'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
        _two_stage(_resnet(8)),
        _two_stage(_resnet(16)),
        head='rpn_head',
    ),
    'Cascade R-CNN': Family(
        'cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py',
        _cascade(8),
        _cascade(16),
        head='rpn_head',
    ),
    'Mask R-CNN (Swin)': Family(
        'swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py',
        _two_stage(_swin(8), mask_roi_extractor=_EXTRACT, mask_head=_MASK),
        _two_stage(_swin(16), mask_roi_extractor=_EXTRACT, mask_head=_MASK),
        head='rpn_head',
    ),
    'SOLO': _family(
        'solo/solo_r50_fpn_1x_coco.py',
        (
            dict(
                _resnet(width),
                mask_head=dict(
                    in_channels=CHANNELS, feat_channels=CHANNELS, stacked_convs=1
                ),
            )
            for width in (8, 16)
        ),
        head='mask_head',
        # its forward in eval mode returns no logits
        scores=dict(at='mask_head.conv_cls', call=[0, 1, 2, 3, 4]),
    ),
    'YOLOX': Family(
        'yolox/yolox_s_8xb8-300e_coco.py',
        _csp((32, 64, 128), 0.125, pretrained=False),
        _csp((64, 128, 256), 0.25, pretrained=False),
        levels=3,
    ),
    'RTMDet (CSPNeXt)': Family(
        'rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
        _csp((32, 64, 128), 0.125, pretrained=True),
        _csp((64, 128, 256), 0.25, pretrained=True),
        levels=3,
        labels='1.0',
    ),
    'DETR': _family(
        'detr/detr_r50_8xb2-150e_coco.py',
        (_transformer(width, [3]) for width in (8, 16)),
        levels=1,
    ),
    'Deformable DETR': _family(
        'deformable_detr/deformable-detr_r50_16xb2-50e_coco.py',
        (_transformer(width, [1, 2, 3]) for width in (8, 16)),
        levels=4,
    ),
    'DINO': _family(
        'dino/dino-4scale_r50_8xb2-12e_coco.py',
        (
            # its decoder works with 256 channels only
            _transformer(width, [1, 2, 3], channels=256)
            for width in (8, 16)
        ),
        levels=4,
        channels=256,
    ),
}


def _retina(backbone: dict[str, Any], channels: Sequence[int]) -> dict[str, Any]:
    """A RetinaNet whose backbone is another one."""
    return dict(
        _dense(8),
        backbone=dict(backbone, _delete_=True, frozen_stages=-1),
        neck=dict(in_channels=list(channels), out_channels=CHANNELS),
    )


BACKBONES: dict[str, Family] = {
    'ResNet': FAMILIES['RetinaNet'],
    'ResNeXt': _family(
        'retinanet/retinanet_x101-32x4d_fpn_1x_coco.py',
        (
            dict(
                _dense(8),
                backbone=dict(
                    depth=50,
                    base_channels=8,
                    groups=8,
                    base_width=width,
                    **NO_PRETRAINED,
                ),
                neck=dict(in_channels=[32, 64, 128, 256], out_channels=CHANNELS),
            )
            for width in (4, 8)
        ),
    ),
    'Swin': _family(
        'swin/retinanet_swin-t-p4-w7_fpn_1x_coco.py',
        (
            dict(
                _dense(8),
                backbone=_swin(width)['backbone'],
                neck=dict(
                    in_channels=[2 * width, 4 * width, 8 * width],
                    start_level=0,
                    out_channels=CHANNELS,
                ),
            )
            for width in (8, 16)
        ),
    ),
    'MobileNetV2': _family(
        'retinanet/retinanet_r50_fpn_1x_coco.py',
        (
            _retina(
                dict(type='MobileNetV2', widen_factor=widen, out_indices=(1, 2, 4, 6)),
                channels,
            )
            for widen, channels in ((0.25, (8, 8, 24, 80)), (0.5, (16, 16, 48, 160)))
        ),
    ),
    'CSPNeXt': FAMILIES['RTMDet (CSPNeXt)'],
}


# ---- methods -----------------------------------------------------------------------


def _head(pair: Pair) -> nn.Module:
    """The student's dense head."""
    return pair.student.get_submodule(pair.family.head)


def _neck(kind: str, **loss: Any) -> Template:
    """A link from neck to neck."""
    return lambda pair: _link(kind, loss, 'neck')


def _link(kind: str, loss: Mapping[str, Any], at: Any, **tap: Any) -> Links:
    """A link between the same place of both."""
    return {
        'loss': dict(
            loss=dict(type=f'mmkd_ext.{kind}', **loss),
            preds_S=dict(of='student', at=at, **tap),
            preds_T=dict(of='teacher', at=at, **tap),
        )
    }


BOXES = dict(of='batch', at='data_samples')


def _fgd(pair: Pair) -> Links:
    family = pair.family
    sizes = dict(channels=family.channels, levels=family.levels)
    links = _link('FGDLoss', sizes, 'neck')
    links['loss']['data_samples'] = BOXES
    return links


def _defeat(pair: Pair) -> Links:
    links = _link('DeFeatLoss', {}, 'neck')
    links['loss']['data_samples'] = BOXES
    return links


def _fgfi(pair: Pair) -> Links:
    if not hasattr(getattr(_head(pair), 'prior_generator', None), 'base_anchors'):
        raise CannotSay('the head has no anchors')
    links = _link('FGFILoss', {}, 'neck')
    links['loss']['data_samples'] = BOXES
    links['loss']['head'] = dict(of='student', at=_itself(pair.family.head))
    return links


def _mgd(pair: Pair) -> Links:
    links = _link('MGDLoss', {}, 'neck')
    links['loss']['preds_S']['connector'] = dict(
        type='mmkd_ext.PerLevel',
        levels=pair.family.levels,
        connector=dict(type='mmkd_ext.MGDConnector', channels=pair.family.channels),
    )
    return links


def _reviewkd(pair: Pair) -> Links:
    family = pair.family
    links = _link('ReviewKDLoss', {}, 'neck')
    links['loss']['preds_S']['connector'] = dict(
        type='mmkd_ext.ReviewKDFusion',
        levels=family.levels,
        channels=family.channels,
        mid_channels=family.channels,
    )
    return links


def _itself(name: str) -> dict[str, str]:
    return dict(type='Module', source=name)


def _inputs(name: str) -> dict[str, str]:
    return dict(type='ModuleInputs', source=name)


def _scores(kind: str, **loss: Any) -> Template:
    """A link between the class scores of dense heads, a map for each level."""

    def links(pair: Pair) -> Links:
        _need_class_maps(pair)
        return _link(kind, loss, **pair.family.scores)

    return links


def _rows(kind: str, *, labels: bool = False, **loss: Any) -> Template:
    """A link between class scores as rows, in the order of the head's own loss."""

    def links(pair: Pair) -> Links:
        _need_class_maps(pair)
        if hasattr(_head(pair), 'multi_level_conv_cls'):
            raise CannotSay('the head tells its class loss of objects alone')
        join = dict(type='mmkd_ext.ConcatLevels')
        rows = dict(type='mmkd_ext.FlattenPredictions', classes=CLASSES)
        own = dict(of='student', at=_inputs(f'{pair.family.head}.loss_cls'), call='all')
        link = dict(
            loss=dict(type=f'mmkd_ext.{kind}', **loss),
            preds_S=dict(own, item=0, connector=join),
            preds_T=dict(of='teacher', **pair.family.scores, connector=[rows, join]),
        )
        if labels:
            link['labels'] = dict(own, item=pair.family.labels, connector=join)
        return {'loss': link}

    return links


def _rois(kind: str, *, labels: bool = False, **loss: Any) -> Template:
    """A link between the class scores of the student's proposals."""

    def links(pair: Pair) -> Links:
        if not pair.has('roi_head.bbox_head'):
            raise CannotSay('there is no RoI head')
        stage = 0 if pair.has('roi_head.bbox_head.0') else None
        inside = '' if stage is None else '.0'
        own = dict(of='student', at=_inputs(f'roi_head.bbox_head{inside}.loss_cls'))
        link = dict(
            loss=dict(type=f'mmkd_ext.{kind}', **loss),
            preds_S=dict(own, item=0),
            preds_T=dict(
                of='teacher',
                at='neck',
                connector=dict(type='mmkd_ext.RoIClassify', stage=stage),
                given=dict(
                    roi_head=dict(of='teacher', at=_itself('roi_head')),
                    rois=dict(
                        of='student',
                        at=_inputs(f'roi_head.bbox_roi_extractor{inside}'),
                        item=1,
                    ),
                ),
            ),
        )
        if labels:
            link['labels'] = dict(own, item=1)
        return {'loss': link}

    return links


def _ld(pair: Pair) -> Links:
    if not hasattr(_head(pair), 'reg_max'):
        raise CannotSay('the head predicts no distributions of box edges')
    links = _link('LDLoss', {}, 'bbox_head', item=1)
    links['loss']['region'] = dict(
        of='student',
        at=_itself('bbox_head'),
        connector=dict(type='mmkd_ext.LDMainRegion'),
        given=dict(
            logits=dict(of='student', at='bbox_head', item=0),
            targets=dict(
                of='student', at=_inputs('bbox_head.loss_cls'), call='all', item=1
            ),
        ),
    )
    return links


def _need_class_maps(pair: Pair) -> None:
    if pair.family.head == 'rpn_head':
        raise CannotSay('the RPN tells objects from background, not classes')
    if pair.has('decoder'):
        raise CannotSay('the head scores queries, which have no place on a map')


METHODS: dict[str, tuple[str, Template]] = {
    'CWD': ('CWDLoss', _neck('CWDLoss')),
    'FitNets': ('FitNetsLoss', _neck('FitNetsLoss')),
    'FGD': ('FGDLoss', _fgd),
    'MGD': ('MGDLoss', _mgd),
    'PKD': ('PKDLoss', _neck('PKDLoss')),
    'ReviewKD': ('ReviewKDLoss', _reviewkd),
    'DeFeat': ('DeFeatLoss', _defeat),
    'FGFI': ('FGFILoss', _fgfi),
    'CWD, class maps': ('CWDLoss', _scores('CWDLoss')),
    'DIST, class maps': ('DISTLoss', _scores('DISTLoss', activation='sigmoid')),
    'KD, rows': ('KDLoss', _rows('KDLoss')),
    'DKD, rows': ('DKDLoss', _rows('DKDLoss', labels=True)),
    'KD, RoIs': ('KDLoss', _rois('KDLoss')),
    'DKD, RoIs': ('DKDLoss', _rois('DKDLoss', labels=True)),
    'DIST, RoIs': ('DISTLoss', _rois('DISTLoss')),
    'LD': ('LDLoss', _ld),
}
"""For each row, the class that it needs and its links."""

NECK_METHODS = ('CWD', 'FitNets', 'FGD', 'MGD', 'PKD', 'ReviewKD', 'DeFeat')


# ---- cells -------------------------------------------------------------------------


def batch(*, masks: bool) -> dict[str, Any]:
    """Two images of noise of different size, padded, with boxes."""
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData

    samples = []
    for height, width in ((SIZE, SIZE), (SIZE - 32, SIZE)):
        boxes = torch.tensor([[8.0, 8.0, 72.0, 60.0], [40.0, 30.0, 64.0, 80.0]])
        sample = DetDataSample(
            metainfo=dict(
                img_shape=(height, width),
                ori_shape=(height, width),
                pad_shape=(SIZE, SIZE),
                batch_input_shape=(SIZE, SIZE),
                scale_factor=(1.0, 1.0),
                img_id=0,
                img_path='',
            )
        )
        sample.gt_instances = InstanceData(
            bboxes=boxes,
            labels=torch.tensor([0, 7]),
        )
        if masks:
            drawn = torch.zeros(len(boxes), SIZE, SIZE, dtype=torch.uint8)
            for mask, (left, top, right, bottom) in zip(drawn, boxes.int().tolist()):
                mask[top:bottom, left:right] = 1
            sample.gt_instances.masks = BitmapMasks(drawn.numpy(), SIZE, SIZE)
        sample.ignored_instances = InstanceData(
            bboxes=boxes[:0], labels=torch.zeros(0, dtype=torch.long)
        )
        samples.append(sample)
    inputs = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    return dict(inputs=inputs, data_samples=samples)


RUNNER = cells.Runner('mmdet', METHODS, lambda model: batch(masks=has_masks(model)))
pair_of, model_of, step = RUNNER.pair_of, RUNNER.model_of, RUNNER.step
cell, differences, present = RUNNER.cell, RUNNER.differences, RUNNER.present
_quiet = RUNNER.quiet


# ---- the page ----------------------------------------------------------------------


def page(families: Cells, backbones: Cells) -> str:
    """Returns the page as Markdown."""
    parts = [
        NOTE,
        '# Methods and detectors',
        'A cell says yes where a training step ran, forward and backward: a small '
        "teacher and a smaller student of the family, made from mmdet's own config by "
        'narrowing it, on two images with boxes. A number says why not.',
        '## Families',
        cells.table(families),
        'From neck to neck: CWD, FitNets, FGD, MGD, PKD, ReviewKD, DeFeat, FGFI. '
        '*Class maps* are the scores of a dense head, *rows* the same in the order of '
        'its own loss, with the labels that its assigner chose; *RoIs* are the '
        "proposals of the student, which both models classify. SOLO's scores are "
        'tapped at `mask_head.conv_cls`, since its head returns no logits in eval '
        'mode.',
        '## Backbones',
        'As student and as teacher, in RetinaNet; CSPNeXt in RTMDet.',
        cells.table(backbones),
    ]
    if SHARE.is_file():
        parts += ['## Configs of mmdet', share_text(json.loads(SHARE.read_text()))]
    return '\n\n'.join(parts) + '\n'


def share_text(share: Mapping[str, Any]) -> str:
    """Says how many of mmdet's configs pass the check as student."""
    columns = {
        'buildable': 'buildable',
        'with_neck': 'with a neck',
        'pass': 'pass',
        'step_runs': 'a step runs',
    }
    text = cells.share_table(share, columns)
    versions = share['environment']['versions']
    return (
        'Every config of these folders that mmdet itself can build, as student and '
        'teacher of one CWD link on its neck, with no other edit, through '
        f'`check_config` (mmdet {versions["mmdet"]}, mmcv {versions["mmcv"]}, torch '
        f'{versions["torch"]}); written by `benchmarks/check_share.py`.\n\n{text}\n\n'
        'Those without a neck (C4 and DC5 backbones) pass with the link at `backbone`.'
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Writes or checks; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--check', action='store_true', help='write nothing')
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    methods = present()
    neck = [method for method in methods if method in NECK_METHODS]
    text = page(RUNNER.columns(FAMILIES, methods), RUNNER.columns(BACKBONES, neck))
    return cells.write_page(PAGE, text, check=args.check)


if __name__ == '__main__':
    sys.exit(main())
