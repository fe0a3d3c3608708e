"""FitNets on the last backbone stage: PSPNet-R101 -> PSPNet-R18, Cityscapes.

Paper: FitNets: Hints for Thin Deep Nets, ICLR 2015, https://arxiv.org/abs/1412.6550;
joint training. The tap is our choice; weight 10 is what CIRKD has for the feature before
the classifier. The 1x1 regressor from 512 to 2048 channels is added by alignment.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no published figure for this pair and schedule is known to us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_80k.py',
    '../../../_base_/pairs/mmseg/pspnet-r101_pspnet-r18.py',
    '../../../_base_/links/fitnets-backbone.py',
]
model = dict(distiller=_base_.distiller)
