"""SAR: ESPNetv2 of width 2.0 from Cityscapes, CamVid in changing light.

Paper: Towards Stable Test-Time Adaptation in Dynamic Wild World, ICLR 2023,
https://arxiv.org/abs/2302.12400
Settings: batch norms mixed; the last stage is not trained, as published; no recovery,
whose 0.2 is of classifiers.
Command: CAMVID_ROOT=<folder> mmkd test CONFIG data/espnetv2/espnetv2-w20.pth
Expected: 40.2 mIoU with width 1.5, over 2 rounds of six pictures a domain (seed 0,
2 CPU cores); the source 36.7. Measured before `mixing='auto'` went by contrast.
Status: smoke
"""

_base_ = ['./_base_/adapt-camvid.py']
model = dict(
    distiller=dict(
        type='mmkd_ext.SARDistiller',
        statistics='mixed',
        mixing='auto',
        frozen=['backbone.level4*'],
        recovery=None,
    )
)
