"""`mmkd distill`: a config from a student and a teacher."""

from __future__ import annotations

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner

from mmkd_ext.cli import distill
from mmkd_ext.errors import ConfigError

pytest.importorskip('mmseg')
pytest.importorskip('mmdet')

SEG = 'mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py'
SEG_TEACHER = 'mmseg::pspnet/pspnet_r101-d8_4xb2-80k_cityscapes-512x1024.py'
DET = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'
DET_TEACHER = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'


def written(tmp_path, student, teacher, **options):
    _, text = distill.distillation_text(
        student, teacher, folder=str(tmp_path), **options
    )
    path = tmp_path / 'written.py'
    path.write_text(text)
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) <= 35, text
    return Config.fromfile(path)


def test_segmentors_compare_their_logits_and_the_zoo_brings_the_weights(tmp_path):
    cfg = written(tmp_path, SEG, SEG_TEACHER)
    link = cfg.model.distiller.links.loss_cwd
    assert link.loss == dict(type='mmkd_ext.CWDLoss', tau=4.0, loss_weight=3.0)
    assert link.preds_S == dict(of='student', at='decode_head.conv_seg')
    assert cfg.model.teacher_ckpt.startswith('https://')
    assert 'pspnet_r101' in cfg.model.teacher_ckpt
    # what else the student's config says stays
    assert cfg.model.architecture.type == 'EncoderDecoder'
    assert cfg.train_cfg.max_iters == distill.load_config(SEG).train_cfg.max_iters


def test_detectors_compare_their_necks(tmp_path):
    link = written(tmp_path, DET, DET_TEACHER).model.distiller.links.loss_pkd
    assert link.preds_S.at == link.preds_T.at == 'neck'


def test_a_named_method_has_the_settings_for_this_kind_of_student(tmp_path):
    links = written(tmp_path, DET, DET_TEACHER, method='fgd').model.distiller.links
    assert links.loss_fgd.loss.weight_fg == 1e-3  # of one-stage detectors
    faster = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
    links = written(tmp_path, faster, faster, method='fgd').model.distiller.links
    assert links.loss_fgd.loss.weight_fg == 5e-5  # of two-stage detectors


def test_names_of_installed_configs_are_found():
    assert distill.find_config('retinanet_r18_fpn_1x_coco') == DET
    with pytest.raises(ConfigError, match='Did you mean `retinanet_r18_fpn_1x_coco`'):
        distill.find_config('retinanet_r18_fpn_1x_coc')


def test_other_methods_and_mixed_pairs_are_refused_with_a_hint(tmp_path):
    with pytest.raises(ConfigError, match='Did you mean `fgd`'):
        written(tmp_path, DET, DET_TEACHER, method='fdg')
    with pytest.raises(ConfigError, match='no method suits both'):
        written(tmp_path, DET, SEG_TEACHER)


def test_a_config_that_differs_is_not_overwritten(tmp_path):
    out = tmp_path / 'mine.py'
    out.write_text('mine = 1\n')
    args = distill.parse_args([DET, DET_TEACHER, '--out', str(out)])
    with pytest.raises(ConfigError, match='--force'):
        distill.write_config(args)
    assert out.read_text() == 'mine = 1\n'
    args.force = True
    assert distill.write_config(args) == str(out)
    args.force = False  # written again it is the same
    assert distill.write_config(args) == str(out)


def test_classifiers_compare_their_logits(tmp_path):
    pytest.importorskip('mmpretrain', reason='classifiers: the extra `cls`')
    student = distill.find_config('resnet18_8xb16_cifar10')
    assert student == 'mmpretrain::resnet/resnet18_8xb16_cifar10.py'
    teacher = 'mmpretrain::resnet/resnet34_8xb16_cifar10.py'
    cfg = written(tmp_path, student, teacher)
    assert cfg.model.distiller.links.loss_kd.preds_S == dict(of='student', at='head')
    assert 'resnet34' in cfg.model.teacher_ckpt
    links = written(tmp_path, student, teacher, method='dkd').model.distiller.links
    assert links.loss_dkd.labels.item == 1
    with pytest.raises(ConfigError, match='no method suits both'):
        written(tmp_path, student, SEG_TEACHER)


# ---- features only ------------------------------------------------------------------


def test_features_of_any_task_teach_a_backbone_without_labels(tmp_path):
    teacher = 'mmpretrain::resnet/resnet50_8xb32_in1k.py'
    pytest.importorskip('mmpretrain', reason='classifiers: the extra `cls`')
    method, text = distill.distillation_text(
        SEG, teacher, features_only=True, teacher_ckpt='t.pth', folder=str(tmp_path))
    path = tmp_path / 'written.py'
    path.write_text(text)
    cfg = Config.fromfile(path)
    assert method == 'features'
    assert cfg.model.calculate_student_loss is False
    assert cfg.model.teacher == teacher
    assert cfg.model.distiller.links.loss_features.preds_T.item == -1
    before = distill.load_config(SEG).train_dataloader.dataset.pipeline
    after = cfg.train_dataloader.dataset.pipeline
    dropped = [one.type for one in before if one.type not in [a.type for a in after]]
    assert dropped == ['LoadAnnotations']
    crop = next(one for one in after if one.type == 'RandomCrop')
    assert 'cat_max_ratio' not in crop
    assert isinstance(crop.crop_size, tuple)  # mmseg's takes no list
    assert cfg.val_cfg is None


def test_values_are_written_as_what_they_are():
    value = dict(a=(1,), b=[(2, 'x')], c={0: 3, 'd.e': ()}, f=dict(g=[4] * 40))
    assert eval(distill.source(value)) == value


def test_patch_tokens_of_a_transformer_are_a_map(tmp_path):
    pytest.importorskip('mmpretrain', reason='classifiers: the extra `cls`')
    name = 'mmpretrain::vision_transformer/vit-base-p32_64xb64_in1k-384px.py'
    model = distill.load_config(name).model
    assert distill.feature_teacher(model, name) == dict(
        cfg_path=name, backbone=dict(out_type='featmap'))
    assert distill.feature_teacher(dict(type='EncoderDecoder'), 'x.py') == 'x.py'
    # new-style configs have classes
    model.type = MODELS.get('mmpretrain.ImageClassifier')
    assert distill.package_of(model) == 'mmpretrain'


def test_features_only_and_a_method_exclude_each_other():
    with pytest.raises(ConfigError, match='not both'):
        distill.distillation_text(SEG, SEG, features_only=True, method='cwd')


PREPROCESSOR = dict(num_classes=10, mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True)
VIT = dict(
    type='ImageClassifier',
    backbone=dict(type='VisionTransformer', img_size=8, patch_size=2, arch=dict(
        embed_dims=12, num_layers=1, num_heads=2, feedforward_channels=12)),
    head=dict(type='VisionTransformerClsHead', num_classes=10, in_channels=12))
STUDENT = dict(
    type='ImageClassifier',
    backbone=dict(type='mmkd_ext.SmallResNet', depth=8, widths=(4, 4, 4, 8)),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=8))
LOADER = dict(
    batch_size=8, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='mmkd_ext.DigitsDataset', indices=16,
                 pipeline=[dict(type='PackInputs')]))
TRAINING = dict(
    train_dataloader=LOADER, train_cfg=dict(by_epoch=True, max_epochs=1),
    optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)))


def file_of(path, model, **more):
    values = dict(default_scope='mmpretrain', data_preprocessor=PREPROCESSOR,
                  model=model, **more)
    path.write_text(''.join(f'{key} = {value!r}\n' for key, value in values.items()))
    return str(path)


@pytest.mark.usefixtures('_plain_dumps')
def test_a_backbone_is_pretrained_on_patch_tokens_and_the_head_stays(
    tmp_path, monkeypatch
):
    pytest.importorskip('mmpretrain', reason='classifiers: the extra `cls`')
    pytest.importorskip('sklearn', reason='digits')
    student = file_of(tmp_path / 'student.py', STUDENT, **TRAINING)
    teacher = file_of(tmp_path / 'teacher.py', VIT)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        weights = MODELS.build(Config.fromfile(teacher).model).state_dict()
    torch.save(weights, tmp_path / 'teacher.pth')
    _, text = distill.distillation_text(
        student, teacher, features_only=True, folder=str(tmp_path),
        teacher_ckpt=str(tmp_path / 'teacher.pth'))
    (tmp_path / 'written.py').write_text(text)
    cfg = Config.fromfile(tmp_path / 'written.py')
    cfg.work_dir, cfg.log_level = str(tmp_path / 'run'), 'WARNING'
    runner = Runner.from_cfg(cfg)
    before = {}
    monkeypatch.setattr(runner, 'call_hook', lambda name, **kwargs: before.update(
        copy.deepcopy(runner.model.student.state_dict()))
        if name == 'before_train' else None)
    model = runner.train()
    after = model.student.state_dict()
    moved = {k.split('.')[0] for k, v in after.items()
             if v.is_floating_point() and not torch.equal(v, before[k])}
    assert moved == {'backbone'}
    # 8 channels at stride 4 of the student, 12 at stride 2 of the patch tokens
    assert 'loss_features' in model.distiller.aligners
