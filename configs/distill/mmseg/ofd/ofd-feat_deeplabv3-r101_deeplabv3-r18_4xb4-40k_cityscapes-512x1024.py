"""OFD before the head's last ReLU: DeepLabV3-R101 -> DeepLabV3-R18, Cityscapes.

Paper: A Comprehensive Overhaul of Feature Distillation, ICCV 2019,
https://arxiv.org/abs/1904.01866; weight 1e-5 as in the authors' segmentation, of which
this is one of six taps; CIRKD's schedule.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no published figure is known to us. CIRKD's authors report 74.21 mIoU (val) for
the student alone at this schedule.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_40k-cirkd.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_deeplabv3-r18.py',
]
bn = 'decode_head.bottleneck.bn'
adapter = dict(type='mmkd_ext.OFDAdapter', in_channels=128, channels=512)
margin = dict(type='mmkd_ext.OFDMargin', channels=512)
norm = dict(of='teacher', at=dict(type='Module', source=bn))
ofd = dict(
    loss=dict(type='mmkd_ext.OFDLoss', loss_weight=1e-5),
    preds_S=dict(of='student', at=bn, connector=adapter),
    preds_T=dict(of='teacher', at=bn, connector=margin, given=dict(norm=norm)),
)
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=dict(loss_ofd=ofd)))
