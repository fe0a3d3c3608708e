"""Moved to configs/_base_/links/cirkd.py, without the pair; kept for configs that name it."""

_base_ = ['../../pairs/mmseg/deeplabv3-r101_deeplabv3-r18.py', '../cirkd.py']
_deprecation_ = dict(expected='configs/_base_/links/cirkd.py and a pair')
model = dict(distiller=_base_.distiller)
