"""Classes and batches of segmentation: what would fail hours later, or be left out."""

from __future__ import annotations

import copy

import pytest
import torch
from mmengine.config import Config

from mmkd_ext.config.check import check_config

pytestmark = pytest.mark.mmseg

HEADS = {
    'FCNHead': {},
    'PSPHead': dict(pool_scales=(1, 2)),
    'ASPPHead': dict(dilations=(1, 2)),
}


def segmentor(head='FCNHead', classes=19, norm='BN'):
    norm = dict(type=norm, requires_grad=True)
    return dict(
        type='mmseg.EncoderDecoder',
        data_preprocessor=dict(type='mmseg.SegDataPreProcessor', size=(64, 64)),
        backbone=dict(type='mmseg.ResNetV1c', depth=18, stem_channels=4,
                      base_channels=4, num_stages=4, out_indices=(0, 1, 2, 3),
                      norm_cfg=norm),
        decode_head=dict(type=f'mmseg.{head}', in_channels=32, in_index=3, channels=4,
                         num_classes=classes, norm_cfg=norm, align_corners=False,
                         loss_decode=dict(type='mmseg.CrossEntropyLoss'),
                         **HEADS[head]),
        train_cfg={},
        test_cfg=dict(mode='whole'),
    )  # fmt: skip


def config(student, teacher=None, loss=None, at='decode_head.conv_seg', **more):
    loss = loss or dict(type='mmkd_ext.CWDLoss')
    link = dict(loss=loss, preds_S=dict(of='student', at=at),
                preds_T=dict(of='teacher', at=at))  # fmt: skip
    if 'num_classes' in loss:
        link['data_samples'] = dict(of='batch', at='data_samples')
    model = dict(
        type='mmkd_ext.TeacherDistill',
        architecture=student,
        teacher=teacher or segmentor(),
        distiller=dict(type='mmkd_ext.LinkDistiller', links=dict(loss_x=link)),
    )
    return Config(
        copy.deepcopy(dict(default_scope='mmseg', model=model, **training(more)))
    )


def training(more):
    """Adds loop and optimizer to data."""
    if 'train_dataloader' not in more:
        return more
    sgd = dict(type='SGD', lr=0.1)
    return dict(
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=9),
        optim_wrapper=dict(type='OptimWrapper', optimizer=sgd),
        **more,
    )


def loader(batch_size=2, **dataset):
    return dict(
        batch_size=batch_size,
        num_workers=0,
        sampler=dict(type='InfiniteSampler'),
        dataset=dict({'type': 'CityscapesDataset', 'pipeline': []}, **dataset),
    )


def found(cfg, kind='problems', **options):
    report = check_config(cfg, data=False, gradients=False, **options)
    return [str(one) for one in getattr(report, kind)]


def test_a_pair_that_fits_its_data_has_no_problem():
    cfg = config(segmentor(), train_dataloader=loader())
    assert found(cfg) == []


def test_logits_of_other_classes_are_a_problem_that_shows_both_numbers():
    problems = found(config(segmentor(classes=11)))
    assert len(problems) == 1
    for word in ('`model.distiller.links.loss_x`', '(1, 11, 4, 4)', '(1, 19, 4, 4)'):
        assert word in problems[0]
    warnings = found(config(segmentor(classes=11)), 'warnings')
    assert any('19 classes' in one and ' 11' in one for one in warnings)


def test_features_of_models_of_other_classes_may_be_compared():
    assert found(config(segmentor(classes=11), at='backbone.layer4')) == []


@pytest.mark.parametrize(('dataset', 'theirs'), [
    ({}, 19),
    ({'metainfo': {'classes': tuple('abcdefghijklm')}}, 13),
    ({'type': 'ADE20KDataset'}, 150),
    ({'type': 'RepeatDataset', 'times': 2, 'dataset': {'type': 'CityscapesDataset',
     'pipeline': []}}, 19),
])  # fmt: skip
def test_labels_beyond_the_heads_classes_are_a_problem_before_data_is_loaded(
    dataset, theirs
):
    pair = segmentor(classes=11), segmentor(classes=11)
    problems = found(config(*pair, train_dataloader=loader(**dataset)))
    (problem,) = [one for one in problems if 'num_classes`' in one]
    assert problem.startswith('`model.architecture.decode_head.num_classes`: is 11')
    assert f'num_classes={theirs}' in problem


def test_a_head_of_more_classes_than_the_data_is_a_warning():
    pair = segmentor(classes=21), segmentor(classes=21)
    cfg = config(*pair, train_dataloader=loader())
    assert found(cfg) == []
    assert 'is 21, but `train_dataloader.dataset` has 19' in str(found(cfg, 'warnings'))


def test_data_that_names_no_classes_passes():
    data = loader(type='BaseSegDataset', ann_file='')
    assert found(config(segmentor(), train_dataloader=data)) == []


@pytest.mark.parametrize(('count', 'kind'), [(11, 'problems'), (25, 'warnings')])
def test_losses_that_count_classes_otherwise_are_named(count, kind):
    loss = dict(type='mmkd_ext.IFVDLoss', num_classes=count)
    said = found(config(segmentor(), loss=loss, at='backbone.layer4'), kind)
    where = '`model.distiller.links.loss_x.loss.num_classes`'
    assert any(problem.startswith(f'{where}: is {count}') for problem in said)
    right = dict(loss, num_classes=19)
    said = found(config(segmentor(), loss=right, at='backbone.layer4'), kind)
    assert not any('num_classes' in one for one in said)


# ---- one image ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ('head', 'norm'),
    [('PSPHead', 'psp_modules.0.1.bn'), ('ASPPHead', 'image_pool.1.bn')],
)
def test_one_image_under_a_pooled_norm_is_a_problem_and_names_the_norm(head, norm):
    cfg = config(segmentor(head), train_dataloader=loader(1))
    problems = found(cfg)
    assert len(problems) == 1
    assert problems[0].startswith(
        f'`train_dataloader.batch_size`: is 1, but `decode_head.{norm}` of '
        '`model.architecture` normalises maps of one position'
    )
    assert 'Set 2 or more' in problems[0]
    # and that is what mmseg says, hours later on the data
    from mmkd_ext.algorithms.dry_run import blank_batch
    from mmkd_ext.algorithms.sources import build_model

    model = build_model(segmentor(head), 'x').train()
    with pytest.raises(ValueError, match='more than 1 value per channel'):
        model(**blank_batch(model), mode='loss')


@pytest.mark.parametrize(
    ('head', 'norm', 'samples', 'gpus'),
    [('PSPHead', 'BN', 2, 1), ('FCNHead', 'BN', 1, 1), ('PSPHead', 'SyncBN', 1, 4)],
)
def test_what_has_more_than_one_value_is_no_problem(head, norm, samples, gpus):
    cfg = config(segmentor(head, norm=norm), train_dataloader=loader(samples))
    assert not [one for one in found(cfg, gpus=gpus) if 'batch_size' in one]


@pytest.mark.parametrize('gpus', [1, 4])
def test_a_plain_segmentor_is_looked_at_too(gpus):
    model, data = segmentor('PSPHead', classes=11), dict(train_dataloader=loader(1))
    cfg = Config(dict(default_scope='mmseg', model=model, **training(data)))
    classes, batch = found(cfg, gpus=gpus)
    assert 'model.decode_head.num_classes' in classes
    assert 'batch_size' in batch


def test_the_model_stays_as_it_was():
    from mmkd_ext.algorithms.sources import build_model
    from mmkd_ext.config.classes import check_segmentor
    from mmkd_ext.config.context import Report, TrainingSummary

    model = build_model(segmentor('PSPHead'), 'x').eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    check_segmentor(model, 'x', Config({}), TrainingSummary(samples=1), Report())
    assert not any(module.training for module in model.modules())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not any(module._forward_pre_hooks for module in model.modules())
