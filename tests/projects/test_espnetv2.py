"""ESPNetv2: its arithmetic by hand, its size as published, and mmseg around it.

That it equals the authors' own network is shown by benchmarks/espnetv2_oracle.py, which
needs their weights.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from mmkd_ext import errors
from projects.espnetv2 import ESPNetv2, ESPNetv2Head, MergedClassIoUMetric
from projects.espnetv2.backbone import EESP, StridedUnit, channels_of, dilations
from projects.espnetv2.convert import converted, main
from projects.espnetv2.head import Pyramid, Skip
from projects.espnetv2.layers import BN

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'projects/espnetv2/configs'
pytestmark = pytest.mark.mmseg


def load(path):
    """Imports a file beside this one."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules.setdefault(path.stem, importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    return module


authors = load(Path(__file__).with_name('authors_espnetv2.py'))


def randomised(model):
    """Fills a model, batch norm included, so that nothing is an identity."""
    torch.manual_seed(0)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.2, 0.8)
    return model.eval()


# --- the network -------------------------------------------------------------------


@pytest.mark.parametrize(
    ('limit', 'expected'),
    [(13, [1, 2, 3, 4]), (9, [1, 2, 3, 4]), (7, [1, 1, 2, 3]), (5, [1, 1, 1, 2])])
def test_a_branch_that_would_see_too_far_sees_three_positions(limit, expected):
    assert dilations(limit) == expected


# the authors' files less the slopes that lie in them and are never applied
@pytest.mark.parametrize(('width', 'published', 'unused'), [
    (0.5, 80_342, 112),
    (1.0, 234_010, 224),
    (1.5, 468_362, 352),
    (2.0, 789_242, 480)])
def test_has_as_many_parameters_as_published(width, published, unused):
    parts = ESPNetv2(width), ESPNetv2Head(channels_of(width), num_classes=20)
    ours = sum(p.numel() for part in parts for p in part.parameters())
    assert ours == published - unused


def test_costs_the_published_multiply_adds():
    from mmengine.analysis import FlopAnalyzer

    model = nn.Sequential(ESPNetv2(0.5), ESPNetv2Head(channels_of(0.5), 20)).eval()
    counter = FlopAnalyzer(model, torch.zeros(1, 3, 128, 256))
    counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    # 598 million at 16 times the positions; the convolutions alone
    assert 16 * counter.by_operator()['conv'] == pytest.approx(598e6, rel=0.01)


def test_branches_are_summed_up_from_the_narrowest():
    unit = randomised(EESP(16, 16, limit=9, norm_cfg=BN))
    x = torch.rand(1, 16, 9, 9)
    p = unit.reduce(x)
    b = [branch(p) for branch in unit.branches]
    sums = [b[0], b[1] + b[0], b[2] + b[1] + b[0], b[3] + b[2] + b[1] + b[0]]
    expected = unit.expand(unit.merge(torch.cat(sums, 1)))
    torch.testing.assert_close(unit(x), expected)


def test_zeros_of_the_border_count_where_maps_are_halved():
    unit = StridedUnit(16, 32, limit=9, norm_cfg=BN)
    pooled = unit.pool(torch.ones(1, 1, 4, 4))
    torch.testing.assert_close(
        pooled[0, 0], torch.tensor([[4 / 9, 6 / 9], [6 / 9, 1.0]]))


def test_a_strided_unit_passes_the_pooled_input_first_and_adds_the_picture():
    unit = randomised(StridedUnit(16, 32, limit=9, norm_cfg=BN))
    x, image = torch.rand(1, 16, 8, 8), torch.rand(1, 3, 4, 4)
    nn.init.constant_(unit.act.weight, 1.0)  # the activation does nothing
    added = unit(x, image) - unit.image(image)
    torch.testing.assert_close(added[:, :16], unit.pool(x))
    torch.testing.assert_close(added[:, 16:], unit.eesp(x))


def test_each_channel_of_a_pyramid_sees_its_own_five_scales():
    pyramid = randomised(Pyramid(3, 10, BN))
    merged = {}
    pyramid.merge.register_forward_hook(
        lambda module, inputs, output: merged.update(out=output))
    out = pyramid(torch.rand(1, 3, 8, 8))
    (touched,) = torch.autograd.grad(out[:, 4].sum(), merged['out'])
    channels = touched.abs().sum((0, 2, 3)).nonzero().flatten()
    assert channels.tolist() == [4, 14, 24, 34, 44]


def test_a_gate_weighs_each_channel_by_the_mean_of_the_map():
    skip = randomised(Skip(2, 4, BN))
    x = torch.rand(1, 2, 6, 6)
    gate = torch.sigmoid(skip.gate.weight[:, :, 0, 0] @ x.mean((2, 3))[0])
    torch.testing.assert_close(skip(x), skip.expand(x) * gate.view(1, 4, 1, 1))


@pytest.mark.parametrize('size', [(64, 96), (65, 99), (33, 40)])
def test_takes_pictures_of_any_size(size):
    backbone, head = ESPNetv2(0.5), ESPNetv2Head(channels_of(0.5), num_classes=3)
    logits = head(backbone(torch.rand(2, 3, *size)))
    assert logits.shape == (2, 3, -(-size[0] // 2), -(-size[1] // 2))


# --- the converter -----------------------------------------------------------------


@pytest.fixture(scope='module')
def theirs():
    return authors.state_dict(0.5)


@pytest.mark.parametrize('width', authors.CHANNELS)
def test_every_tensor_of_the_authors_finds_its_place(width):
    theirs = authors.state_dict(width)
    assert len(theirs) == 526
    ours = converted(theirs, 'file')['state_dict']
    assert len(ours) == 526 - 3  # the unused slopes
    backbone, head = ESPNetv2(width), ESPNetv2Head(channels_of(width), 20)
    for name, part in (('backbone.', backbone), ('decode_head.', head)):
        found = {k[len(name) :]: v for k, v in ours.items() if k.startswith(name)}
        part.load_state_dict(found, strict=True)
    torch.testing.assert_close(
        backbone.level4.units[2].eesp.branches[3].weight,
        nn.Parameter(theirs['base_net.level4.2.spp_dw.3.conv.weight']))
    torch.testing.assert_close(
        head.expands[1].bn.running_var, theirs['bu_dec_l2.br.br.0.running_var'])
    torch.testing.assert_close(
        head.skips[0].gate.weight,
        nn.Parameter(theirs['merge_enc_dec_l2.wt_layer.1.weight']))
    torch.testing.assert_close(
        head.conv_seg.bias, nn.Parameter(theirs['bu_dec_l4.merge_layer.3.bias']))


def test_the_command_writes_what_a_config_loads_strictly(theirs, tmp_path, capsys):
    from mmseg.registry import MODELS

    torch.save(theirs, tmp_path / 'theirs.pth')
    target = tmp_path / 'new' / 'ours.pth'
    assert main([str(tmp_path / 'theirs.pth'), str(target)]) == 0
    assert 'width 0.5' in capsys.readouterr().out
    checkpoint = torch.load(target, weights_only=True)
    init_default_scope('mmseg')
    config = Config.fromfile(CONFIGS / 'espnetv2-w05_cityscapes-512x1024.py')
    MODELS.build(config.model).load_state_dict(checkpoint['state_dict'], strict=True)
    assert checkpoint['meta']['dataset_meta']['classes'][-2:] == (
        'bicycle', 'background')


def without(theirs, part):
    return {k: v for k, v in theirs.items() if part not in k}


@pytest.mark.parametrize(('change', 'told'), [
    (lambda _: {'conv1.weight': torch.zeros(3)}, 'holds no ESPNetv2 for segmentation'),
    (lambda theirs: without(theirs, 'level3.1.spp_dw.2'),
     r'level3\.units\.1\.eesp\.branches\.2\.weight'),
    (lambda theirs: {**theirs, 'base_net.level5.0.conv.weight': torch.zeros(3)},
     r'level5'),
    (lambda theirs: {**theirs, 'bu_br_l2.1.weight': torch.zeros(3)},
     r'decode_head\.joins\.0\.1\.weight'),
    (lambda theirs: {**theirs, 'base_net.level4_0.act.weight': torch.zeros(320)},
     '320 channels at stride 16')])
def test_another_file_is_refused_and_nothing_written(
        change, told, theirs, tmp_path, capsys):
    torch.save(change(theirs), tmp_path / 'theirs.pth')
    assert main([str(tmp_path / 'theirs.pth'), str(tmp_path / 'ours.pth')]) == 2
    assert not (tmp_path / 'ours.pth').exists()
    said = capsys.readouterr().err
    assert re.search(told, said)
    assert 'sacmehta/EdgeNets' in said


def test_a_file_that_would_run_code_is_refused(tmp_path, capsys):
    torch.save({'weights': Path('x')}, tmp_path / 'theirs.pth')
    assert main([str(tmp_path / 'theirs.pth'), str(tmp_path / 'ours.pth')]) == 2
    assert 'loading it would run code' in capsys.readouterr().err


# --- judging in other classes ------------------------------------------------------


def test_the_metric_counts_merged_classes_and_leaves_the_sample_alone():
    metric = MergedClassIoUMetric(class_map=[0, 0, 1])
    metric.dataset_meta = {'classes': ('near', 'far')}
    logits = torch.tensor([[0.3, 0.1], [0.3, 0.1], [0.4, 0.8]]).log().view(3, 1, 2)
    sample = {
        'seg_logits': {'data': logits},
        'pred_sem_seg': {'data': torch.tensor([[2, 2]])},
        'gt_sem_seg': {'data': torch.tensor([[0, 1]])}}
    with pytest.raises(errors.ConfigError, match='3 outputs, but the network has 4'):
        metric.process({}, [{'seg_logits': {'data': torch.zeros(4, 1, 1)}}])
    metric.process({}, [sample])
    assert metric.evaluate(size=1)['mIoU'] == 100.0
    assert sample['pred_sem_seg']['data'].tolist() == [[2, 2]]


# --- configs -----------------------------------------------------------------------


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*.py')), ids=lambda p: p.stem)
def test_a_config_says_what_it_is_for(path):
    config = Config.fromfile(path)
    header = path.read_text().split('"""')[1]
    assert all(f'\n{word}: ' in header for word in ('Command', 'Expected', 'Status'))
    assert config.custom_imports.imports == ['projects.espnetv2']


def test_a_segmentor_trains_and_predicts_at_the_size_of_the_picture():
    from mmengine.structures import PixelData
    from mmseg.registry import MODELS
    from mmseg.structures import SegDataSample

    init_default_scope('mmseg')
    config = Config.fromfile(CONFIGS / 'espnetv2-w05_cityscapes-to-camvid.py')
    model = MODELS.build(config.model)
    model.init_weights()
    sample = SegDataSample(
        gt_sem_seg=PixelData(data=torch.randint(0, 20, (1, 48, 64))),
        metainfo=dict(img_shape=(48, 64), ori_shape=(36, 48)))
    losses = model.loss(torch.rand(2, 3, 48, 64), [sample, sample])
    losses['decode.loss_ce'].backward()
    still = [n for n, p in model.named_parameters() if p.grad is None]
    assert not still
    (predicted,) = model.eval().predict(torch.rand(1, 3, 48, 64), [sample])
    assert predicted.pred_sem_seg.data.shape == (1, 36, 48)


def test_the_distilled_student_trains_as_the_student_alone():
    alone, teacher, distilled = (
        Config.fromfile(CONFIGS / f'{name}_camvid.py')
        for name in (
            'student_espnetv2-w05', 'teacher_espnetv2-w20',
            'cwd-logits_espnetv2-w20_espnetv2-w05'))
    assert distilled.model.architecture == alone.model
    assert distilled.model.teacher == teacher.model
    assert distilled.model.student_ckpt == alone.load_from
    for key in ('train_dataloader', 'optim_wrapper', 'param_scheduler', 'train_cfg'):
        assert distilled[key] == alone[key] == teacher[key]


def test_without_labels_none_is_read_and_the_classes_are_those_of_the_weights():
    name = 'cwd-logits_espnetv2-w20_espnetv2-w05_camvid-unlabelled.py'
    config = Config.fromfile(CONFIGS / name)
    steps = [step['type'] for step in config.train_dataloader.dataset.pipeline]
    assert 'LoadAnnotations' not in steps
    assert config.model.calculate_student_loss is False
    assert config.model.architecture.decode_head.num_classes == 20
    assert len(config.test_evaluator.class_map) == 20


def test_a_student_of_other_classes_learns_by_the_map_that_judges_the_teacher():
    from mmkd_ext.registry import MODELS

    name = 'kd-classmap_espnetv2-w20_fpn-r18-w8_camvid'
    config, unlabelled, judged = (
        Config.fromfile(CONFIGS / f'{file}.py')
        for file in (name, f'{name}-unlabelled', 'espnetv2-w20_cityscapes-to-camvid'))
    folded = MODELS.build(config.model.distiller.links.loss_kd.preds_T.connector)
    outputs = judged.test_evaluator.class_map
    assert folded.groups == [
        [k for k, merged in enumerate(outputs) if merged == c] for c in range(11)]
    assert config.model.teacher == judged.model
    assert unlabelled.model.calculate_student_loss is False
    assert unlabelled.model.distiller == config.model.distiller
    # the student is tested at the size at which it learned
    side = config.model.student_input['scale']
    assert [side * s for s in config.crop_size] == [160, 224]
    assert next(
        step['scale'] for step in config.test_dataloader.dataset.pipeline
        if step['type'] == 'Resize') == (240, 180)


STREAMS = sorted(CONFIGS.glob('*_camvid-stream.py'))


@pytest.mark.parametrize('path', STREAMS, ids=lambda path: path.stem)
def test_a_stream_is_predicted_in_the_classes_of_the_data(path):
    from mmengine.optim import OptimWrapper
    from mmseg.structures import SegDataSample

    from mmkd_ext.registry import MODELS

    init_default_scope('mmseg')
    config = Config.fromfile(path)
    config.model.architecture = config.espnetv2.w05
    model = MODELS.build(config.model)
    model.start(0)
    optimizer = None
    if model.distiller.trains:
        rate = config.test_cfg.optim_wrapper.optimizer.lr
        weights = [*model.distiller.trained().values()]
        optimizer = OptimWrapper(torch.optim.Adam(weights, lr=rate))
    sample = SegDataSample(metainfo=dict(ori_shape=(36, 48), img_shape=(32, 64)))
    picture = torch.randint(0, 256, (3, 32, 64), dtype=torch.uint8)
    found = model.adapt_step(
        dict(inputs=[picture], data_samples=[sample]), optimizer, domain='day'
    ).data_samples[0]
    assert found.seg_logits.data.shape == (11, 36, 48)
    assert model.num_classes == 11
    names = [domain.name for domain in config.test_cfg.domains]
    assert names == ['day', 'dusk', 'fog', 'night', 'rain', 'snow']
