"""The guard: what it measures, what it answers, and that it stops a collapse."""

from __future__ import annotations

import copy
import io
from types import SimpleNamespace

import adapt_toys as toys
import pytest
import torch

from mmkd_ext.adaptation.batch import Batch
from mmkd_ext.adaptation.guard import CollapseGuard
from mmkd_ext.adaptation.signals import compare, textured, valid_pixels
from mmkd_ext.errors import ConfigError, ShapeError

pytestmark = pytest.mark.mmseg
FAIR = [0, 0, 1, 1, 2, 2, 3, 3]  # the source: four classes, equally often
ALMOST = [0, 0, 1, 1, 2, 2, 3, 0]
HALF = [0, 0, 0, 0, 1, 1, 1, 1]
ONE = [0] * 8
SWAPPED = [1, 1, 2, 2, 3, 3, 0, 0]


def scores(labels, sure=100.0):
    """Logits (1 4 2 n/2) of these labels; `sure=1e-3` is almost undecided."""
    hot = torch.nn.functional.one_hot(torch.tensor(labels), 4) * sure
    return hot.T.reshape(1, 4, 2, -1).float()


def image(labels=FAIR, blank=False):
    """A batch whose pixels all differ, or none."""
    inputs = torch.arange(3.0 * len(labels)).reshape(1, 3, 2, -1)
    return Batch(inputs * (not blank), [SimpleNamespace(metainfo={})])


def measured(ours, theirs, **settings):
    valid = torch.ones(len(ours), *ours.shape[2:], dtype=torch.bool)
    return compare(ours, theirs, valid, **settings)


def tell(guard, labels, blank=False):
    """Lets a guard judge one image, as the algorithm does."""
    theirs = scores(FAIR) if guard.needs_source else None
    return guard.decide(image(labels, blank), scores(labels), theirs)


def told(guard, labels, images):
    return [tell(guard, labels).action for _ in range(images)]


# ---- the signal -------------------------------------------------------------------


@pytest.mark.parametrize(
    ('labels', 'kept', 'differ'),
    [
        # the source is sure, so it is the mean IoU of four classes with its labels
        (FAIR, 1, 0),
        (ONE, (2 / 8) / 4, 6 / 8),
        (HALF, (2 / 4) / 4, 6 / 8),
        (ALMOST, (2 / 3 + 1 + 1 + 1 / 2) / 4, 1 / 8),
        (SWAPPED, 0, 1),
    ],
)
def test_what_is_lost_by_hand(labels, kept, differ):
    found = measured(scores(labels), scores(FAIR))
    assert found['lost'] == pytest.approx(1 - kept, abs=1e-6)
    assert found['disagreement'] == pytest.approx(differ)
    assert found['source_classes'] == 4


def slow_lost(ours, theirs, min_share):
    """The equation, pixel by pixel; logits are lists of lists of numbers."""
    p, q = (
        torch.tensor(x, dtype=torch.float64).softmax(1).tolist() for x in (ours, theirs)
    )
    sums = []
    for side in (p, q):
        total = 0.0
        for k in range(len(side[0])):
            share = sum(pixel[k] for pixel in q)
            if share <= min_share * len(q):
                continue
            hits, wrong = 0.0, 0.0
            for pixel, own in zip(q, side):
                if own.index(max(own)) == k:
                    hits += pixel[k]
                    wrong += 1 - pixel[k]
            total += hits / (share + wrong)
        sums.append(total)
    return 1 - sums[0] / sums[1]


@pytest.mark.parametrize('min_share', [0.0, 0.15])
def test_it_is_the_equation_over_all_pixels_of_a_batch(min_share):
    generator = torch.Generator().manual_seed(0)
    ours, theirs = torch.randn(2, 2, 5, 3, 4, generator=generator)
    theirs[:, 4] -= 2  # a rare class
    flat = [x.movedim(1, -1).reshape(-1, 5).tolist() for x in (ours, theirs)]
    found = measured(ours, theirs, min_share=min_share)['lost']
    assert found == pytest.approx(slow_lost(*flat, min_share), abs=1e-5)
    logs = measured(ours.log_softmax(1), theirs, min_share=min_share)['lost']
    assert logs == pytest.approx(found, abs=1e-5)


def test_to_differ_costs_less_where_the_source_is_unsure():
    # e / (e + 3) for its label, a third of the rest for others; each class has 2 pixels
    own, other = 0.4754, 0.1749
    ours = (2 * own + other) / (5 - 2 * own - other) + own / (3 - own)
    theirs = 2 * own / (4 - 2 * own)
    found = measured(scores(ALMOST), scores(FAIR, sure=1.0))['lost']
    assert found == pytest.approx(1 - (ours + 2 * theirs) / (4 * theirs), abs=1e-3)
    assert found < measured(scores(ALMOST), scores(FAIR))['lost']
    # and how sure the model is does not matter
    assert found == measured(scores(ALMOST, sure=1.0), scores(FAIR, sure=1.0))['lost']


def test_a_source_of_one_class_has_nothing_to_lose():
    assert measured(scores(ONE), scores(ONE))['lost'] == 0


def test_the_source_may_be_smaller():
    big = scores([0, 0, 1, 1] * 4).repeat_interleave(2, 2)  # 4 x 8
    assert measured(big, scores([0, 1] * 4))['lost'] == pytest.approx(0)


def test_another_number_of_classes_is_an_error():
    with pytest.raises(ShapeError):
        measured(scores(FAIR)[:, :3], scores(FAIR))


def test_pixels_that_do_not_count_change_nothing():
    ours, theirs = scores([1, *FAIR[1:-1], 0]), scores(FAIR)
    ours[0, :, 0, 0] = float('nan')
    sample = SimpleNamespace(metainfo=dict(img_padding_size=(0, 1, 0, 0)))
    valid = valid_pixels(ours, [sample])
    assert valid.int().tolist() == [[[0, 1, 1, 0], [1, 1, 1, 0]]]
    # the two that differ are left out
    assert compare(ours, theirs, valid)['lost'] == pytest.approx(0)
    nothing = compare(ours, theirs, torch.zeros_like(valid))
    assert nothing == {'lost': 0, 'disagreement': 0, 'source_classes': 0}


def test_a_frame_that_failed_is_blank():
    inputs = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    assert textured(inputs).all()
    inputs[:, :, 2:] = 0.5  # the lower rows
    assert textured(inputs)[0].int().sum(1).tolist() == [6, 6, 6, 0, 0, 0]
    inputs[0, 1, 0, 0] = float('nan')
    assert not textured(inputs)[0, 0, 0]


# ---- answers ----------------------------------------------------------------------


def test_a_healthy_stream_is_let_alone():
    guard = CollapseGuard(patience=1, limit=0.25)
    decisions = [tell(guard, labels) for labels in [ALMOST, FAIR] * 3]
    assert {(d.action, d.answer) for d in decisions} == {('continue', False)}


@pytest.mark.parametrize(('limit', 'action'), [(0.21, 'continue'), (0.2, 'skip')])
def test_an_image_in_doubt_is_the_source_s_to_answer_and_not_learned_from(
    limit, action
):
    guard = CollapseGuard(limit=limit)
    decision = tell(guard, ALMOST)
    assert (decision.action, decision.answer) == (action, action == 'skip')
    assert decision.signals['lost'] == pytest.approx(5 / 24)
    decision = tell(guard, FAIR)
    assert (decision.action, decision.answer) == ('continue', False)


def test_doubts_in_a_row_are_a_reset_and_others_are_not():
    guard = CollapseGuard(patience=3)
    assert told(guard, HALF, 2) == ['skip'] * 2
    assert told(guard, FAIR, 1) == ['continue']
    assert told(guard, HALF, 7) == ['skip', 'skip', 'reset'] * 2 + ['skip']
    decision = [tell(guard, ONE) for _ in range(2)][-1]
    assert decision.action == 'reset'
    assert decision.answer
    assert 'lost 94% of the expected IoU, limit 15%, 3 images' in decision.reason


@pytest.mark.parametrize(('labels', 'asked'), [
    (FAIR, [True, False, False, True, False, False, True]),
    (HALF, [True] * 7),
])  # fmt: skip
def test_it_asks_the_source_for_every_nth_image_and_for_all_in_doubt(labels, asked):
    guard, found = CollapseGuard(every=3), []
    for _ in asked:
        found.append(guard.needs_source)
        tell(guard, labels)
    assert found == asked


def test_a_blank_image_is_skipped_and_forgotten():
    guard = CollapseGuard(patience=2)
    decision = tell(guard, ONE, blank=True)
    assert (decision.action, decision.signals) == ('skip', {'valid': 0.0})
    assert tell(guard, ONE).action == 'skip'
    assert tell(guard, ONE, blank=True).action == 'skip'
    assert tell(guard, ONE).action == 'reset'


def test_weights_that_predict_nothing_finite_are_left_at_once():
    broken = scores(FAIR) * float('nan')
    for theirs in (None, scores(FAIR)):
        decision = CollapseGuard().decide(image(), broken, theirs)
        assert (decision.action, decision.answer) == ('reset', True)
    # the source's too: then it is the image
    assert CollapseGuard().decide(image(), broken, broken).action == 'skip'


@pytest.mark.parametrize('stop', [1, 3, 6, 11, 15])
def test_resumed_it_answers_as_if_it_had_never_stopped(stop):
    stream = [FAIR, HALF, ONE, SWAPPED] * 2 + [HALF] * 5 + [FAIR] * 4 + [ONE] * 2
    settings = dict(patience=3, every=2)
    straight = CollapseGuard(**settings)
    expected = [tell(straight, labels) for labels in stream]
    assert len({decision.action for decision in expected}) == 3
    first, second = CollapseGuard(**settings), CollapseGuard(**settings)
    found = [tell(first, labels) for labels in stream[:stop]]
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second.load_state_dict(torch.load(file, weights_only=True))
    found += [tell(second, labels) for labels in stream[stop:]]
    assert found == expected


def test_a_new_stream_starts_from_nothing():
    guard = CollapseGuard(every=2)
    told(guard, ONE, 3)
    guard.reset()
    assert guard.get_extra_state() == {'seen': 0, 'doubts': 0}
    assert guard.needs_source


@pytest.mark.parametrize(('settings', 'message'), [
    (dict(limit=0), 'limit'),
    (dict(patience=0), 'patience'),
    (dict(source_norm='methd'), 'Did you mean `method`'),
    (dict(source_scale=0), 'source_scale'),
])  # fmt: skip
def test_wrong_settings_say_what_is_wrong(settings, message):
    with pytest.raises(ConfigError, match=message):
        CollapseGuard(**settings)


# ---- in a stream ------------------------------------------------------------------

TENT = dict(type='mmkd_ext.TentDistiller', statistics='source')
GUARD = dict(type='mmkd_ext.CollapseGuard', patience=4)


def lively(guard=None, **distiller):
    """A random network whose classes are made equally likely, by one pass."""
    built = toys.model(dict(TENT, **distiller), guard=guard, width=4)
    head = built.architecture.decode_head.conv_seg
    kept = []
    handle = head.register_forward_pre_hook(lambda _, x: kept.append(x[0]))
    with torch.no_grad():
        for i in range(3):
            built.test_step(toys.batch(i))
        handle.remove()
        features = torch.cat(kept).transpose(0, 1).flatten(1)
        weight = torch.randn(
            head.weight.shape[:2], generator=torch.Generator().manual_seed(0)
        )
        weight /= (weight @ features).std(1, keepdim=True)
        head.weight.copy_(2 * weight[:, :, None, None])
        head.bias.copy_(-2 * (weight @ features).mean(1))
    built.started = False
    built.start()
    return built


def classes_of(built, lr, images=20):
    """Number of classes of each image of a stream, and the events."""
    optim = toys.wrapper(built, lr, torch.optim.Adam)
    counts, events = [], []
    for i in range(images):
        result = built.adapt_step(toys.batch(i), optim, step=i)
        counts.append(result.data_samples[0].pred_sem_seg.data.unique().numel())
        events += [event['action'] for event in result.events]
    return counts, events


@pytest.fixture(scope='module')
def source_classes():
    return classes_of(lively(), 0.0)[0]


def test_a_forced_collapse_is_stopped(source_classes):
    assert min(source_classes) >= 4
    everything = dict(trainable='all')
    free, _ = classes_of(lively(**everything), 0.05)
    assert set(free[-8:]) == {1}
    built = lively(GUARD, **everything)
    guarded, events = classes_of(built, 0.05)
    assert 'reset' in events
    # no image is answered by a model that has lost most classes
    assert all(2 * n >= own for n, own in zip(guarded, source_classes))
    assert sum(guarded) > 2 * sum(free)
    # and all of it is in the state that a stream saves
    assert built.state_dict()['guard._extra_state']['seen'] == 20


def test_what_is_reported_in_doubt_is_the_source_s_own_prediction():
    built = lively(dict(GUARD, source_scale=1.0), trainable='all')
    optim = toys.wrapper(built, 0.05, torch.optim.Adam)
    answered = 0
    for i in range(6):
        expected = built.predict_source(toys.batch(i))[0].seg_logits.data
        step = built.adapt_step(toys.batch(i), optim, step=i)
        doubt = [e for e in step.events if 'lost' in e['reason']]
        same = torch.equal(step.data_samples[0].seg_logits.data, expected)
        answered += same and bool(doubt)
        assert same or not doubt
    assert answered


def test_a_careful_stream_is_not_disturbed(source_classes):
    del source_classes
    _, events = classes_of(lively(GUARD), 1e-4, images=6)
    assert events == []


def test_a_guarded_stream_that_is_resumed_ends_with_the_same_bits():
    straight = lively(GUARD, trainable='all')
    optim = toys.wrapper(straight, 0.05, torch.optim.Adam)
    steps = []
    for i in range(9):
        if i == 3:  # between the first doubt and the first reset
            assert straight.guard.doubts
            state = copy.deepcopy([straight.adapt_state(), optim.state_dict()])
        steps.append(straight.adapt_step(toys.batch(i), optim, step=i))
    assert any(step.counts['resets'] for step in steps[3:])
    resumed = lively(GUARD, trainable='all')
    again = toys.wrapper(resumed, 0.05, torch.optim.Adam)
    resumed.load_adapt_state(state[0])
    again.load_state_dict(state[1])
    for i in range(3, 9):
        step = resumed.adapt_step(toys.batch(i), again, step=i)
        ours, theirs = (r.data_samples[0].seg_logits.data for r in (step, steps[i]))
        assert torch.equal(ours, theirs)
        assert step.events == steps[i].events


def test_a_smaller_source_costs_less():
    built = lively(dict(GUARD, source_scale=0.5, every=2, limit=0.99))
    optim = toys.wrapper(built, 0.0)
    costs = [
        built.adapt_step(toys.batch(i), optim, step=i).counts['forwards']
        for i in range(3)
    ]
    assert costs == [1.25, 1, 1.25]


@pytest.mark.parametrize(
    'method',
    [
        dict(type='mmkd_ext.TentDistiller'),
        dict(type='mmkd_ext.TentDistiller', statistics='source'),
        dict(type='mmkd_ext.BNStatsDistiller', mixing=0.5),
        dict(type='mmkd_ext.DoSeDistiller', views=None),  # else it predicts with them
        dict(type='mmkd_ext.RoTTADistiller'),
    ],
    ids=lambda method: method['type'],
)
def test_what_learned_nothing_has_lost_nothing_whoever_normalises_it(method):
    built = toys.model(method, guard=GUARD)
    optim = toys.wrapper(built, 0.0) if built.distiller.trains else None
    for i in range(2):
        step = built.adapt_step(toys.batch(i), optim, domain='fog', step=i)
        signals = step.signals
        assert signals['disagreement'] == 0
        assert signals['lost'] == pytest.approx(0, abs=1e-6)


def test_the_source_may_keep_its_own_statistics():
    method = dict(type='mmkd_ext.BNStatsDistiller')
    built = toys.model(method, guard=dict(GUARD, source_norm='source'))
    assert built.adapt_step(toys.batch(0)).signals['disagreement'] > 0


def test_the_reference_has_no_weights_of_its_own_and_moves_with_the_model():
    built = toys.model(dict(type='mmkd_ext.DoSeDistiller'), guard=GUARD)
    for kind in (torch.float32, torch.float64):
        built.to(kind)
        with_student_norms = built.source.with_student_norms(built.architecture)
        ours, theirs = with_student_norms.state_dict(), built.source.module.state_dict()
        assert ours.keys() == theirs.keys()
        for name, tensor in ours.items():
            assert tensor.data_ptr() == theirs[name].data_ptr()
        assert ours['decode_head.conv_seg.weight'].dtype == kind


def test_a_misspelt_setting_is_told():
    with pytest.raises(ConfigError, match='Did you mean `patience`'):
        toys.model(TENT, guard=dict(GUARD, patienc=3))
