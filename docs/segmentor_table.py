"""Writes docs/methods/segmentors.md: which method runs on which of mmseg's segmentors.

    python docs/segmentor_table.py            runs every cell and writes the page
    python docs/segmentor_table.py --check    runs every cell; status 1 if it differs
    python docs/segmentor_table.py --text     keeps the cells and writes the rest anew

A cell is a training step, forward and backward, on two crops of noise with labels: a
small teacher and a smaller student of the family, made from the config that mmseg
brings by narrowing it. A method whose class is not there has no row.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cells
import torch
from cells import CannotSay, Cells, Links, Pair, Template

from mmkd_ext.algorithms.dry_run import blank_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import nn

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / 'docs' / 'methods' / 'segmentors.md'
SHARE = REPOSITORY / 'benchmarks' / 'results' / 'check_share_mmseg.json'
NOTE = '<!-- Written by docs/segmentor_table.py. -->'
SIZE = (64, 128)
STUDENT, TEACHER = 8, 16
"""Width of the first stage; all others follow from it."""
MAPS = dict(inputs=dict(of='batch', at='inputs'))
CONV_SEG = dict(at='decode_head.conv_seg')
NO_AUXILIARY = 'there is no auxiliary head'
TRAINING_ALONE = (
    'the auxiliary classifiers run in training alone, and a teacher never trains'
)


# ---- families ----------------------------------------------------------------------


@dataclass(frozen=True)
class Family(cells.Family):
    """A kind of segmentor.

    Args:
        config: Its config in mmseg.
        student: What makes the student small, as overrides of the model.
        teacher: The same for the teacher, which is wider.
        feature: Tap of the map before the classifier; a module's name alone, or a tap.
        logits: Tap of the logits.
        auxiliary: Tap of the logits of an auxiliary head, or why there is none.
        stages: Which outputs of the backbone are its stages, from large to small.
        last: The student's last one, where the teacher returns that alone.
        tokens: Tap of tokens in the backbone.
        classes: Number of classes.
        size: Size of the crop.
    """

    feature: str | dict[str, Any] = 'decode_head.bottleneck'
    logits: dict[str, Any] | None = None
    auxiliary: dict[str, Any] | str = NO_AUXILIARY
    stages: tuple[int, ...] = (0, 1, 2, 3)
    last: int | None = None
    tokens: dict[str, Any] | None = None
    classes: int = 19
    size: tuple[int, int] = SIZE


def _both(config: str, small: Callable[[int], dict[str, Any]], **more: Any) -> Family:
    """A family whose student and teacher differ in width."""
    size = more.get('size', SIZE)
    student, teacher = (
        dict(small(width), pretrained=None, data_preprocessor=dict(size=size))
        for width in (STUDENT, TEACHER)
    )
    return Family(config, student, teacher, **more)


def _stages(width: int, factors: Sequence[int] = (1, 2, 4, 8)) -> list[int]:
    return [width * factor for factor in factors]


def _narrow(width: int) -> dict[str, Any]:
    return dict(stem_channels=width, base_channels=width, init_cfg=None)


AUXILIARY = dict(at='auxiliary_head.conv_seg')
FIRST_AUXILIARY = dict(at='auxiliary_head.0.conv_seg')


def _resnet(width: int, expansion: int = 1, **head: Any) -> dict[str, Any]:
    """A ResNet whose stages a head and an auxiliary head take."""
    outs = [expansion * channels for channels in _stages(width)]
    return dict(
        backbone=_narrow(width),
        decode_head=dict(in_channels=outs[3], channels=2 * width, **head),
        auxiliary_head=dict(in_channels=outs[2], channels=width),
    )


def _upernet(width: int) -> dict[str, Any]:
    model = _resnet(width)
    model['decode_head']['in_channels'] = _stages(width)
    return model


def _segformer(width: int) -> dict[str, Any]:
    return dict(
        backbone=dict(embed_dims=width, num_layers=[1, 1, 1, 1], init_cfg=None),
        decode_head=dict(in_channels=_stages(width, (1, 2, 5, 8)), channels=2 * width),
    )


def _stdc(width: int) -> dict[str, Any]:
    channels = [width, *_stages(width, (1, 2, 4, 8))]
    return dict(
        backbone=dict(
            backbone_cfg=dict(channels=channels),
            last_in_channels=(8 * width, 4 * width),
            out_channels=2 * width,
            ffm_cfg=dict(in_channels=4 * width, out_channels=2 * width),
        ),
        decode_head=dict(in_channels=2 * width, channels=2 * width),
        auxiliary_head={
            str(i): dict(in_channels=2 * width, channels=width) for i in range(3)
        },
    )


def _bisenet_v1(width: int) -> dict[str, Any]:
    head = dict(in_channels=2 * width, channels=2 * width)
    return dict(
        backbone=dict(
            context_channels=(2 * width, 4 * width, 8 * width),
            spatial_channels=(width, width, width, 2 * width),
            out_channels=2 * width,
            backbone_cfg=_narrow(width),
        ),
        decode_head=head,
        auxiliary_head={str(i): head for i in range(2)},
    )


def _bisenet_v2(width: int) -> dict[str, Any]:
    semantic = (width, width, width, 2 * width)
    return dict(
        backbone=dict(
            detail_channels=(width, width, 2 * width),
            semantic_channels=semantic,
            bga_channels=2 * width,
        ),
        decode_head=dict(in_channels=2 * width, channels=2 * width),
        auxiliary_head={
            str(i): dict(in_channels=channels, channels=width)
            for i, channels in enumerate(semantic)
        },
    )


def _fast_scnn(width: int) -> dict[str, Any]:
    return dict(
        backbone=dict(
            downsample_dw_channels=(width, width),
            global_in_channels=width,
            global_block_channels=(width, width, 2 * width),
            global_out_channels=2 * width,
            higher_in_channels=width,
            lower_in_channels=2 * width,
            fusion_out_channels=2 * width,
        ),
        decode_head=dict(in_channels=2 * width, channels=2 * width),
        auxiliary_head={
            '0': dict(in_channels=2 * width, channels=width),
            '1': dict(in_channels=width, channels=width),
        },
    )


def _two_branches(width: int) -> dict[str, Any]:
    """DDRNet or PIDNet."""
    return dict(
        backbone=dict(channels=width, ppm_channels=width, init_cfg=None),
        decode_head=dict(in_channels=4 * width, channels=2 * width),
    )


def _mask2former(width: int) -> dict[str, Any]:
    channels = 4 * width
    dims = dict(embed_dims=channels, num_heads=4)
    ffn = dict(embed_dims=channels, feedforward_channels=channels)
    layer = dict(self_attn_cfg=dims, ffn_cfg=ffn)
    place = dict(num_feats=channels // 2)
    return dict(
        backbone=dict(depth=18, **_narrow(width)),
        decode_head=dict(
            in_channels=_stages(width),
            feat_channels=channels,
            out_channels=channels,
            num_queries=10,
            pixel_decoder=dict(
                encoder=dict(num_layers=1, layer_cfg=layer),
                positional_encoding=place,
                norm_cfg=dict(num_groups=8),
            ),
            positional_encoding=place,
            transformer_decoder=dict(
                num_layers=1, layer_cfg=dict(layer, cross_attn_cfg=dims)
            ),
            train_cfg=dict(num_points=64),
        ),
    )


FAMILIES: dict[str, Family] = {
    'PSPNet': _both(
        'pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py',
        _resnet,
        auxiliary=AUXILIARY,
    ),
    'DeepLabV3': _both(
        'deeplabv3/deeplabv3_r18-d8_4xb2-80k_cityscapes-512x1024.py',
        _resnet,
        auxiliary=AUXILIARY,
    ),
    'DeepLabV3+': _both(
        'deeplabv3plus/deeplabv3plus_r18-d8_4xb2-80k_cityscapes-512x1024.py',
        lambda width: _resnet(width, c1_in_channels=width, c1_channels=width),
        feature='decode_head.sep_bottleneck',
        auxiliary=AUXILIARY,
    ),
    'FCN': _both(
        'fcn/fcn_r18-d8_4xb2-80k_cityscapes-512x1024.py',
        _resnet,
        feature='decode_head.conv_cat',
        auxiliary=AUXILIARY,
    ),
    'UPerNet': _both(
        'upernet/upernet_r18_4xb2-80k_cityscapes-512x1024.py',
        _upernet,
        feature='decode_head.fpn_bottleneck',
        auxiliary=AUXILIARY,
    ),
    'SegFormer': _both(
        'segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py',
        _segformer,
        feature='decode_head.fusion_conv',
        tokens=dict(at='backbone.layers.3.1.0', stride=32),
    ),
    'STDC': _both(
        'stdc/stdc1_4xb12-80k_cityscapes-512x1024.py',
        _stdc,
        feature='decode_head.convs',
        auxiliary=FIRST_AUXILIARY,
        stages=(0, 2, 1),
    ),
    'BiSeNetV1': _both(
        'bisenetv1/bisenetv1_r18-d32_4xb4-160k_cityscapes-1024x1024.py',
        _bisenet_v1,
        feature='decode_head.convs',
        auxiliary=FIRST_AUXILIARY,
        stages=(0, 1, 2),
    ),
    'BiSeNetV2': _both(
        'bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py',
        _bisenet_v2,
        feature='decode_head.convs',
        auxiliary=FIRST_AUXILIARY,
        stages=(1, 2, 3, 4),
    ),
    'Fast-SCNN': _both(
        'fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024.py',
        _fast_scnn,
        feature='decode_head.convs',
        auxiliary=FIRST_AUXILIARY,
        stages=(0, 1),
    ),
    'DDRNet': _both(
        'ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024.py',
        _two_branches,
        feature='decode_head.head',
        auxiliary=TRAINING_ALONE,
        last=1,
    ),
    'PIDNet': _both(
        'pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes.py',
        _two_branches,
        feature='decode_head.i_head.act',
        auxiliary=TRAINING_ALONE,
        last=1,
    ),
    'Mask2Former': _both(
        'mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py',
        _mask2former,
        feature=dict(at='decode_head.pixel_decoder', item=0),
        logits=dict(at='decode_head', connector=dict(type='mmkd_ext.QueryClassMaps')),
    ),
}


def _hrnet(width: int) -> dict[str, Any]:
    stages = _stages(width)
    extra = {
        f'stage{i}': dict(num_channels=stages[:i], num_modules=1, num_blocks=[1] * i)
        for i in (1, 2, 3, 4)
    }
    return dict(
        backbone=dict(extra=extra),
        decode_head=dict(in_channels=stages, channels=2 * width),
    )


def _mobilenet_v2(width: int) -> dict[str, Any]:
    widen = width / 32
    return dict(
        backbone=dict(widen_factor=widen),
        decode_head=dict(in_channels=int(320 * widen), channels=2 * width),
        auxiliary_head=dict(in_channels=int(96 * widen), channels=width),
    )


def _mobilenet_v3(width: int) -> dict[str, Any]:
    # it cannot be narrowed
    return dict(backbone=dict(init_cfg=None), decode_head=dict(channels=2 * width))


def _swin(width: int) -> dict[str, Any]:
    return dict(
        backbone=dict(
            embed_dims=width,
            depths=[1, 1, 1, 1],
            num_heads=[1, 2, 4, 8],
            init_cfg=None,
        ),
        decode_head=dict(in_channels=_stages(width), channels=2 * width),
        auxiliary_head=dict(in_channels=4 * width, channels=width),
    )


def _vit(width: int, layers: int, **more: Any) -> dict[str, Any]:
    return dict(
        embed_dims=4 * width,
        num_layers=layers,
        num_heads=4,
        img_size=SIZE,
        init_cfg=None,
        **more,
    )


def _vit_upernet(width: int) -> dict[str, Any]:
    channels = [4 * width] * 4
    return dict(
        backbone=_vit(width, 4, out_indices=(0, 1, 2, 3)),
        neck=dict(in_channels=channels, out_channels=4 * width),
        decode_head=dict(in_channels=channels, channels=2 * width),
        auxiliary_head=dict(in_channels=4 * width, channels=width),
    )


def _setr(width: int) -> dict[str, Any]:
    head = dict(in_channels=4 * width, channels=2 * width)
    return dict(
        backbone=_vit(width, 4, out_indices=(0, 1, 2, 3)),
        decode_head=head,
        auxiliary_head={str(i): head for i in range(3)},
    )


def _segmenter(width: int) -> dict[str, Any]:
    channels = 4 * width
    return dict(
        backbone=_vit(width, 2),
        decode_head=dict(
            in_channels=channels,
            channels=channels,
            embed_dims=channels,
            num_layers=1,
            num_heads=4,
        ),
    )


VIT_TOKENS = dict(at='backbone.layers.1', stride=16, leading=1)

BACKBONES: dict[str, Family] = {
    'ResNet': FAMILIES['PSPNet'],
    'ResNeSt': _both(
        'resnest/resnest_s101-d8_pspnet_4xb2-80k_cityscapes512x1024.py',
        lambda width: {
            **_resnet(width, expansion=4),
            'backbone': dict(_narrow(width), depth=50),
        },
        auxiliary=AUXILIARY,
    ),
    'HRNet': _both(
        'hrnet/fcn_hr18s_4xb2-40k_cityscapes-512x1024.py',
        _hrnet,
        feature='decode_head.convs',
    ),
    'MobileNetV2': _both(
        'mobilenet_v2/mobilenet-v2-d8_pspnet_4xb2-80k_cityscapes-512x1024.py',
        _mobilenet_v2,
        auxiliary=AUXILIARY,
    ),
    'MobileNetV3': _both(
        'mobilenet_v3/mobilenet-v3-d8-s_lraspp_4xb4-320k_cityscapes-512x1024.py',
        _mobilenet_v3,
        feature='decode_head.conv_up_input',
        stages=(0, 1, 2),
        # its head pools by windows of 49
        size=(392, 392),
    ),
    'MiT': FAMILIES['SegFormer'],
    'Swin': _both(
        'swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512.py',
        _swin,
        feature='decode_head.fpn_bottleneck',
        auxiliary=AUXILIARY,
        tokens=dict(at='backbone.stages.3', item=2, stride=32),
        classes=150,
    ),
    'ViT (UPerNet)': _both(
        'vit/vit_vit-b16_mln_upernet_8xb2-80k_ade20k-512x512.py',
        _vit_upernet,
        feature='decode_head.fpn_bottleneck',
        auxiliary=AUXILIARY,
        tokens=VIT_TOKENS,
        classes=150,
    ),
    'ViT (SETR)': _both(
        'setr/setr_vit-l_naive_8xb1-80k_cityscapes-768x768.py',
        _setr,
        feature='decode_head.up_convs.0',
        auxiliary=FIRST_AUXILIARY,
        tokens=VIT_TOKENS,
    ),
    'ViT (Segmenter)': _both(
        'segmenter/segmenter_vit-s_mask_8xb1-160k_ade20k-512x512.py',
        _segmenter,
        feature=dict(
            at='backbone.layers.1',
            connector=dict(type='mmkd_ext.TokensToMap', stride=16, leading=1),
            given=MAPS,
        ),
        logits=dict(at='decode_head'),
        stages=(0,),
        tokens=VIT_TOKENS,
        classes=150,
    ),
}


# ---- methods -----------------------------------------------------------------------


def _taps(student: Mapping[str, Any], teacher: Mapping[str, Any]) -> Links:
    return dict(
        preds_S=dict(of='student', **student), preds_T=dict(of='teacher', **teacher)
    )


def _logits(kind: str, *, truth: bool = False, **loss: Any) -> Template:
    """A link between the logits of both."""

    def links(pair: Pair) -> Links:
        tap = pair.family.logits or CONV_SEG
        return {'loss': _link(kind, loss, _taps(tap, tap), truth=truth)}

    return links


def _link(
    kind: str, loss: Mapping[str, Any], taps: Links, *, truth: bool = False
) -> dict[str, Any]:
    samples = dict(data_samples=dict(of='batch', at='data_samples')) if truth else {}
    return dict(loss=dict(type=f'mmkd_ext.{kind}', **loss), **taps, **samples)


def _auxiliary(kind: str, **loss: Any) -> Template:
    """A link between the logits of the auxiliary heads."""

    def links(pair: Pair) -> Links:
        tap = pair.family.auxiliary
        if isinstance(tap, str):
            raise CannotSay(tap)
        return {'loss': _link(kind, loss, _taps(tap, tap))}

    return links


def _feature(kind: str, *, truth: bool = False, **loss: Any) -> Template:
    """A link between the maps before the classifiers."""

    def links(pair: Pair) -> Links:
        given = dict(loss, num_classes=pair.family.classes) if truth else loss
        return {'loss': _link(kind, given, _features(pair), truth=truth)}

    return links


def _features(pair: Pair, student: Any = None, teacher: Any = None) -> Links:
    """Taps of the maps before the classifiers, each with a connector."""
    tap = _tap(pair.family.feature)
    return _taps(_connected(tap, student), _connected(tap, teacher))


def _tap(place: str | dict[str, Any]) -> dict[str, Any]:
    return dict(at=place) if isinstance(place, str) else dict(place)


def _connected(tap: dict[str, Any], connector: Any) -> dict[str, Any]:
    """A tap with one more connector behind those that it has."""
    if connector is None:
        return tap
    first = tap.get('connector')
    if first is None:
        return dict(tap, connector=connector)
    return dict(tap, connector=dict(first, connector=connector))


def _channels(pair: Pair, side: str) -> int:
    """Channels of a side's map before the classifier."""
    tap = _tap(pair.family.feature)
    found = _output(pair, side, tap['at'])
    if 'item' in tap:
        found = found[tap['item']]
    # tokens have theirs at the end
    return int(found.shape[-1 if found.dim() == 3 else 1])


def _output(pair: Pair, side: str, at: str) -> Any:
    return pair.output(side, at, blank_batch(getattr(pair, side)))


def _cirkd(pair: Pair) -> Links:
    channels = _channels(pair, 'teacher')
    memory = dict(num_classes=pair.family.classes, channels=channels, size=20)
    projected = _features(pair, _projection(pair))
    return {
        'loss_batch': _link('CIRKDMiniBatchLoss', {}, _features(pair)),
        'loss_pixel': _link('CIRKDPixelMemoryLoss', memory, projected, truth=True),
        'loss_region': _link('CIRKDRegionMemoryLoss', memory, projected, truth=True),
    }


def _cirkd_v2(pair: Pair) -> Links:
    projected = _features(pair, _projection(pair))
    memory = dict(map_size=(2, 4), size=40, samples=8)
    return {
        'loss_channel': _link('CIRKDChannelLoss', {}, projected),
        'loss_memory': _link('CIRKDChannelMemoryLoss', memory, projected),
    }


def _projection(pair: Pair) -> dict[str, Any]:
    ins, outs = _channels(pair, 'student'), _channels(pair, 'teacher')
    return dict(type='mmkd_ext.CIRKDProjection', in_channels=ins, out_channels=outs)


CODE = dict(widths=(8, 4), strides=(2, 1))


def _ka_first(pair: Pair) -> Links:
    tap = dict(of='teacher', **_tap(pair.family.feature))
    loss = dict(CODE, channels=_channels(pair, 'teacher'))
    return {'loss': _link('KAReconstructionLoss', loss, dict(preds_S=tap, preds_T=tap))}


def _ka_second(pair: Pair) -> Links:
    adapter = dict(
        type='mmkd_ext.ConvAdapter',
        in_channels=_channels(pair, 'student'),
        out_channels=CODE['widths'][-1],
        kernel_size=3,
        norm=True,
        act=True,
    )
    encoder = dict(
        CODE,
        type='mmkd_ext.KAEncoder',
        channels=_channels(pair, 'teacher'),
        checkpoint=None,
    )
    return {
        'loss_adapt': _link('KAAdaptLoss', {}, _features(pair, adapter, encoder)),
        'loss_affinity': _link('KAAffinityLoss', {}, _features(pair, adapter, encoder)),
    }


def _mgd(pair: Pair) -> Links:
    generation = dict(
        type='mmkd_ext.MGDConnector',
        in_channels=_channels(pair, 'student'),
        channels=_channels(pair, 'teacher'),
        mask_ratio=0.75,
    )
    return {'loss': _link('MGDLoss', {}, _features(pair, generation))}


def _last_stage(kind: str, **loss: Any) -> Template:
    """A link between the last stages of the backbones."""

    def links(pair: Pair) -> Links:
        family = pair.family
        if family.last is not None:
            taps = _taps(dict(at='backbone', item=family.last), dict(at='backbone'))
        else:
            tap = dict(at='backbone', item=family.stages[-1])
            taps = _taps(tap, tap)
        return {'loss': _link(kind, loss, taps)}

    return links


def _reviewkd(pair: Pair) -> Links:
    family = pair.family
    if family.last is not None:
        raise CannotSay(
            'the backbone returns one map in eval mode, in which a teacher is'
        )
    ins, outs = (
        [int(levels[i].shape[1]) for i in family.stages]
        for levels in (_output(pair, side, 'backbone') for side in SIDES)
    )
    fusion = dict(
        type='mmkd_ext.ReviewKDFusion',
        levels=len(ins),
        in_channels=ins,
        channels=outs,
        mid_channels=8,
    )
    tap = dict(at='backbone', item=list(family.stages))
    return {'loss': _link('ReviewKDLoss', {}, _taps(_connected(tap, fusion), tap))}


SIDES = ('student', 'teacher')


def _tokens(kind: str, **loss: Any) -> Template:
    """A link between tokens of the backbones, made maps."""

    def links(pair: Pair) -> Links:
        if pair.family.tokens is None:
            raise CannotSay('the backbone has no tokens')
        tap = dict(pair.family.tokens, given=MAPS)
        settings = {k: tap.pop(k) for k in ('stride', 'leading') if k in tap}
        tap['connector'] = dict(type='mmkd_ext.TokensToMap', **settings)
        return {'loss': _link(kind, loss, _taps(tap, tap))}

    return links


METHODS: dict[str, tuple[str, Template]] = {
    'KD, SKDS pixel-wise': ('KDLoss', _logits('KDLoss')),
    'CWD, logits': ('CWDLoss', _logits('CWDLoss', tau=4.0, loss_weight=3.0)),
    'DKD': ('DKDPixelLoss', _logits('DKDPixelLoss', truth=True)),
    'DIST': ('DISTLoss', _logits('DISTLoss')),
    'DIST, auxiliary head': ('DISTLoss', _auxiliary('DISTLoss', loss_weight=0.4)),
    'CWD, features': ('CWDLoss', _feature('CWDLoss', loss_weight=50.0)),
    'SKDS, pair-wise': ('SKDSPairwiseLoss', _feature('SKDSPairwiseLoss')),
    'IFVD': ('IFVDLoss', _feature('IFVDLoss', truth=True)),
    'CIRKD': ('CIRKDMiniBatchLoss', _cirkd),
    'CIRKD, version 2': ('CIRKDChannelLoss', _cirkd_v2),
    'KA, stage one': ('KAReconstructionLoss', _ka_first),
    'KA, stage two': ('KAAdaptLoss', _ka_second),
    'MGD': ('MGDLoss', _mgd),
    'AT': ('ATLoss', _feature('ATLoss', loss_weight=1e4)),
    'FitNets, last stage': ('FitNetsLoss', _last_stage('FitNetsLoss')),
    'ReviewKD': ('ReviewKDLoss', _reviewkd),
    'FitNets, tokens': ('FitNetsLoss', _tokens('FitNetsLoss')),
}
"""For each row, the class that it needs and its links."""


# ---- cells -------------------------------------------------------------------------


def batch(model: nn.Module) -> dict[str, Any]:
    """Two crops of noise with labels in blocks.

    Some are to be ignored; but not for PIDNet, whose cross entropy with class weights
    fails in mmseg 1.2.2 on such labels, with or without a teacher.
    """
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    preprocessor: Any = model.get_submodule('data_preprocessor')
    size = preprocessor.size
    least = 0 if hasattr(model.get_submodule('decode_head'), 'p_cls_seg') else -1
    draw = torch.Generator().manual_seed(0)
    samples = []
    for _ in range(2):
        blocks = torch.randint(least, 19, (1, 1, 4, 4), generator=draw)
        labels = torch.nn.functional.interpolate(blocks.float(), size)[0].long()
        sample = SegDataSample(
            metainfo=dict(img_shape=size, ori_shape=size, pad_shape=size)
        )
        sample.gt_sem_seg = PixelData(data=labels.where(labels >= 0, 255))
        # what mmseg's `GenerateEdge` adds for PIDNet
        edges = (labels != labels.roll(1, 2)).long()
        sample.set_data(dict(gt_edge_map=PixelData(data=edges)))
        samples.append(sample)
    inputs = [128 * torch.rand(3, *size, generator=draw) for _ in samples]
    return dict(inputs=inputs, data_samples=samples)


RUNNER = cells.Runner('mmseg', METHODS, batch)


# ---- the page ----------------------------------------------------------------------


def page(families: Cells, backbones: Cells) -> str:
    """Returns the page as Markdown."""
    parts = [
        NOTE,
        '# Methods and segmentors',
        'A cell says yes where a training step ran, forward and backward: a small '
        "teacher and a smaller student of the family, made from mmseg's own config by "
        'narrowing it, on two crops of noise with labels. A number says why not.',
        '## Families',
        cells.table(families),
        'Feature methods compare the map before the classifier, see below; FitNets the '
        'last stage of the backbones, ReviewKD all stages, both brought together by '
        'alignment. *Tokens* are those of a transformer layer inside the backbone, '
        'made a map by `mmkd_ext.TokensToMap`; what such a backbone returns are maps '
        'already. Mask2Former has no logits of pixels: `mmkd_ext.QueryClassMaps` makes '
        'class maps of its queries, with which it can be compared with any other head.',
        '## Where to tap',
        places_text(),
        '## Backbones',
        'As student and as teacher: ResNet, ResNeSt and MobileNetV2 in PSPNet, HRNet '
        'in FCN, MobileNetV3 in LR-ASPP, MiT in SegFormer, Swin in '
        'UPerNet, plain ViT in UPerNet, SETR and Segmenter.',
        cells.table(backbones),
    ]
    if SHARE.is_file():
        parts += ['## Configs of mmseg', share_text(json.loads(SHARE.read_text()))]
    return '\n\n'.join(parts) + '\n'


def places_text() -> str:
    """Says where the families are tapped."""
    rows = [['family', 'feature', 'logits', 'auxiliary'], [':--'] * 4]
    for name, family in FAMILIES.items():
        taps = [_tap(family.feature), family.logits or CONV_SEG, family.auxiliary]
        rows.append([name, *(_place_text(tap) for tap in taps)])
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows)


def _place_text(tap: dict[str, Any] | str) -> str:
    if isinstance(tap, str):
        return ''
    item = f', item {tap["item"]}' if 'item' in tap else ''
    return f'`{tap["at"]}`{item}'


def share_text(share: Mapping[str, Any]) -> str:
    """Says how many of mmseg's configs pass the check as student."""
    names = ('buildable', 'models', 'pass')
    columns = {**{name: name for name in names}, 'step_runs': 'a step runs'}
    text = cells.share_table(share, columns)
    versions = share['environment']['versions']
    failures = [row for found in share['folders'].values() for row in found['failures']]
    unbuilt = {
        name: why
        for found in share['folders'].values()
        for name, why in found['mmseg_cannot_build'].items()
    }
    notes = [
        f'`{row["config"]}`: {"; ".join(row["problems"]) or row["step"]}.'
        for row in failures
    ]
    notes += [
        f'`{name}` is not counted: mmseg cannot build it ({why}).'
        for name, why in unbuilt.items()
    ]
    return '\n\n'.join(
        [
            'Every Cityscapes config that mmseg itself can build, as student of one '
            'CWD link on its logits, through `check_config`; the teacher is '
            "mmseg's Fast-SCNN. First weights are taken out, nothing else is edited. "
            'Configs whose models are equal but for the crop, `align_corners` and how '
            'they are tested are checked once, and then stepped forward and backward '
            f'(mmseg {versions["mmsegmentation"]}, mmcv '
            f'{versions["mmcv"]}, torch {versions["torch"]}); written by '
            '`benchmarks/check_share.py --package mmseg`.',
            'The logits are what `conv_seg` of the decode head returns, of a cascade '
            'the last head that makes a map, of Mask2Former its class maps.',
            text,
            *notes,
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Writes or checks; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--check', action='store_true', help='write nothing')
    parser.add_argument('--text', action='store_true', help='run no cells')
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    methods = RUNNER.present()
    if args.text:
        text = page(*cells.read_tables(PAGE.read_text(encoding='utf-8')))
    else:
        text = page(
            *(RUNNER.columns(families, methods) for families in (FAMILIES, BACKBONES))
        )
    return cells.write_page(PAGE, text, check=args.check)


if __name__ == '__main__':
    sys.exit(main())
