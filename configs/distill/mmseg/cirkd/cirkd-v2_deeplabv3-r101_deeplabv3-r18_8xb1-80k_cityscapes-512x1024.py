"""CIRKD, second version: DeepLabV3-R101 -> DeepLabV3-R18, Cityscapes.

Paper: Cross-Image Relational Knowledge Distillation for Semantic Segmentation, CVPR
2022, https://arxiv.org/abs/2204.06986; terms, weights and schedule of the second version
of the authors' code, which has 8 GPUs with one image each.
Command: bash tools/dist_train.sh CONFIG 8
Expected: the authors report 73.56 -> 75.60 mIoU (test) from a teacher of 78.30. Not
measured by us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_80k-cirkd.py',
    '../../../_base_/links/mmseg/cirkd_deeplabv3-r101_deeplabv3-r18.py',
]
refined, regressed, projected, channels = (
    dict(of='student', at=_base_.feature, connector='heads', connector_item=item)
    for item in range(4)
)
sides = dict(preds_S=channels, preds_T=dict(_base_.taught, connector='pool'))
model = dict(
    distiller=dict(
        connectors=dict(
            _delete_=True,
            heads=dict(
                type='mmkd_ext.CIRKDHeads', in_channels=128, out_channels=512, window=4
            ),
            pool=dict(type='mmkd_ext.CIRKDPool', window=4),
        ),
        links=dict(
            loss_batch=dict(preds_S=refined),
            loss_pixel=dict(preds_S=projected),
            loss_region=dict(preds_S=projected),
            loss_fitnets=dict(
                loss=dict(type='mmkd_ext.FitNetsLoss', loss_weight=1.0),
                preds_S=regressed,
                preds_T=_base_.taught,
            ),
            loss_channel=dict(
                loss=dict(type='mmkd_ext.CIRKDChannelLoss', tau=0.1, loss_weight=1.0),
                **sides,
            ),
            loss_channel_memory=dict(
                loss=dict(
                    type='mmkd_ext.CIRKDChannelMemoryLoss',
                    map_size=(16, 32),
                    size=10000,
                    samples=2048,
                    new_keys=256,
                    tau=0.1,
                    loss_weight=0.1,
                ),
                **sides,
            ),
            loss_channel_error=dict(
                loss=dict(type='mmkd_ext.CIRKDChannelErrorLoss', loss_weight=100.0),
                **sides,
            ),
        ),
    )
)
# as the authors' projections and context have it
sync_bn = 'torch'
