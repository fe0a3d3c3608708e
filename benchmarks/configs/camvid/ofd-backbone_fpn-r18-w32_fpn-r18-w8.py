"""OFD at the end of the four stages: FPN on ResNet-18 on CamVid.

Paper: A Comprehensive Overhaul of Feature Distillation, ICCV 2019,
https://arxiv.org/abs/1904.01866; weight 1e-5 and 1/8, 1/4, 1/2, 1 for the stages as in
the authors' segmentation.
Command: python tools/train.py CONFIG
Expected: no figure yet.
Status: smoke
"""

_base_ = './base_fpn-r18-w32_fpn-r18-w8.py'
links = {}
for stage, width in enumerate((32, 64, 128, 256), 1):
    block = f'backbone.layer{stage}.1'
    at = dict(at=dict(type='ModuleInputs', source=f'{block}.relu'), call=1, item=0)
    adapter = dict(type='mmkd_ext.OFDAdapter', in_channels=width // 4, channels=width)
    margin = dict(type='mmkd_ext.OFDMargin', channels=width)
    norm = dict(of='teacher', at=dict(type='Module', source=f'{block}.bn2'))
    links[f'loss_ofd{stage}'] = dict(
        loss=dict(type='mmkd_ext.OFDLoss', loss_weight=1e-5 / 2 ** (4 - stage)),
        preds_S=dict(of='student', **at, connector=adapter),
        preds_T=dict(of='teacher', **at, connector=margin, given=dict(norm=norm)),
    )
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=links))
