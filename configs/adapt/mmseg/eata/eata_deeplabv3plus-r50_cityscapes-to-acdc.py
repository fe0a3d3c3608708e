"""EATA: DeepLabV3+ R50, Cityscapes to ACDC, 10 rounds.

SGD as the authors have it for their classifier.

Paper: Efficient Test-Time Model Adaptation without Forgetting, ICML 2022,
https://arxiv.org/abs/2204.02610
Command: python tools/test.py CONFIG
Expected: no published figure is known to us. Not measured by us.
Status: unrun
"""

_base_ = ['../../../_base_/adapt/deeplabv3plus-r50_cityscapes-to-acdc.py']
model = dict(distiller=dict(type='mmkd_ext.EATADistiller'))
test_cfg = dict(
    optim_wrapper=dict(
        optimizer=dict(_delete_=True, type='SGD', lr=2.5e-4, momentum=0.9)
    )
)
