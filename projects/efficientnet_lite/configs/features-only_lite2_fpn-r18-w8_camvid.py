"""EfficientNet-Lite2's features pretrain an eighth of a ResNet-18 on CamVid, no labels.

As `mmkd distill --features-only` writes it. Then fine-tune: mmkd train
benchmarks/configs/camvid/student_fpn-r18-w8.py --cfg-options
load_from=work_dirs/features-only_lite2_fpn-r18-w8_camvid/iter_2000_student.pth

Command: CAMVID_ROOT=... mmkd train CONFIG
Expected: nothing was measured.
Status: unrun
"""

_base_ = '../../../benchmarks/configs/camvid/student_fpn-r18-w8.py'
custom_imports = dict(imports=['projects.efficientnet_lite'])
model = dict(
    _delete_=True,
    type='mmkd_ext.TeacherDistill',
    architecture=_base_.model,
    teacher=dict(
        type='mmpretrain.ImageClassifier',
        data_preprocessor=dict(mean=[127.0] * 3, std=[128.0] * 3, to_rgb=True),
        backbone=dict(type='mmkd_ext.EfficientNetLite', arch='lite2', pretrained=True),
    ),
    calculate_student_loss=False,
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_features=dict(
                loss=dict(type='mmkd_ext.FeatureCosineLoss'),
                preds_S=dict(of='student', at='backbone', item=-1),
                preds_T=dict(of='teacher', at='backbone', item=-1),
            )
        ),
    ),
)
train_pipeline = [one for one in _base_.train_pipeline if one.type != 'LoadAnnotations']
train_pipeline[2].pop('cat_max_ratio')
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = val_evaluator = val_cfg = None
