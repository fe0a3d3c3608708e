"""SimKD: cases for the laws, the slow twin, and the student that is deployed."""

from __future__ import annotations

import copy

import pytest
import torch
from slow_parts import doubles
from torch import nn

from mmkd_ext.errors import ConfigError, ShapeError
from mmkd_ext.methods import SimKDClassifier, SimKDLoss
from mmkd_ext.methods._classifier import classified
from mmkd_ext.methods.simkd import pooled_to_smaller
from mmkd_ext.registry import MODELS
from mmkd_ext.testing.laws import KnownValue, LossCase, pair
from mmkd_ext.testing.toy import ToyModel, toy_batch


def same_layers(generator=None, width=3):
    layer = nn.Conv2d(width, 5, 1).double()
    return {'deployed': copy.deepcopy(layer), 'classifier': layer}


CASES = [
    LossCase(SimKDLoss, extras=same_layers,
             values=[KnownValue([[[[1.0, 3.0]]]], [[[[0.0, 1.0]]]], (1 + 4) / 2,
                                'by hand', same_layers(width=1)),
                     KnownValue([[[[1.0, 3.0]]]], [[[[0.0]]]], 4.0,
                                'the larger map is averaged to 2',
                                same_layers(width=1))],
             free_axes=[2, 3]),
    LossCase(SimKDLoss, extras=same_layers,
             inputs=pair(2, 3, 3, 6, teacher=(2, 3, 4, 2)), free_axes=[2, 3]),
]


# ---- the classifier ------------------------------------------------------------------


def test_the_classifier_is_frozen_and_the_projector_learns():
    layer = SimKDClassifier(4, 8, num_classes=5)
    layer(torch.rand(2, 4, 3, 3)).sum().backward()
    assert all(p.grad is None for p in layer.classifier.parameters())
    assert all(p.grad is not None for p in layer.projector.parameters())
    assert [m.weight.shape[:2] for m in layer.projector
            if isinstance(m, nn.Conv2d)] == [(4, 4), (4, 4), (8, 4)]


@pytest.mark.parametrize('dense', [False, True])
def test_classifies_what_the_projector_returns(dense):
    layer = SimKDClassifier(4, 8, num_classes=5, dense=dense).eval()
    feature = torch.rand(2, 4, 3, 6)
    projected = layer.projector(feature)
    wanted = (layer.classifier(projected) if dense
              else layer.classifier(projected.mean((2, 3))))
    torch.testing.assert_close(layer(feature), wanted)


def test_takes_maps_before_pooling():
    with pytest.raises(ShapeError, match='`neck=None`'):
        SimKDClassifier(4, 8, num_classes=5)(torch.rand(2, 4))


def test_the_width_inside_is_whole():
    with pytest.raises(ConfigError, match='must be a multiple of `factor`, 3'):
        SimKDClassifier(4, 8, num_classes=5, factor=3)


class HeadOf(nn.Module):
    def __init__(self, **layers):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)


def build_head(**layers):
    MODELS.register_module(name='HeadOf', module=HeadOf, force=True)
    return MODELS.build(dict(
        type='mmkd_ext.SimKDHead', channels=16, head=dict(type='HeadOf', **layers)))


def test_replaces_the_last_layer_of_a_segmentors_and_of_a_classifiers_head():
    dense = build_head(conv_seg=nn.Conv2d(6, 19, 1), other=nn.Linear(1, 1))
    assert dense.conv_seg(torch.rand(1, 6, 2, 3)).shape == (1, 19, 2, 3)
    assert isinstance(dense.other, nn.Linear)
    assert build_head(fc=nn.Linear(6, 10)).fc(torch.rand(1, 6, 2, 3)).shape == (1, 10)


def test_says_that_a_head_has_no_last_layer():
    with pytest.raises(ConfigError, match=r"none of the last layers .*has \['conv'\]"):
        build_head(conv=nn.Conv2d(1, 1, 1))


# ---- the loss ------------------------------------------------------------------------


def test_says_that_the_students_classifier_is_another():
    layers = same_layers()
    with torch.no_grad():
        layers['deployed'].bias[0] += 1
    with pytest.raises(ConfigError, match=r'predict noise. Set model.inherit'):
        SimKDLoss()(torch.zeros(1, 3, 1, 1), torch.zeros(1, 3, 1, 1), **layers)


def test_says_that_the_classifiers_differ_in_width_or_take_another_feature():
    layers = {**same_layers(), 'deployed': nn.Conv2d(4, 5, 1)}
    with pytest.raises(ShapeError, match=r'\(5, 4, 1, 1\).*\(5, 3, 1, 1\).*set'):
        SimKDLoss()(torch.zeros(1, 3, 1, 1), torch.zeros(1, 3, 1, 1), **layers)
    with pytest.raises(ShapeError, match=r'takes 3 channels, but its feature is'):
        SimKDLoss()(torch.zeros(1, 4, 1, 1), torch.zeros(1, 4, 1, 1), **same_layers())


def test_vectors_are_too_late():
    with pytest.raises(ShapeError, match='enters the pooling'):
        SimKDLoss()(torch.zeros(1, 3), torch.zeros(1, 3), **same_layers())


def test_compares_the_classifiers_once():
    loss, layers = SimKDLoss(), same_layers()
    sides = torch.zeros(1, 3, 1, 1), torch.zeros(1, 3, 1, 1)
    loss(*sides, **layers)
    with torch.no_grad():
        layers['deployed'].bias[0] += 1
    loss(*sides, **layers)


# ---- in an algorithm -----------------------------------------------------------------

HEAD = 'head.conv_seg'


@MODELS.register_module(force=True)
class SimKDToy(ToyModel):
    def __init__(self, reused=8, **kwargs):
        super().__init__(**kwargs)
        self.head.conv_seg = SimKDClassifier(
            self.channels, reused, self.classes, dense=True)


def algorithm(reused=8, **more):
    link = dict(
        loss=dict(type='mmkd_ext.SimKDLoss'),
        preds_S=dict(of='student', at=f'{HEAD}.projector'),
        preds_T=dict(of='teacher', at=dict(type='ModuleInputs', source=HEAD), item=0),
        deployed=dict(
            of='student', at=dict(type='Module', source=f'{HEAD}.classifier')),
        classifier=dict(of='teacher', at=dict(type='Module', source=HEAD)))
    return MODELS.build(dict(
        type='mmkd_ext.TeacherDistill',
        architecture=dict(type='SimKDToy', channels=4, reused=reused),
        teacher=dict(type='mmkd_ext.ToyModel', channels=8),
        calculate_student_loss=False,
        distiller=dict(type='mmkd_ext.LinkDistiller', links={'loss_simkd': link}),
        **{'inherit': {f'{HEAD}.classifier': HEAD}, **more}))


def test_the_trained_student_predicts_with_the_teachers_classifier(tmp_path):
    model = algorithm()
    model.init_weights()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    model.train()
    for _ in range(2):
        losses = model.loss(**toy_batch())
        assert set(losses) == {'distill.loss_simkd'}
        optimizer.zero_grad()
        losses['distill.loss_simkd'].backward()
        optimizer.step()
    state = model.student.state_dict()
    for name, value in model.teacher.head.conv_seg.named_parameters():
        assert torch.equal(state[f'{HEAD}.classifier.{name}'], value)
    # a plain model of the same config loads it, and its prediction is that of the three
    plain = MODELS.build(dict(type='SimKDToy', channels=4)).eval()
    plain.load_state_dict(state, strict=True)
    inputs = toy_batch()['inputs']
    projected, seen = [], plain.head.conv_seg.projector
    seen.register_forward_hook(lambda *call: projected.append(call[2]))
    logits = plain.head(plain.neck(plain.backbone(inputs))[0])
    torch.testing.assert_close(
        logits, classified(projected[0], model.teacher.head.conv_seg))


def test_a_teachers_classifier_of_another_width_is_found_when_it_is_built():
    with pytest.raises(ConfigError, match=r'gives 12 channels, but .* has 8; set'):
        algorithm(reused=12)


def test_without_the_teachers_classifier_the_first_step_says_so():
    model = algorithm(inherit=None)
    with pytest.raises(ConfigError, match='would predict noise'):
        model.loss(**toy_batch())


# ---- the slow twin, in plain loops from the equation --------------------------------


def slow_pooled_to_smaller(student, teacher):
    def pooled(image, height, width):
        tall, wide = len(image[0]), len(image[0][0])
        result = []
        for channel in image:
            rows = []
            for y in range(height):
                top, bottom = y * tall // height, -(-(y + 1) * tall // height)
                row = []
                for x in range(width):
                    left, right = x * wide // width, -(-(x + 1) * wide // width)
                    cell = [channel[j][i] for j in range(top, bottom)
                            for i in range(left, right)]
                    row.append(sum(cell) / len(cell))
                rows.append(row)
            result.append(rows)
        return result

    height = min(len(student[0][0]), len(teacher[0][0]))
    width = min(len(student[0][0][0]), len(teacher[0][0][0]))
    return tuple([pooled(image, height, width) for image in side]
                 for side in (student, teacher))


@pytest.mark.parametrize('other', [(4, 5), (2, 10), (3, 3), (1, 1)])
def test_equals_its_twin(other):
    student, teacher = doubles(2, 3, 4, 5), doubles(2, 2, *other, seed=1)
    slow = slow_pooled_to_smaller(student.tolist(), teacher.tolist())
    for fast, wanted in zip(pooled_to_smaller(student, teacher), slow):
        torch.testing.assert_close(fast, torch.tensor(wanted, dtype=torch.float64))
