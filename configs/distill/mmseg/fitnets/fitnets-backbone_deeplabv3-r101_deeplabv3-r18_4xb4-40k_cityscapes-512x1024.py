"""FitNets on the last backbone stage: DeepLabV3-R101 -> DeepLabV3-R18, Cityscapes.

Paper: FitNets: Hints for Thin Deep Nets, ICLR 2015, https://arxiv.org/abs/1412.6550;
joint training, weight 10 as in CIRKD, and its schedule. The 1x1 regressor from 512 to
2048 channels is added by alignment.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no published figure is known to us. CIRKD's authors report 74.21 mIoU (val) for
the student alone at this schedule.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_40k-cirkd.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_deeplabv3-r18.py',
]
last_stage = dict(at='backbone', item=3)
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_fitnets=dict(
                loss=dict(type='mmkd_ext.FitNetsLoss', loss_weight=10.0),
                preds_S=dict(of='student', **last_stage),
                preds_T=dict(of='teacher', **last_stage),
            )
        ),
    )
)
