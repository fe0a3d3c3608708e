"""Students of real models: plain mmseg and mmdet load them and predict the same."""

from __future__ import annotations

import json
import uuid

import engine_toys as toys
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from PIL import Image

from mmkd_ext.checkpoint import read_checkpoint

NOISE = np.random.default_rng(0)
EMA = [dict(type='EMAHook', momentum=0.3, update_buffers=True)]


def noise(*size, highest=255):
    return NOISE.integers(0, highest, size, dtype=np.uint8)


def segmentor(base):
    return dict(
        cfg_path='mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py',
        pretrained=None, data_preprocessor=dict(size=(32, 32)),
        backbone=dict(stem_channels=base, base_channels=base),
        decode_head=dict(in_channels=base * 8, channels=8, num_classes=3),
        auxiliary_head=dict(in_channels=base * 4, channels=4, num_classes=3))


def detector(base):
    return dict(
        cfg_path='mmdet::retinanet/retinanet_r18_fpn_1x_coco.py',
        backbone=dict(stem_channels=base, base_channels=base, frozen_stages=-1,
                      norm_eval=False, init_cfg=None),
        neck=dict(in_channels=[base * 2**i for i in range(4)], out_channels=8),
        bbox_head=dict(num_classes=2, in_channels=8, feat_channels=8, stacked_convs=1),
        test_cfg=dict(nms_pre=50, score_thr=0.0, max_per_img=5))


def config(folder, scope, model, at, dataset, *, hooks=(), length=4):
    """A distillation on four pictures; ``scope`` is the package of the models."""
    loader = dict(batch_size=2, num_workers=0, dataset=dataset)
    tap = dict(preds_S=dict(of='student', at=at), preds_T=dict(of='teacher', at=at))
    return Config(dict(
        default_scope=scope, work_dir=str(folder), experiment_name=uuid.uuid4().hex,
        model=dict(
            type='mmkd_ext.TeacherDistill', architecture=model(4), teacher=model(8),
            distiller=dict(type='mmkd_ext.LinkDistiller', links=dict(
                loss_cwd=dict(loss=dict(type='mmkd_ext.CWDLoss'), **tap)))),
        train_dataloader=dict(sampler=dict(type='InfiniteSampler'), **loader),
        test_dataloader=dict(
            sampler=dict(type='DefaultSampler', shuffle=False), **loader),
        test_cfg=dict(type='TestLoop'),
        test_evaluator=dict(type='IoUMetric' if scope == 'mmseg' else 'VOCMetric'),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=length, val_interval=99),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9)),
        param_scheduler=[dict(type='PolyLR', by_epoch=False, begin=0, end=9)],
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=1),
            checkpoint=dict(
                type='mmkd_ext.DistillCheckpointHook', by_epoch=False, interval=2)),
        custom_hooks=[dict(type='mmkd_ext.ReproducibleStepHook'),
                      dict(type='mmkd_ext.FiniteLossHook'), *hooks],
        log_processor=dict(by_epoch=False), log_level='ERROR',
        randomness=dict(seed=3)))


def segmentation(folder, **settings):
    root = folder.parent / 'streets'
    if not root.exists():
        for kind, shape, highest in (('img', (48, 64, 3), 255), ('ann', (48, 64), 3)):
            (root / kind).mkdir(parents=True)
            for i in range(4):
                picture = Image.fromarray(noise(*shape, highest=highest))
                picture.save(root / kind / f'{i}.png')
    pipeline = [
        dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
        dict(type='RandomCrop', crop_size=(32, 32)), dict(type='RandomFlip', prob=0.5),
        dict(type='PhotoMetricDistortion'), dict(type='PackSegInputs')]
    dataset = dict(
        type='BaseSegDataset', data_root=str(root), pipeline=pipeline,
        data_prefix=dict(img_path='img', seg_map_path='ann'), img_suffix='.png',
        metainfo=dict(classes=('sky', 'road', 'tree'), palette=[[1, 2, 3]] * 3))
    at = 'decode_head.conv_seg'
    return config(folder, 'mmseg', segmentor, at, dataset, **settings)


def detection(folder, **settings):
    root = folder.parent / 'things'
    if not root.exists():
        (root / 'img').mkdir(parents=True)
        for i in range(4):
            Image.fromarray(noise(64, 64, 3)).save(root / 'img' / f'{i}.png')
        (root / 'a.json').write_text(json.dumps(dict(
            images=[dict(id=i, file_name=f'{i}.png', height=64, width=64)
                    for i in range(4)],
            annotations=[dict(id=i + 1, image_id=i, category_id=1 + i % 2, iscrowd=0,
                              bbox=[8, 8, 30, 30], area=900) for i in range(4)],
            categories=[dict(id=1, name='car'), dict(id=2, name='rider')])))
    pipeline = [
        dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
        dict(type='Resize', scale=(64, 64), keep_ratio=True),
        dict(type='RandomFlip', prob=0.5), dict(type='PackDetInputs')]
    dataset = dict(
        type='CocoDataset', data_root=str(root), ann_file='a.json',
        data_prefix=dict(img='img/'), pipeline=pipeline,
        metainfo=dict(classes=('car', 'rider'), palette=[(1, 2, 3), (4, 5, 6)]))
    return config(folder, 'mmdet', detector, 'neck', dataset, **settings)


def average_of(runner):
    (hook,) = (h for h in runner.hooks if type(h).__name__ == 'EMAHook')
    return hook.ema_model.module


def step_of(model, image, sample):
    inputs = [torch.from_numpy(image).permute(2, 0, 1).contiguous()]
    return model.test_step(dict(inputs=inputs, data_samples=[sample]))[0]


@pytest.fixture(params=[[], EMA], ids=['trained', 'averaged'])
def exported(request, tmp_path):
    """Trains; returns the student in memory, its file, and the config in that file."""

    def train(make):
        runner = toys.train(make(tmp_path / 'run', hooks=request.param))
        ours = average_of(runner) if request.param else runner.model
        file = str(tmp_path / 'run' / 'iter_4_student.pth')
        # the config in the file itself: it needs nothing of this project
        plain = Config.fromstring(read_checkpoint(file)['meta']['cfg'], '.py')
        assert 'teacher' not in plain.model
        return ours.eval(), file, plain

    return train


@pytest.mark.mmseg
def test_mmseg_loads_the_student_strictly_and_predicts_the_same(exported):
    from mmseg.apis import inference_model, init_model

    ours, file, cfg = exported(segmentation)
    cfg.test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]
    plain = init_model(cfg, file, device='cpu')
    load_checkpoint(plain, file, strict=True)
    assert plain.dataset_meta['classes'] == ('sky', 'road', 'tree')
    image = noise(48, 64, 3)
    theirs = inference_model(plain, image).seg_logits.data
    mine = step_of(ours, image, inference_model(plain, image)).seg_logits.data
    assert torch.equal(mine, theirs)


@pytest.mark.mmdet
def test_mmdet_loads_the_student_strictly_and_predicts_the_same(exported):
    from mmdet.apis import inference_detector, init_detector

    ours, file, cfg = exported(detection)
    keys = ('ori_shape', 'img_shape', 'scale_factor')
    cfg.test_dataloader.dataset.pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(64, 64), keep_ratio=True),
        dict(type='PackDetInputs', meta_keys=keys)]
    plain = init_detector(cfg, file, device='cpu')
    load_checkpoint(plain, file, strict=True)
    assert plain.dataset_meta['classes'] == ('car', 'rider')
    image = noise(64, 64, 3)
    result = inference_detector(plain, image)
    assert len(result.pred_instances) > 0
    mine = step_of(ours, image, inference_detector(plain, image)).pred_instances
    for key in ('bboxes', 'scores', 'labels'):
        assert torch.equal(mine[key], result.pred_instances[key])


@pytest.mark.mmseg
def test_no_tensor_of_the_teacher_is_in_a_checkpoint(tmp_path):
    runner = toys.train(segmentation(tmp_path / 'run', hooks=EMA))
    content = read_checkpoint(tmp_path / 'run' / 'iter_4.pth')
    saved = [*content['state_dict'].values(), *content['ema_state_dict'].values()]
    for name, tensor in runner.model.teacher.state_dict().items():
        if tensor.dim() > 1:
            assert not any(torch.equal(tensor, other) for other in saved), name


@pytest.mark.mmseg
def test_a_resumed_segmentation_equals_one_that_never_stopped(tmp_path):
    straight, resumed = tmp_path / 'straight', tmp_path / 'resumed'
    toys.train(segmentation(straight))
    with pytest.raises(toys.Stop):
        toys.train(segmentation(resumed, hooks=[dict(type='StopAfter', iteration=3)]))
    again = segmentation(resumed)
    again.resume = True
    toys.train(again)
    ours, theirs = (read_checkpoint(x / 'iter_4.pth') for x in (straight, resumed))
    for name, value in ours['state_dict'].items():
        assert torch.equal(value, theirs['state_dict'][name]), name
    keys = ('loss', 'student.decode.loss_ce', 'distill.loss_cwd', 'lr')
    expected = toys.logged(straight, *keys)
    assert len(expected) == 4 * len(keys)
    assert toys.logged(resumed, *keys) == expected
