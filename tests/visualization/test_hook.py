"""Pictures during training: they appear, and training does not notice."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from distill_toys import link

from mmkd_ext.errors import ConfigError, DataError, TapError
from mmkd_ext.visualization import draw, probe, samples
from mmkd_ext.visualization.hook import DistillPicturesHook


def hook(**settings):
    return dict(type='mmkd_ext.DistillPicturesHook', **settings)


def images(cfg):
    return sorted(path.name for path in Path(cfg.work_dir).rglob('vis_image/*.png'))


def states(runner):
    found = dict(runner.model.state_dict())
    for i, slots in runner.optim_wrapper.optimizer.state_dict()['state'].items():
        found[f'momentum {i}'] = slots['momentum_buffer']
    return found


@pytest.mark.parametrize('settings', [dict(interval=1), {}])
def test_training_is_the_same_bit_for_bit(make_config, train, settings):
    plain = make_config('plain')
    drawn = make_config('drawn', hooks=[hook(**settings, indices=[0, 2])])
    one, two = train(plain), train(drawn)
    assert images(drawn)
    assert not images(plain)
    expected, found = states(one), states(two)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)


@pytest.mark.parametrize(('settings', 'drawn'), [
    (dict(interval=3, indices=[1, 5]),
     ['cwd_image1_3', 'cwd_image5_3', 'neck_image1_3', 'neck_image5_3']),
    (dict(links=['loss_cwd']), ['cwd_image0_2', 'cwd_image0_4']),  # each validation
])
def test_draws_each_link_and_image_when_asked(make_config, train, settings, drawn):
    cfg = make_config(hooks=[hook(**settings)], length=4)
    train(cfg)
    assert images(cfg) == [f'loss_{name}.png' for name in drawn]


def test_tensorboard_gets_them_too(make_config, train):
    event_accumulator = pytest.importorskip(
        'tensorboard.backend.event_processing.event_accumulator'
    )
    cfg = make_config(
        hooks=[hook(interval=2, links=['loss_cwd'])], length=2,
        visualizer=dict(
            type='Visualizer', vis_backends=[dict(type='TensorboardVisBackend')]
        ),
    )
    train(cfg).visualizer.close()
    (file,) = Path(cfg.work_dir).rglob('events.*')
    events = event_accumulator.EventAccumulator(str(file))
    events.Reload()
    assert events.Tags()['images'] == ['loss_cwd_image0']


@pytest.mark.parametrize(('settings', 'error', 'word'), [
    (dict(links=['loss_cdw']), ConfigError, '`loss_cwd`'),
    (dict(levels=[3]), ConfigError, "'loss_neck'"),
    (dict(indices=[6]), DataError, 'image 6'),
    (None, ConfigError, '`ToyModel`'),  # no distillation
])
def test_mistakes_are_named_before_the_first_step(
    make_config, train, settings, error, word
):
    cfg = make_config(hooks=[hook(**settings or {})])
    if settings is None:
        cfg.model = cfg.model.architecture
    with pytest.raises(error, match=word):
        train(cfg)
    assert not list(Path(cfg.work_dir).glob('iter_*'))


@pytest.mark.parametrize('settings', [
    dict(interval=0), dict(indices=[]), dict(links='loss_cwd'), dict(split='test')])
def test_refuses_wrong_arguments(settings):
    with pytest.raises(ConfigError):
        DistillPicturesHook(**settings)


# ---- the probe ---------------------------------------------------------------------


@pytest.fixture
def algorithm(make_config):
    from mmkd_ext.registry import MODELS

    cfg = make_config('probe')
    torch.manual_seed(1)
    return MODELS.build(cfg.model), cfg


def batch():
    return torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_what_is_drawn_is_what_the_loss_compares(algorithm):
    model, _ = algorithm
    inputs = batch()
    found = {one.link.name: one for one in probe.look(model, inputs, None)}
    model.eval()
    losses = model.loss(inputs, None)
    for name, one in found.items():
        assert one.total == pytest.approx(losses[f'distill.{name}'].item(), abs=1e-6)
    # 4 channels aligned to the teacher's 8
    assert [tuple(s.shape) for s, _ in found['loss_neck'].levels] == [
        (1, 8, 16, 16), (1, 8, 8, 8), (1, 8, 4, 4)]


def test_looking_leaves_no_trace(algorithm):
    model, _ = algorithm
    model.train()
    model.architecture.aux_head.eval()
    modes = [module.training for module in model.modules()]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    expected = torch.rand(1), np.random.rand(), random.random()
    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    probe.look(model, batch(), None)
    assert (torch.rand(1), np.random.rand(), random.random()) == expected
    assert [module.training for module in model.modules()] == modes
    after = model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    for recorder in model.distiller.recorders.values():
        with pytest.raises(TapError):
            recorder.value(recorder.taps[0])
    assert all('forward' not in vars(module) for module in model.modules())


def test_a_generator_inside_a_connector_is_not_advanced(algorithm):
    model, _ = algorithm
    generator = torch.Generator().manual_seed(2)

    class Noisy(torch.nn.Identity):
        generator = None

        def forward(self, x):
            torch.rand(3, generator=self.generator)
            return x

    noisy = Noisy()
    noisy.generator = generator
    model.distiller.aligners['loss_neck'].adapters[0] = torch.nn.Sequential(
        model.distiller.aligners['loss_neck'].adapters[0], noisy
    )
    state = generator.get_state()
    probe.look(model, batch(), None)
    assert torch.equal(generator.get_state(), state)


def test_rows_are_no_maps(make_config):
    from mmkd_ext.registry import MODELS

    flat = dict(item=0, connector=dict(type=torch.nn.Flatten))
    links = dict(loss_kd=link('neck', 'FitNetsLoss', student=flat, teacher=flat))
    cfg = make_config('rows', links=links)
    cfg.model.architecture.channels = 8
    model = MODELS.build(cfg.model)
    with pytest.raises(ConfigError, match='No link compares maps'):
        draw.chosen_links(model)
    with pytest.raises(ConfigError, match="'loss_kd' compares no maps"):
        draw.chosen_links(model, ['loss_kd'])


# ---- the data ----------------------------------------------------------------------

LOAD, RESIZE = dict(type='LoadImageFromFile'), dict(type='mmdet.Resize')
TRUTH = dict(type='mmdet.LoadAnnotations', with_bbox=True)
PACK = dict(type='mmdet.PackDetInputs')


@pytest.mark.parametrize(('val', 'train'), [
    ([LOAD, RESIZE, TRUTH, PACK], []),
    ([LOAD, RESIZE, PACK], [LOAD, TRUTH, dict(type='mmdet.RandomFlip'), PACK]),
])
def test_boxes_are_read_before_the_image_is_resized(val, train):
    assert samples._plain_pipeline(val, train) == [LOAD, TRUTH, RESIZE, PACK]


def test_wrappers_that_mix_images_go_and_those_that_join_stay():
    one = dict(type='CocoDataset', pipeline=[1])
    mixed = dict(type='MultiImageMixDataset', dataset=one, pipeline=[2])
    config = dict(type='ConcatDataset', datasets=[mixed, one])
    plain = dict(type='CocoDataset', pipeline=[LOAD])
    found = samples._with_pipeline(config, [LOAD])
    assert found == dict(type='ConcatDataset', datasets=[plain, plain])


def test_the_picture_is_what_was_normalised():
    from mmengine.model import ImgDataPreprocessor

    image = np.random.default_rng(0).integers(0, 255, (4, 6, 3), np.uint8)
    bgr = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)
    for swap in (True, False):
        preprocessor = ImgDataPreprocessor([1, 2, 3], [4, 5, 6], bgr_to_rgb=swap)
        inputs = preprocessor(dict(inputs=[bgr]))['inputs'][0]
        assert (samples.rgb(inputs, preprocessor) == image).all()
