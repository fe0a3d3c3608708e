"""Detection configs have the settings of the authors' own scripts.

Each value is read off the built config, not off its text, so a base that changes it is
seen. Figures of the zoo are those of mmdet's installed metafiles.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest
from mmengine.config import Config

from mmkd_ext.algorithms.sources import model_config
from mmkd_ext.distillers.schedules import build_schedule

pytestmark = pytest.mark.mmdet

CONFIGS = Path(__file__).parents[2] / 'configs'
DETECTION = CONFIGS / 'distill' / 'mmdet'
CASCADES = [
    'fgd/fgd-fpn_cascade-mask-rcnn-x101-dcn_faster-rcnn-r50',
    'fgd/fgd-fpn_cascade-mask-rcnn-x101-dcn_mask-rcnn-r50',
    'mgd/mgd-fpn_cascade-mask-rcnn-x101-dcn_faster-rcnn-r50',
    'mgd/mgd-fpn_cascade-mask-rcnn-x101-dcn_mask-rcnn-r50']


def path_of(start):
    """The config whose path begins so."""
    (path,) = DETECTION.glob(f'{start}*.py')
    return path


@functools.cache
def read(start):
    return Config.fromfile(path_of(start))


def links(start):
    return read(start).model.distiller.links


def teacher(start):
    return model_config(read(start).model.teacher, 'model.teacher')


def student(start):
    return model_config(read(start).model.architecture, 'model.architecture')


def expected(start):
    """What the header of a config says is published."""
    text = path_of(start).read_text(encoding='utf-8')
    return ' '.join(re.search(r'Expected: (.*?)\nStatus', text, re.S)[1].split())


# ---- LD -----------------------------------------------------------------------------


def test_the_vlr_behind_the_published_figure_measures_as_its_authors_do():
    region = links('ld/ld-full')['loss_ld_vlr'].region
    assert region.connector == dict(
        type='mmkd_ext.LDValuableRegion', published_diou=True)
    assert '42.1' in expected('ld/ld-full')


def test_the_imitation_behind_the_published_figure_drops_levels_without_a_positive():
    link = links('ld/ld-gibox')['loss_im']
    assert link.positives.connector.type == 'mmkd_ext.LDMainRegion'
    assert link.loss.loss_weight == 2
    assert '41.5' in expected('ld/ld-gibox')


# ---- teachers and students ----------------------------------------------------------


@pytest.mark.parametrize('start', CASCADES)
def test_the_cascade_has_deformable_convolutions_and_gives_no_weights(start):
    model = teacher(start)
    assert (model.type, model.backbone.type) == ('CascadeRCNN', 'ResNeXt')
    assert model.roi_head.mask_head is not None
    assert (model.backbone.groups, model.backbone.base_width) == (32, 4)
    assert model.backbone.stage_with_dcn == (False, True, True, True)  # c3 to c5
    assert not read(start).model.get('inherit')


@pytest.mark.parametrize(('start', 'figures'), [
    (CASCADES[0], ['42.0']),
    (CASCADES[1], ['42.1', '37.8']),
    (CASCADES[2], ['42.1']),
    (CASCADES[3], ['38.1'])])
def test_the_figures_stand_at_the_configs_of_that_teacher(start, figures):
    assert all(figure in expected(start) for figure in figures)


def test_the_cascade_of_dist_is_the_one_of_its_source():
    start = 'dist/dist-roi_cascade-mask-rcnn-x101'
    assert (teacher(start).backbone.groups, '45.6' in expected(start)) == (64, True)
    link = links(start)['loss_dist']
    assert link.preds_T.connector == dict(type='mmkd_ext.RoIClassify', stage=0)


def test_the_fcos_student_of_fgd_is_that_of_the_authors():
    model = student('fgd/fgd-fpn_fcos')
    head = model.bbox_head
    assert (head.center_sampling, head.norm_on_bbox) == (True, True)
    assert head.loss_bbox.type == 'GIoULoss'
    assert model.test_cfg.nms == dict(type='nms', iou_threshold=0.6)
    assert links('fgd/fgd-fpn_fcos')['loss_fgd'].loss.tau == 0.8


def test_the_retinanet_teacher_of_mgd_is_trained_three_times_as_long():
    start = 'mgd/mgd-fpn_retinanet'
    source = read(start).model.teacher.cfg_path
    assert source == 'mmdet::retinanet/retinanet_x101-64x4d_fpn_ms-640-800-3x_coco.py'
    assert read(start).model.inherit == ['neck', 'bbox_head']


@pytest.mark.parametrize('start', ['cwd/cwd-cls', 'cwd/cwd-fpn', 'ld/ld-main'])
def test_a_gfl_with_a_resnext_teaches_the_smallest_student(start):
    start += '_gfl-x101_gfl-r18'
    model = teacher(start).backbone
    assert (model.type, model.depth, model.groups, model.base_width) == (
        'ResNeXt', 101, 32, 4)
    assert student(start).backbone.depth == 18
    assert 'no published figure for this pair' in expected(start)
    # but for the teacher it is the config of R101
    other = links(start.replace('x101', 'r101'))
    assert links(start) == other


def test_each_teacher_has_the_checkpoint_that_mmdet_publishes_for_its_config():
    import mmdet

    installed = Path(mmdet.__file__).parent / '.mim' / 'configs'
    # reading all of it as YAML would take seconds
    entry = r'(?ms)Config: configs/(\S+)$(?:(?!- Name).)*?Weights: (\S+)$'
    named = {}
    for path in (CONFIGS / '_base_' / 'pairs' / 'mmdet').glob('*.py'):
        model = Config.fromfile(path).model
        if 'cfg_path' in model.teacher:
            named[model.teacher.cfg_path.split('::')[1]] = model.teacher_ckpt
    weights = {}
    for folder in {source.split('/')[0] for source in named}:
        text = (installed / folder / 'metafile.yml').read_text()
        weights.update(re.findall(entry, text))
    assert len(named) >= 12
    assert named == {source: weights[source] for source in named}


# ---- steps and lengths --------------------------------------------------------------


@pytest.mark.parametrize(('start', 'norm'), [
    ('fgfi/fgfi-fpn_retinanet', 10),
    ('fgfi/fgfi-fpn_faster-rcnn', 10),
    ('defeat/defeat-fpn_retinanet', 35),
    ('defeat/defeat_faster-rcnn', 35),
    ('fgd/fgd-fpn_fcos', 35),
    *((start, 35) for start in CASCADES)])
def test_gradients_are_clipped_as_in_the_authors_scripts(start, norm):
    clip = read(start).optim_wrapper.clip_grad
    assert clip == dict(max_norm=norm, norm_type=2)


@pytest.mark.parametrize('start', ['fgfi/fgfi-fpn_retinanet', 'fgfi/fgfi-fpn_faster'])
def test_fgfi_starts_near_zero_and_after_400_iterations(start):
    link = links(start)['loss_fgfi']
    assert link.loss == dict(
        type='mmkd_ext.FGFILoss', loss_weight=0.01, threshold=0.5)
    adapter = link.preds_S.connector.connector
    assert (adapter.kernel_size, adapter.act, adapter.init_std) == (3, True, 1e-4)
    schedule = build_schedule(link.schedule)
    weights = [schedule.factor(iteration, 0) for iteration in (0, 399, 400, 10**6)]
    assert weights == [0, 0, 1, 1]


@pytest.mark.parametrize(
    'start',
    [
        'reviewkd/reviewkd-fpn_faster-rcnn-r101',
        'reviewkd/reviewkd-fpn_faster-rcnn-x101', 'reviewkd/reviewkd-fpn_retinanet',
        'dkd/dkd-roi+reviewkd'])
def test_reviewkd_sees_short_sides_from_640_to_800_and_has_no_warm_up(start):
    config = read(start)
    (resize,) = (
        step
        for step in config.train_dataloader.dataset.pipeline
        if 'Resize' in step.type)
    assert resize == dict(
        type='RandomResize', scale=[(1333, 640), (1333, 800)], keep_ratio=True)
    assert 'schedule' not in config.model.distiller.links['loss_reviewkd']
    assert config.train_cfg.max_epochs == 12


def test_a_row_of_dist_on_a_dense_head_is_a_position_with_the_scores_of_all_priors():
    start = 'dist/dist-dense'
    link = links(start)['loss_dist']
    for tap in (link.preds_S, link.preds_T):
        assert (tap.at, 'connector' in tap) == ('bbox_head.retina_cls', False)
    head = student(start).bbox_head
    scales, ratios = head.anchor_generator.scales_per_octave, 3
    assert head.num_classes * scales * ratios == 720
    assert '39.8' in expected(start)


def test_the_warm_up_in_the_docs_of_dkd_counts_epochs_from_one():
    text = (DETECTION / 'dkd' / 'README.md').read_text(encoding='utf-8')
    (schedule,) = re.findall(r'`schedule=(dict\([^`]*\))`', text)
    weights = [build_schedule(eval(schedule)).factor(0, epoch) for epoch in range(3)]
    assert weights == pytest.approx([0.05, 0.10, 0.15])
