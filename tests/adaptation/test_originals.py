"""Scaled views from the picture before the pipeline resized it, and their bound."""

from __future__ import annotations

import adapt_toys as toys
import mmcv
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose

from mmkd_ext.adaptation.samples import without_truth
from mmkd_ext.adaptation.views import COTTA_VIEWS, View, bounded_views
from mmkd_ext.datasets import KeepOriginal
from mmkd_ext.errors import ConfigError, DataError

pytestmark = pytest.mark.mmseg
COTTA = dict(type='mmkd_ext.CoTTADistiller', views=[1.0, 2.0], min_view_side=1)
TENT = dict(type='mmkd_ext.TentDistiller')
PACK = dict(type='mmseg.PackSegInputs')


@pytest.fixture(autouse=True)
def scope():
    """Registers the transforms of mmseg."""
    import mmseg.datasets  # noqa: F401


def photo(seed=0, size=(64, 128)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def load(image, *before, keep=True, scale=(64, 32)):
    """One picture through a pipeline that resizes it."""
    rest = [dict(type='Resize', scale=scale, keep_ratio=True), *before, PACK]
    steps = [dict(type='mmkd_ext.KeepOriginal', transforms=rest)] if keep else rest
    results = dict(
        img=image,
        img_path='a.png',
        img_shape=image.shape[:2],
        ori_shape=image.shape[:2],
    )
    packed = Compose(steps)(results)
    return dict(inputs=[packed['inputs']], data_samples=[packed['data_samples']])


def asked(built, data):
    """Views that the teacher is shown."""
    seen = []
    run = built.distiller.run
    built.distiller.run = lambda model, inputs, **more: (
        seen.append(inputs) or run(model, inputs, **more)
    )
    with torch.no_grad():
        built.test_step(data)
    return seen


def normalised(image):
    """As the toy's preprocessor does it."""
    rgb = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1).float()
    return ((rgb - 120) / 60).unsqueeze(0)


def test_a_view_of_twice_the_size_is_the_original():
    image = photo()
    views = asked(toys.model(COTTA), load(image))
    torch.testing.assert_close(views[1], normalised(image))
    # without it, the input is blown up, and shows nothing more
    blown = asked(toys.model(COTTA), load(image, keep=False))[1]
    small = views[0]
    expected = torch.nn.functional.interpolate(small, (64, 128), mode='bilinear')
    torch.testing.assert_close(blown, expected)
    assert (blown - views[1]).abs().mean() > 0.3


@pytest.mark.parametrize('scale', [0.5, 0.75, 1.5, 1.75])
def test_a_view_is_the_original_resized_as_the_pipeline_would(scale):
    image = photo()
    built = toys.model(dict(COTTA, views=[1.0, scale]))
    view = asked(built, load(image))[1]
    height, width = round(32 * scale), round(64 * scale)
    # to a step of rounding of the 8 bits, which are 1 / 60 here
    expected = normalised(mmcv.imresize(image, (width, height)))
    torch.testing.assert_close(view, expected, atol=1.01 / 60, rtol=0)


def test_a_mirrored_picture_has_a_mirrored_original():
    image = photo()
    flip = dict(type='RandomFlip', prob=1.0, direction='horizontal')
    view = asked(toys.model(COTTA), load(image, flip))[1]
    torch.testing.assert_close(view, normalised(image[:, ::-1]))


def test_padding_of_the_input_is_padding_of_the_view():
    image = photo(size=(60, 128))
    built = toys.model(COTTA)
    built.data_preprocessor.test_cfg = dict(size_divisor=32)
    views = asked(built, load(image))
    assert views[0].shape[2:] == (32, 64)
    assert views[1].shape[2:] == (64, 128)
    torch.testing.assert_close(views[1][:, :, :60], normalised(image))
    assert not views[1][:, :, 60:].any()


def test_the_original_reaches_a_step_and_costs_other_methods_nothing():
    data = load(photo())
    blind = dict(data, data_samples=without_truth(data['data_samples']))
    built = toys.model(COTTA)
    seen = asked(built, blind)
    result = built.adapt_step(blind, toys.wrapper(built))
    assert result.data_samples[0].pred_sem_seg.data.shape == (1, 64, 128)
    plain = toys.model(COTTA)
    found = asked(plain, load(photo()))
    assert all(torch.equal(a, b) for a, b in zip(seen, found))
    predictions = []
    for keep in (True, False):
        tent = toys.model(TENT)
        result = tent.adapt_step(load(photo(), keep=keep), toys.wrapper(tent))
        predictions.append(result.data_samples[0].seg_logits.data)
    assert torch.equal(*predictions)


def test_where_nothing_is_resized_nothing_is_kept():
    data = load(photo(size=(32, 64)))
    assert 'original' not in data['data_samples'][0]


def test_wrong_transforms_are_named():
    with pytest.raises(ConfigError, match='is empty'):
        KeepOriginal([])
    keep = KeepOriginal([dict(type='Resize', scale=(64, 32))])
    with pytest.raises(DataError, match='must pack'):
        keep(dict(img=photo()))


# ---- how small a view may be ------------------------------------------------------


def test_the_published_views_of_acdc_stay_as_they_are():
    assert bounded_views(COTTA_VIEWS, (540, 960), 256) == COTTA_VIEWS


def test_a_small_picture_is_not_shrunk():
    found = bounded_views(COTTA_VIEWS, (128, 256), 256)
    assert {view.scale for view in found} == {1.0, 1.25, 1.5, 1.75, 2.0}
    assert len(found) == 10
    # alone, it is still a view
    assert bounded_views([View(scale=0.5)], (128, 256), 256) == (View(),)


def test_a_bounded_view_is_what_the_teacher_sees():
    views = [1.0, 'flip', 0.5]
    free = toys.model(dict(COTTA, views=views))
    bounded = toys.model(dict(COTTA, views=views, min_view_side=32))
    shapes = [
        [tuple(view.shape[2:]) for view in asked(built, toys.batch(0))]
        for built in (free, bounded)
    ]
    # teacher, then the anchor on the picture itself
    assert shapes[0] == [(32, 64), (32, 64), (16, 32), (32, 64)]
    assert shapes[1] == [(32, 64), (32, 64), (32, 64)]


# ---- through the loop -------------------------------------------------------------


def test_a_whole_stream_makes_its_views_from_the_originals(tmp_path):
    import adapt_runs as runs

    runs.draw(tmp_path / 'data', domains=('fog',), size=(64, 128), images=2)
    source = runs.source(tmp_path / 'source.pth')
    resize = dict(type='Resize', scale=(64, 32), keep_ratio=True)
    rest = [resize, dict(type='mmseg.LoadAnnotations'), PACK]
    keep = [dict(type='mmkd_ext.KeepOriginal', transforms=rest)]
    found = {}
    for name, steps in (('kept', keep), ('resized', rest)):
        config = runs.config(
            tmp_path / 'data',
            tmp_path / name,
            COTTA,
            domains=('fog',),
            keep=tmp_path / f'{name}-labels',
            rounds=1,
        )
        pipeline = [dict(type='LoadImageFromFile'), *steps]
        config.test_cfg.domains[0].dataloader.dataset.pipeline = pipeline
        runs.run(config, source)
        files = sorted((tmp_path / f'{name}-labels').iterdir())
        found[name] = np.stack([np.load(file) for file in files])
    assert found['kept'].shape == (2, 1, 64, 128)
    assert (found['kept'] != found['resized']).any()
