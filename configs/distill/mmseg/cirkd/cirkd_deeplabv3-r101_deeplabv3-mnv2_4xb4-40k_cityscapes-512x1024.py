"""CIRKD: DeepLabV3-R101 -> DeepLabV3-MobileNetV2, Cityscapes.

Paper: Cross-Image Relational Knowledge Distillation for Semantic Segmentation, CVPR
2022, https://arxiv.org/abs/2204.06986; weights, sizes and schedule of the authors'
first version, their mistake in what the pixel memory keeps left out.
Command: bash tools/dist_train.sh CONFIG 4
Expected: the authors report 73.12 -> 75.42 mIoU (val) from a teacher of 78.07. Not
measured by us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_80k.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_deeplabv3-mnv2.py',
]
logits, feature = 'decode_head.conv_seg', 'decode_head.bottleneck'
projected = dict(of='student', at=feature, connector='projection')
taught = dict(of='teacher', at=feature)
truth = dict(of='batch', at='data_samples')
memory = dict(num_classes=19, channels=512, tau=0.1, loss_weight=0.1)
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        connectors=dict(
            projection=dict(
                type='mmkd_ext.CIRKDProjection', in_channels=512, out_channels=512
            )
        ),
        links=dict(
            loss_kd=dict(
                loss=dict(type='mmkd_ext.KDLoss', tau=1.0, loss_weight=1.0),
                preds_S=dict(of='student', at=logits),
                preds_T=dict(of='teacher', at=logits),
            ),
            loss_batch=dict(
                loss=dict(type='mmkd_ext.CIRKDMiniBatchLoss', tau=0.1, pool=2),
                preds_S=dict(of='student', at=feature),
                preds_T=taught,
            ),
            loss_pixel=dict(
                loss=dict(type='mmkd_ext.CIRKDPixelMemoryLoss', size=20000, **memory),
                preds_S=projected,
                preds_T=taught,
                data_samples=truth,
            ),
            loss_region=dict(
                loss=dict(type='mmkd_ext.CIRKDRegionMemoryLoss', size=2000, **memory),
                preds_S=projected,
                preds_T=taught,
                data_samples=truth,
            ),
        ),
    )
)
train_dataloader = dict(batch_size=4)
optim_wrapper = dict(optimizer=dict(lr=0.02, weight_decay=1e-4))
param_scheduler = [
    dict(type='PolyLR', eta_min=0.0, power=0.9, end=40000, by_epoch=False)
]
train_cfg = dict(max_iters=40000, val_interval=4000)
