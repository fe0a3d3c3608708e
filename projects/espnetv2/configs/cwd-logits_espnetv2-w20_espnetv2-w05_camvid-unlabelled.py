"""CWD on the logits without labels: ESPNetv2 of width 2.0 teaches 0.5 on CamVid.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 4 and weight 3 as published.
Command: CAMVID_ROOT=... ESPNETV2_ROOT=... mmkd train CONFIG
Expected: not run yet.
Status: smoke
"""

_base_ = [
    './_base_/pairs-camvid.py',
    './_base_/camvid-480x640_merged.py',
    '../../../configs/_base_/links/cwd-logits.py',
]
model = dict(_base_.unlabelled, distiller=_base_.distiller)
