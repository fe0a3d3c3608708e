"""The toys behave like the models and data that they stand for."""

from __future__ import annotations

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner

from mmkd_ext.errors import ConfigError
from mmkd_ext.registry import DATASETS, METRICS, MODELS
from mmkd_ext.testing.toy import (
    ToyAccuracy,
    ToyDataset,
    ToyModel,
    toy_batch,
    toy_labels,
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return ToyModel()


def calls_of(model, name, **inputs):
    """Runs the model and returns what a hook on a module saw."""
    seen = []
    handle = model.get_submodule(name).register_forward_hook(
        lambda module, args, output: seen.append(output))
    try:
        model(**inputs)
    finally:
        handle.remove()
    return seen


def test_is_registered():
    assert isinstance(MODELS.build(dict(type='mmkd_ext.ToyModel')), BaseModel)
    assert MODELS.get('ToyModel') is ToyModel
    assert DATASETS.get('ToyDataset') is ToyDataset
    assert METRICS.get('ToyAccuracy') is ToyAccuracy


def test_backbone_and_neck_are_pyramids(model):
    images = torch.zeros(2, 3, 16, 24)
    sizes = [(2, 8, 8, 12), (2, 8, 4, 6), (2, 8, 2, 3)]
    for name in ('backbone', 'neck'):
        (maps,) = calls_of(model, name, inputs=images)
        assert isinstance(maps, tuple)
        assert [tuple(x.shape) for x in maps] == sizes


def test_the_head_is_silent_for_hooks_and_its_last_layer_is_not(model):
    images = torch.zeros(2, 3, 16, 16)
    assert calls_of(model, 'head', inputs=images) == []
    (logits,) = calls_of(model, 'head.conv_seg', inputs=images)
    assert logits.shape == (2, 4, 8, 8)


def test_the_shared_convolution_is_called_once_a_level(model):
    assert len(calls_of(model, 'head_shared', inputs=torch.zeros(2, 3, 16, 16))) == 3


def test_the_auxiliary_head_works_in_loss_mode_only(model):
    batch = toy_batch()
    assert calls_of(model, 'aux_head', **batch) == []
    assert calls_of(model, 'aux_head', **batch, mode='predict') == []
    assert len(calls_of(model, 'aux_head', **batch, mode='loss')) == 1


@pytest.mark.parametrize('name', ['backbone.stages.0.norm', 'head.conv'])
@pytest.mark.parametrize('inplace', [True, False])
def test_activations_overwrite_what_is_before_them_if_in_place(name, inplace):
    images = torch.randn(2, 3, 16, 16)
    (output,) = calls_of(ToyModel(inplace=inplace), name, inputs=images)
    assert (output.min() >= 0) == inplace


def test_every_parameter_learns(model):
    losses = model(**toy_batch(), mode='loss')
    assert set(losses) == {'loss_seg', 'loss_aux', 'acc'}
    (losses['loss_seg'] + losses['loss_aux']).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_dropout_is_random_in_training_and_off_in_eval():
    model, images = ToyModel(dropout=0.5), torch.rand(2, 3, 16, 16)
    for name in ('backbone', 'head.conv_seg'):
        first, second = (calls_of(model.train(), name, inputs=images)[0] for _ in 'ab')
        assert not torch.equal(first[0], second[0])
        first, second = (calls_of(model.eval(), name, inputs=images)[0] for _ in 'ab')
        assert torch.equal(first[0], second[0])


def test_predicts_one_sample_an_image_and_keeps_its_truth(model):
    batch = toy_batch(batch=3)
    predictions = model.eval()(**batch, mode='predict')
    assert len(predictions) == 3
    assert predictions[1].pred_sem_seg.data.shape == (1, 16, 16)
    assert predictions[1].img_path == 'toy/1.png'
    assert not hasattr(batch['data_samples'][1], 'pred_sem_seg')
    assert len(model(batch['inputs'], mode='predict')) == 3


def test_refuses_another_mode(model):
    with pytest.raises(ConfigError, match='Did you mean `tensor`'):
        model(torch.zeros(1, 3, 16, 16), mode='tensors')


def test_labels_are_steps_of_brightness():
    images = torch.tensor([0.0, 0.2, 0.3, 0.99, 1.0, -0.1]).view(1, 1, 2, 3)
    labels = toy_labels(images.expand(1, 3, 2, 3), classes=4)
    assert labels.flatten().tolist() == [0, 0, 1, 3, 0, 3]


def test_items_depend_on_seed_and_index_alone():
    first, again = ToyDataset(4, seed=1), ToyDataset(9, seed=1)
    assert torch.equal(first[2]['inputs'], again[2]['inputs'])
    assert not torch.equal(first[2]['inputs'], first[1]['inputs'])
    assert not torch.equal(first[2]['inputs'], ToyDataset(4, seed=2)[2]['inputs'])


def test_accuracy_is_the_share_of_right_pixels():
    metric = ToyAccuracy()
    right = torch.tensor([[0, 1], [2, 3]])
    metric.process(None, [{'pred_sem_seg': {'data': right},
                           'gt_sem_seg': {'data': torch.tensor([[0, 1], [2, 0]])}}])
    assert metric.evaluate(size=1) == {'toy/acc': 0.75}


def test_a_runner_trains_it_to_better_than_chance(tmp_path):
    torch.manual_seed(0)

    def loader(length, seed):
        return dict(batch_size=4, sampler=dict(type='DefaultSampler', shuffle=False),
                    dataset=dict(type='mmkd_ext.ToyDataset', length=length, seed=seed))

    runner = Runner(
        model=dict(type='mmkd_ext.ToyModel', mean=[0.5] * 3, std=[0.25] * 3),
        work_dir=str(tmp_path), train_dataloader=loader(16, 0),
        train_cfg=dict(by_epoch=True, max_epochs=15, val_interval=15),
        optim_wrapper=dict(optimizer=dict(type='Adam', lr=0.01)),
        val_dataloader=loader(4, 1), val_cfg={},
        val_evaluator=dict(type='mmkd_ext.ToyAccuracy'),
        default_hooks=dict(checkpoint=None), log_level='ERROR',
        experiment_name=tmp_path.name, default_scope='mmengine')
    runner.train()
    assert runner.message_hub.get_scalar('val/toy/acc').current() > 0.5
