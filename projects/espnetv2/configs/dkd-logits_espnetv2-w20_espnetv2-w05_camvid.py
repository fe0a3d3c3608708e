"""DKD of pixels: ESPNetv2 of width 2.0 teaches 0.5 on CamVid.

Paper: Decoupled Knowledge Distillation, CVPR 2022,
https://arxiv.org/abs/2203.08679; alpha 1, beta 0.25, tau 1 as in the CamVid pairs.
Command: CAMVID_ROOT=... ESPNETV2_ROOT=... mmkd train CONFIG
Expected: not run yet.
Status: smoke
"""

_base_ = [
    './_base_/pairs-camvid.py',
    './_base_/camvid-480x640.py',
    '../../../configs/_base_/links/dkd-logits.py',
]
model = dict(_base_.labelled, distiller=_base_.distiller)
