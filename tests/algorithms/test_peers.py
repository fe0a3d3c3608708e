"""Teachers that learn: joint training and mutual learning."""

from __future__ import annotations

import copy

import distill_toys as toys
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper

from mmkd_ext.algorithms import MutualDistill
from mmkd_ext.config.check import check_config
from mmkd_ext.errors import ConfigError
from mmkd_ext.registry import MODELS
from mmkd_ext.testing.toy import toy_batch

LOGITS = toys.LOGITS


def mutual(*names, target='each', loss=None, **more):
    """A mutual learning of three toys, or of those that are named."""
    torch.manual_seed(0)
    widths = dict(zip(names or ('wide', 'wider'), (12, 16)))
    peers = {
        name: dict(model=dict(type=toys.TOY, channels=width))
        for name, width in widths.items()
    }
    for name, change in more.pop('peers', {}).items():
        peers[name].update(change)
    config = dict(type='mmkd_ext.MutualDistill', architecture=dict(type=toys.TOY))
    config.update(teachers=peers, at=LOGITS, target=target, loss=loss)
    return MODELS.build({**config, **more})


def logits(algorithm, batch):
    """What each student predicts in training, by its name."""
    found = {}
    for name, model in algorithm.models.items():
        module = model.get_submodule(LOGITS)
        note = module.register_forward_hook(
            lambda _, args, out, name=name: found.update({name: out})
        )
        model(**batch, mode='loss')
        note.remove()
    return found


def optimizer_of(algorithm, **cfg):
    optimizer = dict(type='SGD', lr=0.1, momentum=0.9)
    return build_optim_wrapper(algorithm, dict(optimizer=optimizer, **cfg))


def reached(algorithm, loss):
    """Names of the models that a loss gives a gradient."""
    for parameter in algorithm.parameters():
        parameter.grad = None
    loss.backward(retain_graph=True)
    return {
        name
        for name, model in algorithm.models.items()
        if any(p.grad is not None and p.grad.any() for p in model.parameters())
    }


@pytest.mark.parametrize('target', ['each', 'mean'])
def test_a_student_gets_the_mean_divergence_from_the_others(target):
    algorithm, batch = mutual(target=target), toy_batch()
    seen = logits(copy.deepcopy(algorithm), batch)
    p = {name: value.softmax(1) for name, value in seen.items()}
    losses = toys.losses_of(algorithm, batch)
    for own in p:
        others = [p[name] for name in p if name != own]
        targets = others if target == 'each' else [torch.stack(others).mean(0)]
        by_hand = sum(
            (one * (one.log() - p[own].log())).sum(1).mean() for one in targets
        ) / len(targets)
        ours = sum(v for name, v in losses.items() if name.endswith(f'_to_{own}'))
        torch.testing.assert_close(ours, by_hand)


@pytest.mark.parametrize('target', ['each', 'mean'])
def test_each_term_reaches_its_own_student_alone(target):
    algorithm = mutual(target=target)
    losses = algorithm(**toy_batch(), mode='loss')
    for name, value in losses.items():
        if 'loss' not in name:
            continue
        own = name.split('_to_')[-1] if 'distill' in name else name.split('.')[0]
        assert reached(algorithm, value) == {own}, name


def test_a_step_trains_each_student_as_a_step_of_its_own_would():
    batch, slow = toy_batch(), dict(wide=dict(optimizer=dict(lr=0.02)))
    algorithm = mutual('wide', peers=slow)
    alone = {name: copy.deepcopy(model) for name, model in algorithm.models.items()}
    # each by itself, with the other one's predictions as constants
    seen = {k: v.detach() for k, v in logits(copy.deepcopy(algorithm), batch).items()}
    for name, model in alone.items():
        found = []
        module = model.get_submodule(LOGITS)
        module.register_forward_hook(
            lambda _, args, out, found=found: found.append(out)
        )
        task = model(**batch, mode='loss')
        other = seen['wide' if name == 'student' else 'student']
        log_p = found[0].log_softmax(1)
        kl = F.kl_div(log_p, other.log_softmax(1), log_target=True, reduction='none')
        total = task['loss_seg'] + task['loss_aux'] + kl.sum(1).mean()
        lr = 0.02 if name == 'wide' else 0.1
        OptimWrapper(torch.optim.SGD(model.parameters(), lr, 0.9)).update_params(total)
    wrapper = optimizer_of(algorithm)
    wrapper.update_params(algorithm.parse_losses(algorithm(**batch, mode='loss'))[0])
    for name, model in algorithm.models.items():
        for ours, by_hand in zip(model.parameters(), alone[name].parameters()):
            torch.testing.assert_close(ours, by_hand)


def test_options_of_the_optimizer_go_by_the_names_of_each_student():
    algorithm = mutual(peers=dict(wide=dict(optimizer=dict(lr=0.02))))
    head = dict(custom_keys={'head': dict(lr_mult=10.0)})
    rates = {
        id(p): group['lr']
        for group in optimizer_of(algorithm, paramwise_cfg=head).optimizer.param_groups
        for p in group['params']
    }
    assert len(rates) == len(list(algorithm.parameters()))
    for name, base in dict(student=0.1, wide=0.02, wider=0.1).items():
        for key, p in algorithm.models[name].named_parameters():
            assert rates[id(p)] == pytest.approx(base * (10 if 'head' in key else 1))


def test_a_frozen_stage_of_a_peer_stays_frozen_and_modes_are_the_students():
    frozen = toys.build().architecture
    frozen.backbone.stages[0].requires_grad_(False)
    algorithm = mutual('wide', peers=dict(wide=dict(model=frozen)))
    flags = [p.requires_grad for p in algorithm.peers['wide'].parameters()]
    assert flags.count(False) == 3
    assert algorithm.train().peers['wide'].training
    assert not algorithm.eval().peers['wide'].training


def test_joint_training_is_in_the_checkpoint_and_a_frozen_teacher_is_not():
    joint = toys.build(teacher_trainable=True)
    tops = {key.split('.')[0] for key in joint.state_dict()}
    assert tops == {'architecture', 'distiller', 'peers'}
    names = set(joint(**toy_batch(), mode='loss'))
    assert {'teacher.loss_seg', 'student.loss_seg', 'distill.loss_x'} <= names
    several = dict(
        a=dict(model=dict(type=toys.TOY), trainable=True),
        b=dict(model=dict(type=toys.TOY, channels=12)),
    )
    links = dict(loss_a=toys.link(of='a'), loss_b=toys.link(of='b'))
    mixed = toys.build(links, teachers=several)
    assert list(mixed.peers) == ['a']
    assert not [k for k in mixed.state_dict() if k.startswith(('teacher', 'peers.b'))]
    assert not any(p.requires_grad for p in mixed.teachers['b'].module.parameters())


def test_a_link_reaches_the_trained_teacher_only_when_asked():
    for detach, expected in ((True, {'student'}), (False, {'student', 'teacher'})):
        link = toys.link()
        link['loss']['teacher_detach'] = detach
        algorithm = toys.build(link, teacher_trainable=True)
        losses = algorithm(**toy_batch(), mode='loss')
        assert reached(algorithm, losses['distill.loss_x']) == expected


def test_weights_of_a_peer_come_from_its_file_but_a_resumed_run_keeps_its_own(tmp_path):
    file = tmp_path / 'peer.pth'
    torch.save(toys.build().architecture.state_dict(), file)
    peer = dict(wide=dict(model=dict(type=toys.TOY), ckpt=str(file)))
    algorithm = mutual('wide', peers=peer)
    algorithm.init_weights()
    saved = torch.load(file, weights_only=True)
    assert toys.equal_states(algorithm.peers['wide'].state_dict(), saved)
    state = {k: v + 1 for k, v in algorithm.state_dict().items()}
    again = mutual('wide', peers=peer)
    again.load_state_dict(state)
    again(**toy_batch(), mode='loss')
    key = 'peers.wide.aux_head.weight'
    assert torch.equal(again.state_dict()[key], state[key])


@pytest.mark.parametrize(('change', 'where', 'message'), [
    (dict(teachers={}), 'model.teachers', 'the other students'),
    (dict(teachers=[dict(type='x')]), 'model.teachers', 'the other students'),
    (dict(at=None), 'model.at', 'where the logits are'),
    (dict(at='head.cnv_seg'), 'links.loss_wide_to_student.preds_S.at', 'conv_seg'),
    (dict(target='all'), 'model.target', 'mean'),
    (dict(teacher_trainable=False), 'model.teacher_trainable', 'all students learn'),
    (dict(teacher_norm_eval=False), 'model.teacher_norm_eval', 'teacher_trainable'),
    (dict(peers=dict(wide=dict(optimizer=dict(type='Adam')))),
     'model.teachers.wide.optimizer', 'one type of optimizer'),
    (dict(peers=dict(wide=dict(optimiser=dict(lr=1)))),
     'model.teachers.wide.optimiser', 'optimizer'),
    (dict(peers=dict(wide=dict(precision='bf16'))),
     'model.teachers.wide.precision', 'frozen teacher'),
    (dict(peers=dict(wide=dict(input='clear'))),
     'model.teachers.wide.input', 'frozen teacher'),
    (dict(peers=dict(wide=dict(ckpt='gone.pth'))),
     'model.teachers.wide.ckpt', 'gone.pth'),
    (dict(peers=dict(wide=dict(trainable=False, optimizer=dict(lr=1)))),
     'model.teachers.wide.optimizer', 'trainable=True'),
])  # fmt: skip
def test_what_is_wrong_is_named(change, where, message):
    with pytest.raises(ConfigError) as error:
        mutual('wide', **change)
    assert where in str(error.value)
    assert message in str(error.value)


def test_the_check_lists_what_is_wrong_with_each_student():
    peers = dict(wide=dict(model=dict(type=toys.TOY, chanels=3), optimizer=dict(lr=1)))
    config = dict(type='mmkd_ext.MutualDistill', architecture=dict(type=toys.TOY))
    for more, path in (
        (dict(at=LOGITS), 'model.teachers.wide.model'),
        (dict(at=LOGITS, target='all'), 'model.target'),
        (dict(at='hed'), 'model.distiller.links.loss_wide_to_student.preds_S.at'),
        (dict(at=LOGITS, taget='mean'), 'model.taget'),
        ({}, 'model.at'),
    ):
        cfg = Config(dict(model=dict(config, teachers=peers, **more)))
        paths = [problem.path for problem in check_config(cfg).problems]
        assert any(one.startswith(path) for one in paths), (path, paths)


def test_a_name_that_no_module_can_have_is_refused():
    with pytest.raises(ConfigError, match=r'model\.teachers\.keys'):
        mutual('keys')


def test_the_class_is_found_lazily_and_tells_its_links():
    full = MutualDistill.complete(dict(teachers=dict(b={}), at='x'))
    assert sorted(full) == ['distiller', 'teacher_trainable', 'teachers']


def test_an_auxiliary_head_learns_from_the_main_one():
    link = toys.link(loss='KDLoss', of='student', student=dict(at='aux_head'))
    algorithm = toys.build(link, teachers={})
    seen, batch = {}, toy_batch()
    for name in ('aux_head', 'head.conv_seg'):
        module = algorithm.student.get_submodule(name)
        module.register_forward_hook(
            lambda _, args, out, name=name: seen.update({name: out}))
    loss = toys.losses_of(algorithm, batch)['loss_x']
    main = seen['head.conv_seg'].log_softmax(1)
    aux = F.interpolate(seen['aux_head'], main.shape[2:], mode='bilinear')
    aux = aux.log_softmax(1)
    torch.testing.assert_close(loss, (main.exp() * (main - aux)).sum(1).mean())
    algorithm.zero_grad()
    loss.backward()
    gradients = {n: p.grad for n, p in algorithm.student.named_parameters()}
    assert gradients['aux_head.weight'].any()
    assert gradients['head.conv_seg.weight'] is None
