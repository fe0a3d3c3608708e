"""Pair: GFL on 3/8 of a ResNet-18 teaches one on an eighth, both from scratch.

Widths count the channels of ResNet's first stage: 24 and 8, where ResNet-18 has 64.
Neck and head are equally wide, as in the pairs of the papers, so features are compared
without alignment. The neck ends in batch normalisation: without it, and with norms in
the head, its scale is free, and trained from scratch P6 and P7 grew to deviations of 10
and 20, for which no published weight is made. No weights are downloaded.
"""

teacher, student = (
    dict(
        type='mmdet.GFL',
        data_preprocessor=dict(
            type='mmdet.DetDataPreprocessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True,
            pad_size_divisor=32,
        ),
        backbone=dict(
            type='mmdet.ResNet',
            depth=18,
            stem_channels=width,
            base_channels=width,
            norm_cfg=dict(type='BN', requires_grad=True),
            norm_eval=False,
        ),
        neck=dict(
            type='mmdet.FPN',
            in_channels=[width, 2 * width, 4 * width, 8 * width],
            out_channels=32,
            start_level=1,
            add_extra_convs='on_output',
            num_outs=5,
            norm_cfg=dict(type='BN', requires_grad=True),
            no_norm_on_lateral=True,
        ),
        bbox_head=dict(
            type='mmdet.GFLHead',
            num_classes=3,
            in_channels=32,
            feat_channels=32,
            stacked_convs=2,
            norm_cfg=dict(type='GN', num_groups=8, requires_grad=True),
            anchor_generator=dict(
                type='mmdet.AnchorGenerator',
                ratios=[1.0],
                octave_base_scale=8,
                scales_per_octave=1,
                strides=[8, 16, 32, 64, 128],
            ),
            loss_cls=dict(
                type='mmdet.QualityFocalLoss',
                use_sigmoid=True,
                beta=2.0,
                loss_weight=1.0,
            ),
            loss_dfl=dict(type='mmdet.DistributionFocalLoss', loss_weight=0.25),
            reg_max=16,
            loss_bbox=dict(type='mmdet.GIoULoss', loss_weight=2.0),
        ),
        train_cfg=dict(
            assigner=dict(type='mmdet.ATSSAssigner', topk=9),
            allowed_border=-1,
            pos_weight=-1,
            debug=False,
        ),
        test_cfg=dict(
            nms_pre=1000,
            min_bbox_size=0,
            score_thr=0.05,
            nms=dict(type='nms', iou_threshold=0.6),
            max_per_img=100,
        ),
    )
    for width in (24, 8)
)
model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=student,
    teacher=teacher,
    # made by: BCCD_ROOT=<folder> python tools/train.py \
    #   benchmarks/configs/bccd/teacher_gfl-r18-w24.py \
    #   --work-dir work_dirs/repeat/bccd_gfl/teacher
    teacher_ckpt='work_dirs/repeat/bccd_gfl/teacher/iter_3000.pth',
)
del teacher, student
