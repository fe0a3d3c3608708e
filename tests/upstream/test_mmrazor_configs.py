"""Links mean what mmrazor's shipped configs mean."""

from __future__ import annotations

import os

import pytest

from mmkd_ext.distillers.links import links_from_mmrazor, links_to_mmrazor, parse_links

pytestmark = [pytest.mark.mmdet, pytest.mark.mmseg]


def shipped(relative):
    """The distiller of one of mmrazor's configs, as it was installed."""
    from mmengine.config import Config

    from mmkd_ext import compat

    compat.apply()
    import mmrazor

    root = os.path.join(os.path.dirname(mmrazor.__file__), '.mim', 'configs', 'distill')
    distiller = Config.fromfile(os.path.join(root, relative)).model.distiller.to_dict()
    distiller.pop('type')
    return distiller


def fpn(level):
    return f'neck.fpn_convs.{level}.conv'


def both(
        at, student_connector=None, names=('preds_S', 'preds_T'), teacher=None, **more):
    sides = {
        names[0]: dict(of='student', at=at, **more),
        names[1]: dict(of='teacher', at=at, **more)}
    for name, connector in zip(names, (student_connector, teacher)):
        if connector:
            sides[name]['connector'] = connector
    return sides


CWD = dict(
    loss_cwd=dict(
        loss=dict(type='ChannelWiseDivergence', tau=1, loss_weight=5),
        **both('decode_head.conv_seg')))

PKD = {
    f'loss_pkd_fpn{i}': dict(
        loss=dict(type='PKDLoss', loss_weight=10), **both('neck', item=i))
    for i in range(4)}

MGD = {
    f'loss_mgd_fpn{i}': dict(
        loss=dict(type='MGDLoss', alpha_mgd=2e-5),
        **both(
            fpn(i),
            dict(
                type='MGDConnector', student_channels=256, teacher_channels=256,
                lambda_mgd=0.65)))
    for i in range(5)}


def fbkd_connector(side, level):
    large = dict(maxpool_stride=(8, 4)[level], reduction=4) if level < 2 else {}
    return dict(
        type=f'FBKD{side}Connector', in_channels=256, mode='dot_product',
        sub_sample=True, **large)


FBKD = {
    f'loss_s{i}': dict(
        loss=dict(type='FBKDLoss'),
        **both(
            fpn(i), fbkd_connector('Student', i), ('s_input', 't_input'),
            fbkd_connector('Teacher', i)))
    for i in range(4)}

CASES = {
    'cwd': (
        'mmseg/cwd/cwd_logits_pspnet_r101-d8_pspnet_r18-d8_4xb2-80k_cityscapes-'
        '512x1024.py', CWD),
    'pkd': ('mmdet/pkd/pkd_fpn_retina_x101_retina_r50_2x_coco.py', PKD),
    'mgd': ('mmdet/mgd/mgd_fpn_retina_x101_retina_r50_2x_coco.py', MGD),
    'fbkd': ('mmdet/fbkd/fbkd_fpn_faster-rcnn_r101_faster-rcnn_r50_1x_coco.py', FBKD)}


def meaning(links, connectors):
    """What links say, without the names that only join dicts."""
    out = {}
    for link in links:
        taps = {
            key: (
                tap.of, tap.source, tap.call, tap.item, connectors.get(tap.connector),
                tap.connector_item)
            for key, tap in link.taps.items()}
        out[link.name] = (link.loss, taps)
    return out


@pytest.mark.parametrize('name', CASES)
def test_links_mean_what_the_shipped_config_means(name):
    relative, ours = CASES[name]
    links, connectors, problems = parse_links(ours)
    theirs, their_connectors, their_problems = links_from_mmrazor(**shipped(relative))
    assert not problems + their_problems
    assert meaning(links, connectors) == meaning(theirs, their_connectors)


@pytest.mark.parametrize('name', CASES)
def test_links_compile_to_a_distiller_that_mmrazor_builds(name):
    from mmrazor.models.distillers import ConfigurableDistiller

    from mmkd_ext.registry import MODELS

    links, connectors, _ = parse_links(CASES[name][1])
    with MODELS.switch_scope_and_registry('mmrazor'):
        distiller = ConfigurableDistiller(**links_to_mmrazor(links, connectors))
    assert set(distiller.distill_losses) == set(CASES[name][1])
    assert len(distiller.connectors) == len(connectors)


def test_a_shipped_config_runs_with_only_the_type_changed(monkeypatch):
    """MMRazor's PKD on RetinaNet: same keys, `FpnTeacherDistill` -> ours."""
    import mmrazor
    import torch
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    from mmkd_ext.algorithms.dry_run import blank_batch
    from mmkd_ext.registry import MODELS

    root = os.path.join(os.path.dirname(mmrazor.__file__), '.mim', 'configs', 'distill')
    config = Config.fromfile(
        os.path.join(
            root, 'mmdet/pkd/pkd_fpn_faster-rcnn_r101_faster-rcnn_r50_2x_coco.py'))
    config.model.type = 'mmkd_ext.TeacherDistill'
    config.model.architecture.pretrained = False  # no internet in this test
    init_default_scope('mmdet')
    algorithm = MODELS.build(config.model).train()
    assert algorithm.teachers['teacher'].checkpoint.startswith('https://')
    algorithm.teachers['teacher'].is_ready = True  # its weights are on the internet
    batch = blank_batch(algorithm.architecture)
    batch['inputs'] = torch.rand(1, 3, 128, 128)
    losses = algorithm(**batch, mode='loss')
    distill = {key: value for key, value in losses.items() if 'pkd' in key}
    assert len(distill) == 4
    sum(distill.values()).backward()
    assert algorithm.student.backbone.conv1.weight.grad is None  # frozen by the config
    assert algorithm.student.neck.fpn_convs[0].conv.weight.grad.abs().sum() > 0
