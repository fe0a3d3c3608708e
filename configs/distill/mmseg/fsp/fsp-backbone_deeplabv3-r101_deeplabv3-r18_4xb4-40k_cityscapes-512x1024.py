"""FSP of the four stages, then the task: DeepLabV3-R101 -> DeepLabV3-R18, Cityscapes.

Paper: A Gift from Knowledge Distillation, CVPR 2017,
https://openaccess.thecvf.com/content_cvpr_2017/html/Yim_A_Gift_From_CVPR_2017_paper.html;
two stages in one run, first FSP alone and then the task alone; weight 50 of RepDistiller,
schedule of CIRKD. The paper has no segmentation: a first stage of 4000 iterations and
adapters for channels are ours.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no published figure is known to us. CIRKD's authors report 74.21 mIoU (val) for
the student alone at this schedule.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_40k-cirkd.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_deeplabv3-r18.py',
]
first = 4000
fsp = dict(
    loss=dict(type='mmkd_ext.FSPLoss', loss_weight=50.0),
    preds_S=dict(of='student', at='backbone'),
    preds_T=dict(of='teacher', at='backbone'),
    schedule=dict(type='constant', end=first),
)
distiller = dict(type='mmkd_ext.LinkDistiller', links=dict(loss_fsp=fsp))
task = dict(type='constant', begin=first)
model = dict(distiller=distiller, calculate_student_loss=task)
find_unused_parameters = True
