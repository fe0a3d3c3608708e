"""Segmentation configs have the settings of their authors' scripts."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from mmengine.config import Config

SHIPPED = Path(__file__).parents[2] / 'configs/distill/mmseg'

pytestmark = pytest.mark.mmseg


@functools.lru_cache
def read(name):
    """Reads the one config whose path in `configs/distill/mmseg` begins so."""
    (path,) = SHIPPED.glob(f'{name}*.py')
    return Config.fromfile(path)


def links(name):
    return read(name).model.distiller.links


def losses(name):
    """Each link's type and weight."""
    return {
        key: (link.loss.type.split('.')[-1], link.loss.get('loss_weight', 1.0))
        for key, link in links(name).items()}


def images(name):
    """GPUs and images on each, as the name says and the loader has them."""
    batch = Path(read(name).filename).stem.split('_')[3].split('-')[0]
    gpus, samples = batch.split('xb')
    assert read(name).train_dataloader.batch_size == int(samples)
    return int(gpus), int(samples)


def schedule(name):
    """Optimizer, learning rate, decay, iterations, power and end of the poly."""
    config = read(name)
    optimizer, (poly, *_) = config.optim_wrapper.optimizer, config.param_scheduler
    assert poly.type == 'PolyLR'
    assert poly.end == config.train_cfg.max_iters
    return (optimizer.type, optimizer.lr, optimizer.weight_decay, poly.end, poly.power,
            poly.eta_min)


# ---- CIRKD --------------------------------------------------------------------------

FIRST = 'cirkd/cirkd_deeplabv3-r101_deeplabv3-r18'
CNNS = [f'{FIRST}_4xb4-40k_city', f'{FIRST}_4xb4-40k_voc', f'{FIRST}_4xb4-40k_ade',
        'cirkd/cirkd_deeplabv3-r101_deeplabv3-mnv2_4xb4',
        'cirkd/cirkd_deeplabv3-r101_pspnet-r18_4xb4']
SEGFORMER = 'cirkd/cirkd_segformer'
SECOND = 'cirkd/cirkd-v2_deeplabv3-r101_deeplabv3-r18'


@pytest.mark.parametrize(('name', 'pool'), [
    *((name, 1) for name in [*CNNS, SECOND]), (SEGFORMER, 2)])
def test_cirkd_pools_for_segformer_alone(name, pool):
    assert links(name).loss_batch.loss.get('pool', 1) == pool


@pytest.mark.parametrize('name', CNNS)
def test_cirkd_trains_cnns_with_sixteen_images_and_40k_iterations(name):
    assert images(name) == (4, 4)
    assert schedule(name) == ('SGD', 0.02, 1e-4, 40000, 0.9, 0.0)


@pytest.mark.parametrize('narrow', [
    *CNNS[:3], *(f'{name}-40k_city' for name in CNNS[3:])])
def test_cirkds_relations_are_within_two_images_as_there(narrow):
    wide = narrow.replace('4xb4', '8xb2')
    assert images(wide) == (8, 2)
    for key in ('model', 'optim_wrapper', 'param_scheduler', 'train_cfg'):
        assert read(wide)[key] == read(narrow)[key]


@pytest.mark.parametrize(('name', 'memory', 'size'), [
    (CNNS[0], 0.1, 20000), (CNNS[1], 0.01, 20000), (CNNS[2], 0.1, 2000),
    (SEGFORMER, 0.1, 2000), (SECOND, 0.1, 20000)])
def test_cirkds_memories_weigh_what_they_do_there(name, memory, size):
    found = links(name)
    assert found.loss_pixel.loss.loss_weight == memory
    assert found.loss_region.loss.loss_weight == memory
    assert found.loss_pixel.loss['size'] == size


def test_cirkd_trains_segformer_at_1024_with_adamw():
    assert images(SEGFORMER) == (8, 1)
    assert schedule(SEGFORMER) == ('AdamW', 2e-4, 1e-4, 160000, 0.9, 0.0)
    config = read(SEGFORMER)
    assert 'paramwise_cfg' not in config.optim_wrapper
    (crop,) = (step.crop_size for step in config.train_dataloader.dataset.pipeline
               if step.type == 'RandomCrop')
    assert tuple(crop) == (1024, 1024)


def test_the_second_version_of_cirkd_is_as_its_scripts():
    assert images(SECOND) == (8, 1)
    assert schedule(SECOND) == ('SGD', 0.01, 1e-4, 80000, 0.9, 0.0)
    assert losses(SECOND) == dict(
        loss_kd=('KDLoss', 1.0),
        loss_batch=('CIRKDMiniBatchLoss', 1.0),
        loss_pixel=('CIRKDPixelMemoryLoss', 0.1),
        loss_region=('CIRKDRegionMemoryLoss', 0.1),
        loss_fitnets=('FitNetsLoss', 1.0),
        loss_channel=('CIRKDChannelLoss', 1.0),
        loss_channel_memory=('CIRKDChannelMemoryLoss', 0.1),
        loss_channel_error=('CIRKDChannelErrorLoss', 100.0))
    memory = links(SECOND).loss_channel_memory.loss
    # crops of 512 x 1024, stride 8, windows of 4
    assert tuple(memory.map_size) == (16, 32)
    assert (memory['size'], memory.samples, memory.new_keys) == (10000, 2048, 256)


def test_the_second_version_compares_the_refined_feature_in_all_terms():
    found = links(SECOND)
    items = {key: link.preds_S.connector_item for key, link in found.items()
             if key != 'loss_kd'}
    assert items == dict(loss_batch=0, loss_fitnets=1, loss_pixel=2, loss_region=2,
                         loss_channel=3, loss_channel_memory=3, loss_channel_error=3)
    for key in items:
        assert found[key].preds_S.connector == 'heads'
        pooled = found[key].preds_T.get('connector') == 'pool'
        assert pooled == ('channel' in key)
    connectors = read(SECOND).model.distiller.connectors
    assert connectors.heads.window == connectors.pool.window == 4


# ---- what CIRKD compares ------------------------------------------------------------

COMPARED = {
    'cwd/cwd-logits+feat_deeplabv3': dict(
        loss_cwd=('CWDLoss', 3.0), loss_cwd_feat=('CWDLoss', 50.0),
        loss_kd=('KDLoss', 1.0), loss_adversary=('SKDSHolisticLoss', 0.001)),
    'cwd/cwd-logits_deeplabv3-r101_deeplabv3-r18_': dict(
        loss_cwd=('CWDLoss', 3.0), loss_kd=('KDLoss', 1.0),
        loss_adversary=('SKDSHolisticLoss', 0.001)),
    'cwd/cwd-feat_deeplabv3': dict(
        loss_cwd=('CWDLoss', 50.0), loss_kd=('KDLoss', 1.0),
        loss_adversary=('SKDSHolisticLoss', 0.001)),
    'ifvd/ifvd_deeplabv3': dict(
        loss_ifvd=('IFVDLoss', 20.0), loss_kd=('KDLoss', 1.0),
        loss_adversary=('SKDSHolisticLoss', 0.001)),
    'at/at-feat_deeplabv3': dict(
        loss_at=('ATLoss', 1e4), loss_kd=('KDLoss', 1.0)),
    'fitnets/fitnets-feat_deeplabv3': dict(
        loss_fitnets=('FitNetsLoss', 10.0), loss_kd=('KDLoss', 1.0))}


@pytest.mark.parametrize('name', COMPARED)
def test_beside_what_cirkd_compares_stands_what_it_has_beside_it(name):
    assert losses(name) == COMPARED[name]
    assert links(name).loss_kd.loss.tau == 1.0
    assert schedule(name) == ('SGD', 0.02, 1e-4, 40000, 0.9, 0.0)
    if 'loss_adversary' in COMPARED[name]:
        loss = links(name).loss_adversary.loss
        assert loss.discriminator_weight == 0.1
        assert not loss.get('conditional', False)
        assert loss.get('mode', 'hinge') == 'hinge'
        wrapper = read(name).optim_wrapper
        assert wrapper.constructor == 'mmkd_ext.AdversarialOptimWrapperConstructor'
        assert wrapper.discriminator.optimizer == dict(
            type='Adam', lr=4e-4, betas=(0.9, 0.99))


@pytest.mark.parametrize('name', [
    'cwd/cwd-logits+feat_deeplabv3', 'cwd/cwd-feat_deeplabv3',
    'cwd/cwd-feat_pspnet', 'cwd/cwd-logits+feat_pspnet',
    'cwd/cwd-logits_pspnet-r101_pspnet-r18_4xb2-40k'])
def test_cwd_has_a_temperature_of_four_on_every_tap(name):
    found = [link.loss.tau for link in links(name).values()
             if link.loss.type == 'mmkd_ext.CWDLoss']
    assert set(found) == {4.0}


@pytest.mark.parametrize(('name', 'link'), [
    ('cwd/cwd-logits+feat_deeplabv3', 'loss_cwd_feat'),
    ('cwd/cwd-feat_deeplabv3', 'loss_cwd'),
    ('fitnets/fitnets-feat_deeplabv3', 'loss_fitnets')])
def test_cirkd_maps_the_heads_feature_without_a_bias(name, link):
    side = links(name)[link].preds_S
    assert side.at == 'decode_head.bottleneck'
    assert side.connector.bias is False


# ---- SKDS, IFVD, CWD, MGD, DIST -----------------------------------------------------

PSPNETS = ['skds/skds_', 'skds/skds-holistic', 'ifvd/ifvd_pspnet',
           'cwd/cwd-logits_pspnet-r101_pspnet-r18_4xb2-40k']


@pytest.mark.parametrize('name', PSPNETS)
def test_pspnets_learning_rate_ends_at_zero(name):
    assert images(name) == (4, 2)
    assert schedule(name) == ('SGD', 0.01, 5e-4, 40000, 0.9, 0.0)


@pytest.mark.parametrize('name', PSPNETS[:2])
def test_the_pixel_term_of_skds_is_a_sum_over_the_eight_images(name):
    gpus, samples = images(name)
    assert links(name).loss_pixel.loss.loss_weight == 10 * gpus * samples == 80
    assert links(name).loss_pair.loss.loss_weight == 0.5
    assert links(name).loss_pair.loss.scale == 0.5


def test_the_discriminator_of_skds_is_trained_as_by_its_authors():
    name = PSPNETS[1]
    loss = links(name).loss_holistic.loss
    assert (loss.loss_weight, loss.discriminator_weight) == (0.1, 0.1)
    assert not loss.get('conditional', False)
    assert read(name).optim_wrapper.discriminator.optimizer == dict(
        type='SGD', lr=4e-4, momentum=0.9, weight_decay=5e-4)
    student, theirs = map(dict, read(name).param_scheduler)
    assert theirs.pop('type') == 'mmkd_ext.DiscriminatorScheduler'
    assert theirs.pop('scheduler') == student.pop('type') == 'PolyLR'
    assert theirs == student


def test_ifvds_kd_is_a_mean_over_classes_too():
    # weight 10 of a mean over pixels and 19 classes
    assert links('ifvd/ifvd_pspnet').loss_pixel.loss.loss_weight == 10 / 19
    assert links('ifvd/ifvd_pspnet').loss_ifvd.loss.loss_weight == 200


@pytest.mark.parametrize('name', ['mgd/mgd-backbone_pspnet-r101_deeplabv3',
                                  'mgd/mgd-backbone_pspnet-r101_pspnet'])
def test_the_teacher_of_mgd_is_that_of_40k_iterations(name):
    model = read(name).model
    assert model.teacher.cfg_path.endswith('r101-d8_4xb2-40k_cityscapes-512x1024.py')
    assert model.teacher_ckpt.endswith('_512x1024_40k_cityscapes_20200604_232751-'
                                       '467e7cf4.pth')
    assert schedule(name) == ('SGD', 0.01, 5e-4, 40000, 0.9, 1e-4)


@pytest.mark.parametrize(('name', 'where'), [
    ('dist/dist-logits_', (4, 4)),
    ('dist/dist-logits+aux_deeplabv3-r101_deeplabv3-r18_4xb4', (4, 4)),
    ('dist/dist-logits+aux_deeplabv3-r101_deeplabv3-r18_8xb2', (8, 2)),
    ('dist/dist-logits+aux_deeplabv3-r101_pspnet-r18_8xb2', (8, 2))])
def test_dist_decays_more_than_cirkd_and_ends_at_1e_4(name, where):
    assert images(name) == where
    assert schedule(name) == ('SGD', 0.02, 5e-4, 40000, 0.9, 1e-4)
