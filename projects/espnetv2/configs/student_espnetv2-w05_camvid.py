"""The student alone: ESPNetv2 of width 0.5 from Cityscapes, fine-tuned on CamVid.

Command: CAMVID_ROOT=... ESPNETV2_ROOT=... mmkd train CONFIG
Expected: not run yet.
Status: smoke
"""

_base_ = ['./_base_/espnetv2.py', './_base_/camvid-480x640.py']
model = _base_.espnetv2.w05
model['data_preprocessor']['size'] = _base_.crop_size
model['decode_head']['num_classes'] = 11
load_from = f'{_base_.weights}/espnetv2-w05.pth'
