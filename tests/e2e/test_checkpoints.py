"""Students of real models: plain mmseg and mmdet load them and predict the same."""

from __future__ import annotations

import json
import uuid

import engine_toys as toys
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

from mmkd_ext.checkpoint import read_checkpoint

NOISE = np.random.default_rng(0)
PREPROCESSOR = dict(
    mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
)


def pictures(folder, count=4, size=(48, 64)):
    folder.mkdir(parents=True)
    for i in range(count):
        noise = NOISE.integers(0, 255, (*size, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f'{i}.png')
    return folder


def backbone(kind, base):
    return dict(
        type=kind,
        depth=18,
        base_channels=base,
        stem_channels=base,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        style='pytorch',
    )


def segmentor(base):
    return dict(
        type='mmseg.EncoderDecoder',
        data_preprocessor=dict(
            type='mmseg.SegDataPreProcessor',
            size=(32, 32),
            seg_pad_val=255,
            **PREPROCESSOR,
        ),
        backbone=backbone('mmseg.ResNet', base),
        decode_head=dict(
            type='mmseg.PSPHead',
            in_channels=base * 8,
            in_index=3,
            channels=8,
            num_classes=3,
            pool_scales=(1, 2),
            dropout_ratio=0.1,
            norm_cfg=dict(type='BN'),
            align_corners=False,
        ),
        auxiliary_head=dict(
            type='mmseg.FCNHead',
            in_channels=base * 4,
            in_index=2,
            channels=4,
            num_classes=3,
            num_convs=1,
            norm_cfg=dict(type='BN'),
            concat_input=False,
            align_corners=False,
            loss_decode=dict(type='mmseg.CrossEntropyLoss', loss_weight=0.4),
        ),
        test_cfg=dict(mode='whole'),
    )


def detector(base):
    return dict(
        type='mmdet.RetinaNet',
        data_preprocessor=dict(
            type='mmdet.DetDataPreprocessor', pad_size_divisor=32, **PREPROCESSOR
        ),
        backbone=backbone('mmdet.ResNet', base),
        neck=dict(
            type='mmdet.FPN',
            in_channels=[base, base * 2, base * 4, base * 8],
            out_channels=8,
            start_level=1,
            add_extra_convs='on_input',
            num_outs=5,
        ),
        bbox_head=dict(
            type='mmdet.RetinaHead',
            num_classes=2,
            in_channels=8,
            feat_channels=8,
            stacked_convs=1,
            anchor_generator=dict(
                type='mmdet.AnchorGenerator',
                octave_base_scale=4,
                scales_per_octave=1,
                ratios=[1.0],
                strides=[8, 16, 32, 64, 128],
            ),
        ),
        train_cfg=dict(
            assigner=dict(
                type='mmdet.MaxIoUAssigner',
                pos_iou_thr=0.5,
                neg_iou_thr=0.4,
                min_pos_iou=0,
                ignore_iof_thr=-1,
            ),
            sampler=dict(type='mmdet.PseudoSampler'),
            allowed_border=-1,
            pos_weight=-1,
            debug=False,
        ),
        test_cfg=dict(
            nms_pre=50,
            min_bbox_size=0,
            score_thr=0.0,
            max_per_img=5,
            nms=dict(type='nms', iou_threshold=0.5),
        ),
    )


def distilled(model, at):
    return dict(
        type='mmkd_ext.TeacherDistill',
        architecture=model(4),
        teacher=model(8),
        distiller=dict(
            type='mmkd_ext.LinkDistiller',
            links=dict(
                loss_cwd=dict(
                    loss=dict(type='mmkd_ext.CWDLoss', tau=1.0, loss_weight=1.0),
                    preds_S=dict(of='student', at=at),
                    preds_T=dict(of='teacher', at=at),
                )
            ),
        ),
    )


def runtime(folder, scope, model, dataset, *, hooks=(), length=4):
    loader = dict(batch_size=2, num_workers=0, dataset=dataset)
    return Config(
        dict(
            default_scope=scope,
            work_dir=str(folder),
            experiment_name=uuid.uuid4().hex,
            model=model,
            train_dataloader=dict(sampler=dict(type='InfiniteSampler'), **loader),
            test_dataloader=dict(
                sampler=dict(type='DefaultSampler', shuffle=False), **loader
            ),
            test_cfg=dict(type='TestLoop'),
            test_evaluator=dict(type='IoUMetric' if scope == 'mmseg' else 'VOCMetric'),
            train_cfg=dict(
                type='IterBasedTrainLoop', max_iters=length, val_interval=99
            ),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9)),
            param_scheduler=[dict(type='PolyLR', by_epoch=False, begin=0, end=9)],
            default_hooks=dict(
                logger=dict(type='LoggerHook', interval=1),
                checkpoint=dict(
                    type='mmkd_ext.DistillCheckpointHook', by_epoch=False, interval=2
                ),
            ),
            custom_hooks=[
                dict(type='mmkd_ext.ReproducibleStepHook'),
                dict(type='mmkd_ext.FiniteLossHook'),
                *hooks,
            ],
            log_processor=dict(by_epoch=False),
            log_level='ERROR',
            randomness=dict(seed=3),
        )
    )


def segmentation(folder, **settings):
    root = folder.parent / 'streets'
    if not root.exists():
        pictures(root / 'img')
        (root / 'ann').mkdir()
        for i in range(4):
            labels = NOISE.integers(0, 3, (48, 64), dtype=np.uint8)
            Image.fromarray(labels).save(root / 'ann' / f'{i}.png')
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations'),
        dict(type='RandomCrop', crop_size=(32, 32)),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PhotoMetricDistortion'),
        dict(type='PackSegInputs'),
    ]
    dataset = dict(
        type='BaseSegDataset',
        data_root=str(root),
        pipeline=pipeline,
        data_prefix=dict(img_path='img', seg_map_path='ann'),
        img_suffix='.png',
        metainfo=dict(
            classes=('sky', 'road', 'tree'), palette=[[1, 2, 3], [4, 5, 6], [7, 8, 9]]
        ),
    )
    return runtime(
        folder,
        'mmseg',
        distilled(segmentor, 'decode_head.conv_seg'),
        dataset,
        **settings,
    )


def detection(folder, **settings):
    root = folder.parent / 'things'
    if not root.exists():
        pictures(root / 'img', size=(64, 64))
        images = [
            dict(id=i, file_name=f'{i}.png', height=64, width=64) for i in range(4)
        ]
        boxes = [
            dict(
                id=i + 1,
                image_id=i,
                category_id=1 + i % 2,
                iscrowd=0,
                bbox=[8, 8, 30, 30],
                area=900,
            )
            for i in range(4)
        ]
        names = [dict(id=1, name='car'), dict(id=2, name='rider')]
        (root / 'a.json').write_text(
            json.dumps(dict(images=images, annotations=boxes, categories=names))
        )
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='Resize', scale=(64, 64), keep_ratio=True),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PackDetInputs'),
    ]
    dataset = dict(
        type='CocoDataset',
        data_root=str(root),
        ann_file='a.json',
        data_prefix=dict(img='img/'),
        pipeline=pipeline,
        metainfo=dict(classes=('car', 'rider'), palette=[(1, 2, 3), (4, 5, 6)]),
    )
    return runtime(folder, 'mmdet', distilled(detector, 'neck'), dataset, **settings)


def train(cfg):
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def average_of(runner):
    return next(
        h for h in runner.hooks if type(h).__name__ == 'EMAHook'
    ).ema_model.module


EMA = [dict(type='EMAHook', momentum=0.3, update_buffers=True)]


@pytest.mark.mmseg
@pytest.mark.parametrize('hooks', [[], EMA], ids=['trained', 'averaged'])
def test_mmseg_loads_the_student_strictly_and_predicts_the_same(hooks, tmp_path):
    from mmengine.runner import load_checkpoint
    from mmseg.apis import inference_model, init_model

    runner = train(segmentation(tmp_path / 'run', hooks=hooks))
    ours = (average_of(runner) if hooks else runner.model).eval()
    file = str(tmp_path / 'run' / 'iter_4_student.pth')
    # the config in the file itself: it needs nothing of this project
    config = Config.fromstring(read_checkpoint(file)['meta']['cfg'], '.py')
    assert 'teacher' not in config.model
    config.test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]
    plain = init_model(config, file, device='cpu')
    load_checkpoint(plain, file, strict=True)
    assert plain.dataset_meta['classes'] == ('sky', 'road', 'tree')

    image = NOISE.integers(0, 255, (48, 64, 3), dtype=np.uint8)
    theirs = inference_model(plain, image).seg_logits.data
    data = dict(
        inputs=[torch.from_numpy(image).permute(2, 0, 1).contiguous()],
        data_samples=[inference_model(plain, image)],
    )
    mine = ours.test_step(data)[0].seg_logits.data
    assert torch.equal(mine, theirs)


@pytest.mark.mmdet
@pytest.mark.parametrize('hooks', [[], EMA], ids=['trained', 'averaged'])
def test_mmdet_loads_the_student_strictly_and_predicts_the_same(hooks, tmp_path):
    from mmdet.apis import inference_detector, init_detector
    from mmengine.runner import load_checkpoint

    runner = train(detection(tmp_path / 'run', hooks=hooks))
    ours = (average_of(runner) if hooks else runner.model).eval()
    file = str(tmp_path / 'run' / 'iter_4_student.pth')
    config = Config.fromstring(read_checkpoint(file)['meta']['cfg'], '.py')
    config.test_dataloader.dataset.pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(64, 64), keep_ratio=True),
        dict(
            type='PackDetInputs', meta_keys=('ori_shape', 'img_shape', 'scale_factor')
        ),
    ]
    plain = init_detector(config, file, device='cpu')
    load_checkpoint(plain, file, strict=True)
    assert plain.dataset_meta['classes'] == ('car', 'rider')

    image = NOISE.integers(0, 255, (64, 64, 3), dtype=np.uint8)
    result = inference_detector(plain, image)
    theirs = result.pred_instances
    assert len(theirs) > 0
    data = dict(
        inputs=[torch.from_numpy(image).permute(2, 0, 1).contiguous()],
        data_samples=[result],
    )
    mine = ours.test_step(data)[0].pred_instances
    assert torch.equal(mine.bboxes, theirs.bboxes)
    assert torch.equal(mine.scores, theirs.scores)
    assert torch.equal(mine.labels, theirs.labels)


@pytest.mark.mmseg
def test_no_tensor_of_the_teacher_is_in_a_checkpoint(tmp_path):
    runner = train(segmentation(tmp_path / 'run', hooks=EMA))
    content = read_checkpoint(tmp_path / 'run' / 'iter_4.pth')
    saved = [
        v
        for part in ('state_dict', 'ema_state_dict')
        for v in content[part].values()
        if v.dim() > 1
    ]
    for name, tensor in runner.model.teacher.state_dict().items():
        if tensor.dim() > 1:
            assert not any(
                tensor.shape == v.shape and torch.equal(tensor, v) for v in saved
            ), name


@pytest.mark.mmseg
def test_a_resumed_segmentation_equals_one_that_never_stopped(tmp_path):
    straight, resumed = tmp_path / 'straight', tmp_path / 'resumed'
    train(segmentation(straight))
    with pytest.raises(toys.Stop):
        train(segmentation(resumed, hooks=[dict(type='StopAfter', iteration=3)]))
    again = segmentation(resumed)
    again.resume = True
    train(again)
    ours, theirs = (read_checkpoint(x / 'iter_4.pth') for x in (straight, resumed))
    for name, value in ours['state_dict'].items():
        assert torch.equal(value, theirs['state_dict'][name]), name
    keys = ('loss', 'student.decode.loss_ce', 'distill.loss_cwd', 'lr')
    expected = toys.logged(straight, *keys)
    assert len(expected) == 4 * len(keys)
    assert toys.logged(resumed, *keys) == expected
