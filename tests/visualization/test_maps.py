"""From tensors to columns: each map against numbers made by hand."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mmkd_ext.distillers.links import Link, Source, Tap
from mmkd_ext.methods.cwd import CWDLoss
from mmkd_ext.methods.defeat import DeFeatLoss
from mmkd_ext.methods.fgd import FGDLoss
from mmkd_ext.methods.fgfi import FGFILoss
from mmkd_ext.visualization import columns, figure, samples
from mmkd_ext.visualization.probe import Comparison


class Head(nn.Module):
    """Has what tells logits from features."""

    def __init__(self, **facts):
        super().__init__()
        self.conv_seg = nn.Conv2d(2, 3, 1)
        self.retina_cls = nn.Conv2d(2, 6, 1)
        self.gfl_reg = nn.Conv2d(2, 8, 1)
        self.conv = nn.Conv2d(2, 3, 1)
        self.num_classes = 3
        vars(self).update(facts)


def model(**facts):
    return nn.ModuleDict({'head': Head(**facts), 'neck': nn.Identity()})


def tap(at, **more):
    return Tap('student', Source('ModuleOutputs', at), **more)


def compared(student, teacher, at='neck', **more):
    link = Link('loss_x', {}, {'preds_S': tap(at), 'preds_T': tap(at)})
    levels = list(zip(student, teacher))
    return Comparison(link, more.pop('loss', CWDLoss()), {}, levels, {}, None, **more)


def panels(comparison, one=None, **more):
    rows = columns.rows_of(comparison, one or model(), **more)
    return {panel.title: panel for panel in rows[0].panels}


def test_features_are_shown_by_their_mean_magnitude_and_difference():
    student = torch.tensor([[1.0, -3.0], [2.0, 0.0]]).reshape(1, 2, 1, 2)
    teacher = torch.tensor([[-1.0, 3.0], [4.0, 0.0]]).reshape(1, 2, 1, 2)
    shown = panels(compared([student], [teacher]))
    assert shown['student'].values.tolist() == [[1.5, 1.5]]
    assert shown['teacher'].values.tolist() == [[2.5, 1.5]]
    # |-1 - 1| and |4 - 2| are 2 and 2; |3 + 3| and 0 are 6 and 0
    assert shown['difference'].values.tolist() == [[2.0, 3.0]]


def test_teacher_and_student_share_a_scale_and_the_difference_has_its_own():
    shown = panels(compared([torch.ones(1, 2, 2, 2)], [torch.zeros(1, 2, 2, 2)]))
    assert shown['teacher'].scale == shown['student'].scale
    assert shown['teacher'].scale != shown['difference'].scale
    own = panels(
        compared([torch.ones(1, 2, 2, 2)], [torch.zeros(1, 2, 2, 2)]), own_scales=True
    )
    assert len({panel.scale for panel in own.values()}) == 3


def test_class_logits_are_shown_as_probabilities_and_classes():
    ln2 = float(np.log(2.0))
    teacher = torch.tensor([ln2, 0.0, 0.0]).reshape(1, 3, 1, 1)  # 1/2, 1/4, 1/4
    student = torch.tensor([0.0, ln2, 0.0]).reshape(1, 3, 1, 1)  # 1/4, 1/2, 1/4
    comparison = compared([student], [teacher], 'head.conv_seg')
    palette = [(1, 0, 0), (2, 0, 0), (3, 0, 0)]
    truth = np.array([[2, 255]])
    maps, classes = columns.rows_of(
        comparison, model(), palette=palette, truth=truth
    )
    values = [float(panel.values.item()) for panel in maps.panels]
    assert values == pytest.approx([0.5, 0.5, 0.25])
    found = [panel.values[0, 0, 0] for panel in classes.panels]
    assert found == [1, 2, 1]  # the teacher's class where they differ
    assert classes.below.values[0].tolist() == [[3, 0, 0], [0, 0, 0]]
    comparison = compared([student], [student], 'head.conv_seg')
    _, same = columns.rows_of(comparison, model(), palette=palette)
    assert not same.panels[2].values.any()


def test_scores_of_a_sigmoid_head_are_its_highest_score():
    logits = torch.zeros(1, 6, 1, 1)
    head = model(cls_out_channels=3, use_sigmoid_cls=True)
    shown = panels(compared([logits - 100], [logits], 'head.retina_cls'), head)
    assert shown['teacher'].values.item() == pytest.approx(0.5)
    assert shown['difference'].values.item() == pytest.approx(0.5)


def test_distributions_of_edges_are_shown_by_their_entropy():
    flat = torch.zeros(1, 8, 1, 1)  # 4 edges, 2 bins each: ln 2 nats
    sure = torch.tensor([100.0, -100.0] * 4).reshape(1, 8, 1, 1)
    shown = panels(compared([sure], [flat], 'head.gfl_reg'), model(reg_max=1))
    assert shown['teacher'].values.item() == pytest.approx(np.log(2))
    assert shown['student'].values.item() == pytest.approx(0)
    assert shown['difference'].values.item() == pytest.approx(0.5)


@pytest.mark.parametrize(('at', 'channels', 'facts', 'name'), [
    ('neck', 3, {}, 'mean |activation| over channels'),
    ('head.conv_seg', 3, {}, 'probability of the likeliest class'),
    ('head.conv_seg', 4, {}, 'mean |activation| over channels'),
    ('head.retina_cls', 6, dict(cls_out_channels=3), 'highest class score'),
    ('head.conv', 6, dict(cls_out_channels=3), 'mean |activation| over channels'),
    ('head.gfl_reg', 8, dict(reg_max=1), 'entropy of an edge, mean of four, in nats'),
])
def test_tells_logits_from_features(at, channels, facts, name):
    head = model(**facts)
    assert columns.kind_of(head, tap(at), channels).name == name
    # what a connector makes is a feature
    assert columns.kind_of(head, tap(at, connector='x'), channels) is columns.FEATURES


def test_sides_of_other_sizes_are_compared_by_their_strength():
    student, teacher = torch.ones(1, 2, 2, 2), 3 * torch.ones(1, 5, 4, 4)
    shown = panels(compared([student], [teacher]))
    assert shown['difference'].values.shape == (4, 4)
    assert np.allclose(shown['difference'].values, 2)


def test_only_the_levels_that_are_asked_for():
    levels = [torch.ones(1, 2, n, n) for n in (8, 4, 2)]
    rows = columns.rows_of(compared(levels, levels), model(), levels=[2, 0])
    assert [row.name for row in rows] == ['level 2: 2 x 2', 'level 0: 8 x 8']


@pytest.mark.parametrize('count', [1, 19, 50])
def test_every_class_has_a_colour(count):
    assert columns.colour_table(None, count).shape == (count, 3)
    assert columns.colour_table([(1, 2, 3)], count).shape == (count, 3)


# ---- what methods add --------------------------------------------------------------


def sample(*boxes):
    return SimpleNamespace(
        gt_instances=SimpleNamespace(bboxes=torch.tensor(boxes).reshape(-1, 4)),
        metainfo=dict(batch_input_shape=(64, 64), img_shape=(64, 64)),
    )


def own(loss, **values):
    levels = [torch.ones(1, 4, 8, 8), torch.ones(1, 4, 4, 4)]
    comparison = dataclasses.replace(
        compared(levels, levels, loss=loss), values=values)
    return columns.own_panels(comparison)


def test_fgd_shows_its_masks_and_attentions():
    # 16 x 32 pixels are 2 x 4 cells of stride 8 and 1 x 2 of stride 16; FGD counts
    # the cell after the last one too
    loss = FGDLoss(channels=4, levels=2)
    fine, coarse = own(loss, data_samples=[sample([0.0, 0.0, 32.0, 16.0])])
    titles = [panel.title for panel in fine]
    assert titles == [
        'foreground mask', 'background mask', 'attention, teacher',
        'attention, student']
    foreground, background, *attention = (panel.values for panel in fine)
    assert np.allclose(foreground[:3, :5], 1 / 15)
    assert foreground.sum() == pytest.approx(1)
    assert np.allclose(background[3:], 1 / 49)
    assert all(np.allclose(one, 1) for one in attention)
    assert np.allclose(coarse[0].values[:2, :3], 1 / 6)
    # an image without boxes is all background
    fine, _ = own(loss, data_samples=[sample()])
    assert not fine[0].values.any()
    assert np.allclose(fine[1].values, 1 / 64)


def test_defeat_shows_each_box_on_one_level():
    loss = DeFeatLoss(finest_scale=8.0)
    boxes = [[0.0, 0.0, 8.0, 8.0], [32.0, 32.0, 64.0, 64.0]]
    (fine,), (coarse,) = own(loss, data_samples=[sample(*boxes)])
    assert fine.values.sum() == 1
    assert coarse.values.sum() == 4
    assert fine.values[0, 0] == coarse.values[3, 3] == 1


def test_fgfi_shows_where_anchors_fit():
    anchors = [torch.zeros(n * n, 4) for n in (8, 4)]
    anchors[1][5] = torch.tensor([16.0, 16.0, 32.0, 32.0])
    prior = SimpleNamespace(grid_priors=lambda sizes, device: anchors)
    head = SimpleNamespace(prior_generator=prior)
    (fine,), (coarse,) = own(
        FGFILoss(), data_samples=[sample([16.0, 16.0, 32.0, 32.0])], head=head)
    assert not fine.values.any()
    assert np.argwhere(coarse.values).tolist() == [[1, 1]]


def test_regions_of_ld_stand_on_scales_of_their_own():
    level = torch.ones(1, 4, 8, 8)
    regions = {'main': [0.1 * torch.ones(1, 8, 8)], 'vlr': [torch.ones(1, 8, 8)]}
    comparison = dataclasses.replace(compared([level], [level]), regions=regions)
    (found,) = columns.own_panels(comparison)
    assert [panel.title for panel in found] == ['main', 'vlr']
    assert found[0].scale != found[1].scale


# ---- places on the picture ---------------------------------------------------------


def picture(image=(100, 150), padded=(128, 160), boxes=()):
    return samples.Scene(
        0, 'x.png', torch.zeros(1, 3, *padded), None, np.zeros((*image, 3), np.uint8),
        np.asarray(boxes, np.float32).reshape(-1, 4), np.zeros(len(boxes), np.int64),
        None,
    )


@pytest.mark.parametrize(('shape', 'extent', 'sizes'), [
    ((16, 20), (0, 160, 128, 0), ()),  # stride 8, padding included
    ((8, 10), (0, 160, 128, 0), ()),
    ((2, 3), (0, 192, 128, 0), ()),  # stride 64: 160 / 64 is rounded up
    ((100, 150), (0, 150, 100, 0), ()),  # the image itself
    ((64, 40), (0, 160, 128, 0), ()),  # other strides up and across
    ((4, 6), (0, 84, 56, 0), ((50, 80), (56, 84))),  # patches of 14 pixels
])
def test_a_map_covers_the_padded_image(shape, extent, sizes):
    panel = columns.Panel('x', np.zeros(shape), 's')
    assert figure._extent(panel, picture(*sizes)) == pytest.approx(extent)


@pytest.mark.parametrize(('values', 'limits', 'scale'), [
    ([1.0, 3.0], (1, 3), {}),
    ([1.0, 3.0], (0, 3), dict(low=0.0)),
    ([1.0, np.nan, np.inf], (0, 1), dict(low=0.0)),
    ([0.0, 0.0], (0, 1), dict(low=0.0)),
    ([2.0, 2.0], (2, 4), {}),
    ([0.0, 0.25, 0.5], (0.25, 0.5), dict(log=True)),
    ([0.0, 0.0], (1, 2), dict(log=True)),
    ([-2.0, -2.0], (-2, 0), {}),
])
def test_scales_have_two_ends(values, limits, scale):
    panel = columns.Panel('x', np.array([values]), 's', **scale)
    assert figure._limits([panel]) == limits


def page(rows, **more):
    return figure.Page('title', 'second line', picture(**more), rows)


def test_a_figure_keeps_the_aspect_ratio():
    """A map of one value fills its panel, whose sides are as the image's."""
    panel = columns.Panel('x', np.ones((16, 20)), 's', 'Reds', 0.0, 1.0)
    drawn = figure.draw(page([columns.Row('r', [panel])]))
    # the last colour of Reds
    dark = np.abs(drawn.astype(int) - (103, 0, 13)).max(-1) <= 3
    rows, cols = (np.flatnonzero(dark.sum(i) > 50) for i in (1, 0))
    assert np.ptp(cols) / np.ptp(rows) == pytest.approx(1.5, rel=0.03)


@pytest.mark.parametrize('boxes', [(), [(10, 10, 40, 30)], [(-5, -5, 900, 20)]])
@pytest.mark.parametrize('values', [
    np.ones((16, 20)), np.full((16, 20), np.nan), np.zeros((16, 20)),
    np.zeros((16, 20, 3), np.uint8),
])
def test_draws_whatever_comes(boxes, values):
    scale = 's' if values.ndim == 2 else ''
    rows = [columns.Row('r', [columns.Panel('x', values, scale)]) for _ in range(2)]
    drawn = figure.draw(page(rows, boxes=boxes))
    assert drawn.dtype == np.uint8
    assert drawn.shape[2] == 3
    assert drawn.std() > 0


def test_a_shared_scale_gives_equal_values_equal_colours():
    one = columns.Panel('a', np.array([[0.0, 1.0]]), 's')
    two = columns.Panel('b', np.array([[1.0, 2.0]]), 's')
    drawn = figure.draw(page([columns.Row('r', [one, two])], image=(64, 128),
                             padded=(64, 128)))
    # viridis in the middle, (33, 145, 140): right half of one, left half of two
    middle = (np.abs(drawn.astype(int) - (33, 145, 140)).max(-1) <= 2).sum(0)
    tall = np.flatnonzero(middle > middle.max() * 0.9)
    assert np.count_nonzero(np.diff(tall) > 1) <= 1
    assert tall.size > 100


def test_the_png_is_the_picture():
    import io

    from PIL import Image

    image = np.random.default_rng(0).integers(0, 255, (5, 7, 3), np.uint8)
    assert (np.asarray(Image.open(io.BytesIO(figure.to_png(image)))) == image).all()
