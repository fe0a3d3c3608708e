"""KD of pixels without labels: ESPNetv2 of width 2.0 teaches 0.5 on CamVid.

Paper: Distilling the Knowledge in a Neural Network, 2015,
https://arxiv.org/abs/1503.02531; tau 1 and weight 1 as CIRKD's pixel term.
Command: CAMVID_ROOT=... ESPNETV2_ROOT=... mmkd train CONFIG
Expected: not run yet.
Status: smoke
"""

_base_ = [
    './_base_/pairs-camvid.py',
    './_base_/camvid-480x640_merged.py',
    '../../../configs/_base_/links/kd-logits.py',
]
model = dict(_base_.unlabelled, distiller=_base_.distiller)
