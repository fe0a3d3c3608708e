"""The check on real models, and what the shipped pairs of mmseg name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mmengine.config import Config

from mmkd_ext.config.check import check_config, list_taps

pytestmark = pytest.mark.mmseg

CONFIGS = Path(__file__).parents[2] / 'configs'
LOGITS = 'decode_head.conv_seg'
AUXILIARY = 'auxiliary_head.conv_seg'
BATCH = {'of': 'batch', 'at': 'data_samples'}


def pspnet(width, classes=19):
    """A PSPNet of mmseg, `width` channels wide at its start."""
    norm = {'type': 'BN', 'requires_grad': True}
    head = {
        'num_classes': classes,
        'norm_cfg': norm,
        'align_corners': False,
        'channels': width,
    }
    return {
        'type': 'mmseg.EncoderDecoder',
        'data_preprocessor': {'type': 'mmseg.SegDataPreProcessor'},
        'backbone': {
            'type': 'mmseg.ResNetV1c', 'depth': 18, 'num_stages': 4, 'norm_cfg': norm,
            'base_channels': width, 'stem_channels': width,
            'dilations': (1, 1, 2, 4), 'strides': (1, 2, 1, 1)},
        'decode_head': {'type': 'mmseg.PSPHead', 'in_channels': 8 * width,
                        'in_index': 3, 'pool_scales': (1, 2, 3, 6), **head},
        'auxiliary_head': {'type': 'mmseg.FCNHead', 'in_channels': 4 * width,
                           'in_index': 2, 'num_convs': 1, **head},
        'test_cfg': {'mode': 'whole'},
    }  # fmt: skip


def side(of, at, **more):
    return {'of': of, 'at': at, **more}


def pair(scope, student, teacher, **losses):
    """A distillation; a loss is `(type, arguments, at)` and maybe more taps."""
    links = {
        name: {
            'loss': {'type': f'mmkd_ext.{loss}', **arguments},
            'preds_S': side('student', at),
            'preds_T': side('teacher', at),
            **(more[0] if more else {}),
        }
        for name, (loss, arguments, at, *more) in losses.items()
    }
    model = {
        'type': 'mmkd_ext.TeacherDistill',
        'architecture': student,
        'teacher': teacher,
        'distiller': {'type': 'mmkd_ext.LinkDistiller', 'links': links},
    }
    return Config({'default_scope': scope, 'model': model})


def config(**student):
    model = pspnet(8)
    for key, value in student.items():
        part, name = key.split('__')
        model[part][name] = value
    return pair(
        'mmseg', model, pspnet(16),
        loss_cwd=('CWDLoss', {'tau': 4.0}, LOGITS),
        loss_feat=('FitNetsLoss', {}, 'backbone.layer4'),
    )  # fmt: skip


def test_a_pair_of_mmseg_is_reported_in_full():
    report = check_config(config())
    assert report.ok
    logits, features = report.links
    # 128 pixels at stride 8
    assert [tap.shape for tap in logits.taps] == ['2x19x16x16'] * 2
    assert [tap.shape for tap in features.taps] == ['2x64x16x16', '2x128x16x16']
    assert features.alignment == '1x1 conv 64->128'
    assert {term.name for term in report.terms} == {
        'student.decode.loss_ce',
        'student.aux.loss_ce',
        'distill.loss_cwd',
        'distill.loss_feat',
    }
    assert all(term.gradient > 0 for term in report.terms)


def test_mistakes_deep_in_a_model_of_mmseg_are_named_together():
    wrong = config(
        backbone__dephts=18, decode_head__chanels=3, auxiliary_head__type='FCNHed'
    )
    words = {'backbone.dephts': 'depth', 'decode_head.chanels': 'channels',
             'auxiliary_head.type': 'FCNHead'}
    found = [(p.path, p.hint.split('`')[1]) for p in check_config(wrong).problems]
    assert found == [(f'model.architecture.{key}', words[key]) for key in words]


def test_lists_the_taps_of_a_head_whose_call_is_bypassed():
    taps = {tap.name: tap for tap in list_taps(config(), 'student')}
    assert taps[LOGITS].output == 'Tensor(1, 19, 16, 16)'
    assert taps['auxiliary_head.conv_seg'].mode == 'loss'


@pytest.mark.mmdet
def test_a_detector_starts_as_it_would_in_training():
    detector = {
        'type': 'mmdet.RetinaNet',
        'data_preprocessor': {'type': 'mmdet.DetDataPreprocessor'},
        'backbone': {
            'type': 'mmdet.ResNet', 'depth': 18, 'base_channels': 8,
            'init_cfg': {'type': 'Pretrained', 'checkpoint': 'torchvision://resnet18'}},
        'neck': {
            'type': 'mmdet.FPN', 'in_channels': [8, 16, 32, 64], 'out_channels': 16,
            'start_level': 1, 'add_extra_convs': 'on_input', 'num_outs': 5},
        'bbox_head': {
            'type': 'mmdet.RetinaHead', 'num_classes': 80, 'in_channels': 16,
            'stacked_convs': 1, 'feat_channels': 16,
            'anchor_generator': {
                'type': 'AnchorGenerator', 'octave_base_scale': 4,
                'scales_per_octave': 3, 'ratios': [0.5, 1.0, 2.0],
                'strides': [8, 16, 32, 64, 128]},
            'bbox_coder': {'type': 'DeltaXYWHBBoxCoder'},
            'loss_cls': {'type': 'FocalLoss', 'use_sigmoid': True}},
        'train_cfg': {
            'assigner': {'type': 'MaxIoUAssigner', 'pos_iou_thr': 0.5,
                         'neg_iou_thr': 0.4, 'min_pos_iou': 0},
            'sampler': {'type': 'PseudoSampler'},
            'allowed_border': -1, 'pos_weight': -1, 'debug': False},
        'test_cfg': {'nms_pre': 10, 'score_thr': 0.05, 'max_per_img': 10,
                     'nms': {'type': 'nms', 'iou_threshold': 0.5}},
    }  # fmt: skip
    fitnets = ('FitNetsLoss', {}, 'neck')
    report = check_config(pair('mmdet', detector, detector, loss_fitnets=fitnets))
    assert report.ok
    terms = {term.name: term.value for term in report.terms}
    # at the prior 0.01 each of 2 x 3069 x 80 scores adds 7.5e-7, over 2 boxes at
    # least; without that prior the sum is in the hundreds
    assert terms['student.loss_cls'] < 10
    assert report.links[0].taps[0].shape == (
        '[2x16x16x16, 2x16x8x8, 2x16x4x4, 2x16x2x2, 2x16x1x1]'
    )


# ---- pairs of segmentors -------------------------------------------------------------


def segformer(width):
    """A SegFormer of mmseg, `width` channels wide in its first stage."""
    widths = [width, 2 * width, 4 * width, 8 * width]
    return {
        'type': 'mmseg.EncoderDecoder',
        'data_preprocessor': {'type': 'mmseg.SegDataPreProcessor'},
        'backbone': {'type': 'mmseg.MixVisionTransformer', 'embed_dims': width,
                     'num_layers': [1, 1, 1, 1], 'num_heads': [1, 2, 4, 8]},
        'decode_head': {
            'type': 'mmseg.SegformerHead', 'in_channels': widths, 'channels': 16,
            'in_index': [0, 1, 2, 3], 'num_classes': 19, 'align_corners': False,
            'norm_cfg': {'type': 'BN', 'requires_grad': True}},
        'test_cfg': {'mode': 'whole'},
    }  # fmt: skip


def checked(student, teacher, **losses):
    return check_config(pair('mmseg', student, teacher, **losses))


def at_stride_16():
    """A student whose last stages are half as large as the teacher's."""
    student = pspnet(8)
    student['backbone'].update(strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2))
    return student


def compared(report, *links):
    assert report.ok, report.problems
    gradients = {term.name: term.gradient for term in report.terms}
    assert all(gradients[f'distill.loss_{link}'] > 0 for link in links)


def test_methods_take_stages_and_heads_of_another_output_stride():
    generator = {'type': 'mmkd_ext.MGDConnector', 'in_channels': 64, 'channels': 128}
    fusion = {'type': 'mmkd_ext.ReviewKDFusion', 'levels': 4, 'mid_channels': 8,
              'in_channels': (8, 16, 32, 64), 'channels': (16, 32, 64, 128)}
    stage = {'at': 'backbone', 'item': 3}
    report = checked(
        at_stride_16(), pspnet(16),
        loss_mgd=('MGDLoss', {'loss_weight': 0.01}, '', {
            'preds_S': side('student', connector=generator, **stage),
            'preds_T': side('teacher', **stage)}),
        loss_reviewkd=('ReviewKDLoss', {}, 'backbone', {
            'preds_S': side('student', 'backbone', connector=fusion)}),
        loss_dist=('DISTLoss', {}, LOGITS),
        loss_dist_aux=('DISTLoss', {'loss_weight': 0.4}, AUXILIARY),
        loss_dkd=('DKDPixelLoss', {'beta': 0.25}, LOGITS, {'data_samples': BATCH}),
    )
    compared(report, 'mgd', 'reviewkd', 'dist', 'dist_aux', 'dkd')
    assert {link.alignment for link in report.links} == {'bilinear to the teacher'}


@pytest.mark.parametrize(('loss', 'more'), [
    ('CWDLoss', {}), ('KDLoss', {}), ('DISTLoss', {}),
    ('DKDPixelLoss', {'data_samples': BATCH})])
def test_every_response_method_refuses_other_classes(loss, more):
    report = checked(pspnet(8, 11), pspnet(8), loss_x=(loss, {}, LOGITS, more))
    (problem,) = report.problems
    assert problem.path == 'model.distiller.links.loss_x'
    assert 'differ in classes' in problem.found


def test_a_pair_of_segformers_is_compared_at_stages_and_logits():
    report = checked(
        segformer(8), segformer(16),
        loss_cwd=('CWDLoss', {'tau': 4.0}, LOGITS),
        loss_stages=('ATLoss', {}, 'backbone'),
        loss_fused=('FitNetsLoss', {}, 'decode_head.fusion_conv'),
    )
    compared(report, 'cwd', 'stages', 'fused')
    logits, stages, _ = report.links
    # 128 pixels at stride 4, and the four stages at 4, 8, 16, 32
    assert [tap.shape for tap in logits.taps] == ['2x19x32x32'] * 2
    assert stages.taps[1].shape == '[2x16x32x32, 2x32x16x16, 2x64x8x8, 2x128x4x4]'


# ---- what is shipped -----------------------------------------------------------------


def published():
    """Weights of each config of mmseg, as its installed metafiles name them."""
    import mmseg

    installed = Path(mmseg.__file__).parent / '.mim' / 'configs'
    texts = [
        (installed / method / 'metafile.yaml').read_text()
        for method in ('deeplabv3', 'pspnet', 'segformer')
    ]
    # reading all of it as YAML would take seconds
    entry = r'(?ms)Config: configs/(\S+)$(?:(?!- Name).)*?Weights: (\S+)$'
    return dict(re.findall(entry, '\n'.join(texts)))


def named_checkpoints(model):
    """Yields the config and the checkpoint of every teacher."""
    if model.get('teacher_ckpt'):
        yield model['teacher']['cfg_path'], model['teacher_ckpt']
    for teacher in (model.get('teachers') or {}).values():
        yield teacher['model']['cfg_path'], teacher['ckpt']


def test_each_teacher_has_the_checkpoint_that_mmseg_publishes_for_its_config():
    weights = published()
    paths = [
        *CONFIGS.glob('_base_/pairs/mmseg/*.py'),
        *CONFIGS.glob('distill/mmseg/*/*.py'),
    ]
    named = {
        pair
        for path in paths
        if 'https://download' in path.read_text()
        for pair in named_checkpoints(Config.fromfile(path).model)
    }
    assert len(named) >= 5
    assert named == {(source, weights[source.split('::')[1]]) for source, _ in named}
