"""CoTTA: who labels a pixel, who follows whom, and what is restored."""

from __future__ import annotations

import adapt_toys as toys
import pytest
import torch
from torch import nn

from mmkd_ext.adaptation.distillers.cotta import choose_labels
from mmkd_ext.errors import ConfigError

pytestmark = pytest.mark.mmseg
SIZE = (16, 32)
COTTA = dict(type='mmkd_ext.CoTTADistiller', views=[1.0, 'flip'])


def test_a_sure_anchor_takes_the_single_view_and_an_unsure_one_the_mean():
    single = torch.tensor([0.8, 0.2]).view(1, 2, 1, 1).expand(1, 2, 1, 3)
    mean = torch.tensor([0.4, 0.6]).view(1, 2, 1, 1).expand(1, 2, 1, 3)
    anchor = torch.tensor([[[0.68, 0.69, 0.70]]])
    found = choose_labels(single, mean, anchor, 0.69)
    assert found.argmax(1).tolist() == [[[1, 1, 0]]]


def test_the_label_is_reported_and_learned():
    """By hand from the passes that the definition names."""
    built = toys.model(dict(COTTA, threshold=0.25, restore=0.0))
    optim = toys.wrapper(built, 0.1)
    toys.stream(built, optim, images=2, size=SIZE)
    net, data = built.architecture, built.data_preprocessor(toys.batch(5, SIZE), False)
    image = data['inputs']

    def ask(model, x):
        logits = model.decode_head(model.backbone(x))
        return nn.functional.interpolate(logits, SIZE, mode='bilinear')

    with torch.no_grad():
        teacher = built.distiller.teacher.module
        single = ask(teacher, image).softmax(1)
        mirrored = ask(teacher, image.flip(-1)).softmax(1).flip(-1)
        anchor = ask(built.source.module, image).softmax(1).amax(1, keepdim=True)
        merged = torch.where(anchor > 0.25, single, (single + mirrored) / 2)
        label = merged.argmax(1)
        # the rule has something to choose here
        assert 0 < (anchor > 0.25).float().mean() < 1
        loss = nn.functional.cross_entropy(ask(net, image), label)
    result = built.adapt_step(toys.batch(5, SIZE), optim, step=2)
    assert torch.equal(result.data_samples[0].pred_sem_seg.data, label)
    assert result.losses['loss_ce'] == pytest.approx(loss.item(), rel=1e-4)


def test_the_teacher_follows_before_the_student_is_restored():
    built = toys.model(dict(COTTA, decay=0.75, restore=1.0))
    teacher, source = built.distiller.teacher.module, built.source.module
    toys.stream(built, toys.wrapper(built, 0.1), images=1, size=SIZE)
    assert all(
        torch.equal(p, source.get_parameter(k))
        for k, p in built.architecture.named_parameters()
    )
    moved = teacher.decode_head.conv_seg.bias - source.decode_head.conv_seg.bias
    assert moved.abs().max() > 0


def test_the_image_itself_is_asked_once():
    def forwards(**settings):
        built = toys.model(dict(COTTA, **settings))
        return built.adapt_step(toys.batch(0), toys.wrapper(built)).counts['forwards']

    # teacher on two views, anchor, student
    assert forwards() == 4
    assert forwards(anchor_views='all') == 5
    # the image is not among the views, so the teacher is asked for it too
    assert forwards(views=['flip']) == 4
    # 25.4 passes for teacher or for an anchor that sees all, as counted on paper
    assert forwards(views='cotta', min_view_side=1) == pytest.approx(25.375 + 2)


def test_asking_the_anchor_for_every_view_changes_nothing():
    def predictions(anchor_views):
        built = toys.model(dict(COTTA, anchor_views=anchor_views))
        return toys.stream(built, toys.wrapper(built, 0.1), size=SIZE)

    pairs = zip(predictions('single'), predictions('all'))
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize('names', ['all', 'published'])
def test_the_restore_covers_attention_unless_told_otherwise(names):
    """`in_proj_*` are what the published filter of names leaves out."""
    built = toys.model(dict(COTTA, restore=1.0, restore_names=names))
    with torch.no_grad():
        for net in (built.architecture, built.source.module):
            net.decode_head.attention = nn.MultiheadAttention(8, 2)
            for parameter in net.decode_head.attention.parameters():
                parameter.fill_(float(net is built.architecture))
    # what is adapted is looked up once
    built.distiller.prepare(built.architecture, built.source.module)
    built.distiller.restore_weights()
    attention = built.architecture.decode_head.attention
    left = {name for name, p in attention.named_parameters() if p.any()}
    expected = set() if names == 'all' else {'in_proj_weight', 'in_proj_bias'}
    assert left == expected


def test_random_views_do_not_move_when_it_is_only_tested():
    built = toys.model(dict(COTTA, views=[1.0, dict(noise=0.5)]))
    generator = built.distiller.view_generator
    before = generator.on('cpu').get_state()
    built.test_step(toys.batch(0, SIZE))
    assert torch.equal(generator.on('cpu').get_state(), before)
    built.adapt_step(toys.batch(0, SIZE), toys.wrapper(built))
    assert not torch.equal(generator.on('cpu').get_state(), before)


def test_wrong_settings_are_named():
    with pytest.raises(ConfigError, match='threshold'):
        toys.model(dict(COTTA, threshold=1.5))
    with pytest.raises(ConfigError, match='Did you mean `single`'):
        toys.model(dict(COTTA, anchor_views='singel'))
