"""A stored teacher teaches what the live one does, or says why it cannot."""

from __future__ import annotations

import json
import random
import shutil

import numpy as np
import pytest
import torch
from classifier_toys import (
    FITNETS,
    KD,
    PREPROCESSOR,
    config,
    resnet,
    sides,
    train,
    weights,
)
from mmcv.transforms import BaseTransform
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmengine.registry import TRANSFORMS, DefaultScope
from mmengine.runner import Runner

from mmkd_ext.cli.store import main as store
from mmkd_ext.config.check import check_config
from mmkd_ext.datasets.augmentations import Augmentations, rows_of
from mmkd_ext.distillers.store import Column, TeacherStore, tap_key
from mmkd_ext.errors import DataError, MMKDError
from mmkd_ext.registry import MODELS

pytestmark = pytest.mark.usefixtures('_plain_dumps')
pytest.importorskip('mmpretrain', reason='classifiers: the extra `cls`')
pytest.importorskip('sklearn', reason='digits')

LINKS = dict(
    loss_kd=KD,
    loss_maps=dict(loss=FITNETS, **sides('backbone', item=1)),
    loss_neck=dict(loss=FITNETS, **sides('neck')),
)
FLIPPED = [
    dict(type='RandomCrop', crop_size=8, padding=2),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]


@TRANSFORMS.register_module()
class Blend(BaseTransform):
    """Mixes a picture with the one before it, as CachedMixUp does."""

    before = 0

    def transform(self, results):
        image = results['img']
        results['img'] = ((image.astype(int) + self.before) // 2).astype(np.uint8)
        self.before = image.astype(int)
        return results


@TRANSFORMS.register_module()
class OddSize(BaseTransform):
    """Makes some pictures larger."""

    def transform(self, results):
        size = random.choice([8, 12])
        results['img'] = np.zeros((size, size, 3), np.uint8)
        results['img_shape'] = (size, size)
        return results


@pytest.fixture(scope='module')
def teacher(tmp_path_factory):
    """File of a teacher's weights."""
    path = tmp_path_factory.mktemp('teacher') / 'teacher.pth'
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(wide())
    model.init_weights()
    for module in model.modules():
        if hasattr(module, 'running_mean'):
            module.running_mean.normal_()
    torch.save(model.state_dict(), path)
    return str(path)


def wide():
    net = resnet(14, data_preprocessor=dict(PREPROCESSOR))
    net['backbone']['widths'] = (16, 24, 40, 72)
    net['head']['in_channels'] = 72
    return net


def distillation(
    folder, teacher, *, store=None, pipeline=FLIPPED, links=LINKS, workers=0, **more
):
    cfg = config(folder, teacher=wide(), links=links, **more)
    cfg.model.teacher_ckpt = teacher
    cfg.train_dataloader.dataset.pipeline = [*map(dict, pipeline)]
    cfg.train_dataloader.num_workers = workers
    if store:
        cfg.model.teacher_store = str(store)
    return cfg


def stored(cfg, out, epochs=2, *options):
    """Stores; returns the exit status."""
    path = out.parent / f'{out.name}.py'
    text = ''.join(f'{k} = {v!r}\n' for k, v in cfg.to_dict().items())
    path.write_text(text)
    return store([str(path), '--out', str(out), '--epochs', str(epochs), *options])


@pytest.fixture(scope='module')
def float32(tmp_path_factory, teacher):
    """A store of two augmentations."""
    out = tmp_path_factory.mktemp('float32') / 'store'
    assert stored(distillation(out, teacher), out) == 0
    return out


@pytest.mark.parametrize(('by_epoch', 'first'), [(False, 2), (True, 1)])
def test_the_student_of_a_store_is_that_of_the_live_teacher_to_the_bit(
    by_epoch, first, tmp_path, teacher, float32
):
    hook = dict(type='mmkd_ext.ReproducibleStepHook', augmentations=first)
    runs = {
        'live': dict(custom_hooks=[hook]),
        'stored': dict(custom_hooks=[hook], store=float32),
    }
    if by_epoch:
        loop = dict(by_epoch=True, max_epochs=2, val_interval=2)
        saving = dict(type='mmkd_ext.DistillCheckpointHook', interval=2)
        for one in runs.values():
            one.update(train_cfg=loop, default_hooks=dict(checkpoint=saving))
        runs['stored']['workers'] = 2
    name = 'epoch_2.pth' if by_epoch else 'iter_8.pth'
    made = {}
    for key, more in runs.items():
        train(distillation(tmp_path / key, teacher, iterations=8, **more))
        made[key] = weights(tmp_path / key / name)
    assert made['live'].keys() == made['stored'].keys()
    pairs = [(made['live'][k], made['stored'][k]) for k in made['live']]
    assert all(torch.equal(a, b) for a, b in pairs)
    assert any('aligners' in key for key in made['live'])


def flat(value):
    return value if isinstance(value, tuple) else (value,)


def test_rows_are_what_the_live_teacher_gives_in_a_batch_that_is_mixed_otherwise(
    tmp_path, teacher, float32
):
    runner = Runner.from_cfg(distillation(tmp_path, teacher))
    model = runner.model.eval()
    model.load_teachers()
    loader = runner.build_dataloader(runner._train_dataloader)
    pictures, rows = Augmentations(loader.dataset, 2), [30, 2, 43, 7, 5]
    batch = pseudo_collate([pictures[row] for row in rows])
    batch = model.data_preprocessor(batch, True)
    recorder = model.distiller.recorders['teacher']
    model.teachers['teacher'].run(recorder, batch['inputs'], batch['data_samples'])
    kept = TeacherStore(float32).values(recorder.taps, rows)
    seen = 0
    for tap in recorder.taps:
        for live, row in zip(flat(recorder.value(tap)), flat(kept[tap_key(tap)])):
            assert torch.equal(row, live)
            seen += 1
    assert seen == 5


@pytest.mark.parametrize('shape', [(6,), (4, 5, 7)])
@pytest.mark.parametrize(
    ('form', 'bound'),
    [('float32', 0), ('float16', 2**-11), ('bfloat16', 2**-8), ('int8', 0.501 / 127)],
)
def test_a_format_keeps_values_to_its_error(form, bound, shape):
    """The error is relative, that of int8 to the largest value of a channel."""
    value = 5 * torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    value[0, 0] = 0
    column = Column('x', shape, form)
    row = column.decode(column.encode(value))
    size = value.abs()
    if form == 'int8':
        size = size.amax((2, 3) if len(shape) > 1 else 1, keepdim=True)
    assert row.dtype == torch.float32
    assert ((row - value).abs() <= bound * size).all()
    assert torch.equal(row, value) is (bound == 0)
    kept = [tuple(field.shape[1:]) for field in column.encode(value)]
    assert kept == [shape for _, _, shape in column.fields()]


def test_a_value_that_its_format_cannot_hold_is_told():
    value = torch.tensor([[1e5, -torch.inf]])
    assert torch.equal(Column('x', (2,)).encode(value)[0], value)
    with pytest.raises(DataError, match=r'`x` has values up to 1e\+05.*bfloat16'):
        Column('x', (2,), 'float16').encode(value[:, :1])


def test_first_classes_are_kept_and_the_rest_is_spread_evenly():
    logits = torch.tensor([[2.0, 0.0, -1.0, 1.0]]).log_softmax(1)
    column = Column('x', (4,), 'top2')
    p = column.decode(column.encode(logits)).exp()
    known = logits.exp()[0]
    assert p[0, [0, 3]].tolist() == pytest.approx(known[[0, 3]].tolist(), rel=2**-10)
    assert p[0, 1] == p[0, 2]
    assert float(p.sum()) == pytest.approx(1, abs=1e-6)
    maps = torch.randn(2, 300, 3, 4)
    column = Column('x', (300, 3, 4), 'top5')
    kinds = [kind for _, kind, _ in column.fields()]
    assert kinds == ['<f2', '<u2']
    spread = column.decode(column.encode(maps))
    assert torch.equal(spread.argmax(1), maps.argmax(1))
    assert (spread.exp().sum(1) - 1).abs().max() < 1e-6


def test_predictions_get_the_first_classes_and_features_get_half_floats(
    tmp_path, teacher, float32
):
    out = tmp_path / 'store'
    cfg = distillation(tmp_path, teacher)
    assert stored(cfg, out, 1, '--format', 'top3') == 0
    forms = [(one.name, one.format) for one in TeacherStore(out).columns.values()]
    assert forms == [
        ('teacher.head', 'top3'),
        ('teacher.backbone item=1', 'float16'),
        *((f'teacher.neck.{level}', 'float16') for level in range(3)),
    ]
    names, rows = [name for name, _ in forms], [4, 31, 0]
    exact = TeacherStore(float32).read(rows, names)
    rounded = TeacherStore(out).read(rows, names)
    first = [one['teacher.head'].topk(3).indices for one in (exact, rounded)]
    assert torch.equal(*first)
    for name in names[1:]:
        assert torch.equal(exact[name].half().float(), rounded[name])


def test_a_stopped_run_goes_on_and_a_store_gets_more_augmentations(
    tmp_path, teacher, float32, capsys
):
    out = tmp_path / 'store'
    cfg = distillation(tmp_path, teacher)
    assert stored(cfg, out, 1) == 0
    first = (out / '0000-0000.npy').stat()
    assert stored(cfg, out, 2) == 0
    assert (out / '0000-0000.npy').stat().st_mtime_ns == first.st_mtime_ns
    for name in ('0000-0000.npy', '0001-0000.npy'):
        assert (out / name).read_bytes() == (float32 / name).read_bytes()
    (out / '0001-0000.npy').unlink()
    with pytest.raises(DataError, match=r'1 of 2 files are missing, 0001'):
        TeacherStore(out)
    capsys.readouterr()
    assert stored(cfg, out, 2) == 0
    assert '1 files are to be written' in capsys.readouterr().out
    assert (out / '0001-0000.npy').read_bytes() == (
        float32 / '0001-0000.npy'
    ).read_bytes()


def test_an_untrained_teacher_is_the_same_one_when_a_store_is_gone_on_with(
    tmp_path, teacher, capsys
):
    out = tmp_path / 'store'
    cfg = distillation(tmp_path, None)
    assert stored(cfg, out, 1) == 0
    torch.rand(1)
    assert stored(cfg, out, 2) == 0
    capsys.readouterr()
    assert stored(cfg, out, 2, '--format', 'float16') == 2
    told = capsys.readouterr().err
    assert '`columns.0.format` was ' in told
    assert 'weights' not in told


def test_nothing_is_written_that_is_larger_than_allowed(tmp_path, teacher, capsys):
    out = tmp_path / 'store'
    cfg = distillation(tmp_path, teacher)
    assert stored(cfg, out, 4, '--max-gb', '0.0001') == 2
    told = capsys.readouterr()
    # 8 bytes for checksums, 10 logits, a map, a pyramid of vectors
    size = 4 * 32 * (8 + 4 * (10 + 40 * 4 * 4 + 24 + 40 + 72))
    assert f'{size / 1e9:.4g} GB' in told.out
    assert '`--max-gb` is 0.0001' in told.err
    assert not out.exists()


def test_a_damaged_file_is_named(tmp_path, teacher, float32):
    out = tmp_path / 'store'
    shutil.copytree(float32, out)
    content = bytearray((out / '0001-0000.npy').read_bytes())
    content[-3] ^= 1
    (out / '0001-0000.npy').write_bytes(content)
    with pytest.raises(DataError, match=r'0001-0000.npy.* damaged, in row 31'):
        TeacherStore(out).check(63, 0)
    train(distillation(tmp_path / 'first', teacher, store=out, iterations=4))
    with pytest.raises(DataError, match=r'0001-0000.npy.* damaged'):
        train(distillation(tmp_path / 'second', teacher, store=out, iterations=8))
    (out / '0001-0000.npy').write_bytes(content[:-100])
    with pytest.raises(DataError, match=r'0001-0000.npy.* damaged'):
        TeacherStore(out).read([40], ['teacher.head'])


def refusal(cfg):
    with pytest.raises(MMKDError) as found:
        train(cfg)
    return str(found.value)


def sees_the_students_batch(cfg):
    keys = dict(model='teacher', ckpt='teacher_ckpt', store='teacher_store')
    teacher = {key: cfg.model.pop(old) for key, old in keys.items()}
    cfg.model.teachers = dict(teacher=dict(teacher, preprocess=False))


def test_another_pipeline_teacher_or_data_set_is_refused(tmp_path, teacher, float32):
    def told(change, **more):
        cfg = distillation(tmp_path, teacher, store=float32, **more)
        change(cfg)
        return refusal(cfg)

    padding = [dict(FLIPPED[0], padding=1), *FLIPPED[1:]]
    text = told(lambda cfg: None, pipeline=padding)
    assert '`pipeline.pipeline.0.padding` was 2 and is 1' in text
    text = told(lambda cfg: cfg.data_preprocessor.update(mean=[0.0] * 3))
    assert '`preprocess' in text
    assert 'normalised' in text
    text = told(lambda cfg: cfg.train_dataloader.dataset.update(indices=24))
    assert '32 pictures' in text
    assert 'set has 24' in text
    text = told(lambda cfg: cfg.model.teacher.backbone.update(depth=20))
    assert '`teachers.teacher.model`' in text
    other = tmp_path / 'other.pth'
    torch.save(dict(torch.load(teacher), extra=torch.zeros(1)), other)
    text = told(lambda cfg: cfg.model.update(teacher_ckpt=str(other)))
    assert '`teachers.teacher.ckpt`' in text
    text = told(sees_the_students_batch)
    assert '`teachers.teacher.preprocess`' in text
    text = told(lambda cfg: cfg.custom_hooks[0].update(augmentations=3))
    assert '3 augmentations are asked for, but [2] are stored' in text


def test_a_picture_that_the_teacher_did_not_see_is_found(
    tmp_path, teacher, float32, monkeypatch
):
    """As one does that another version of a library makes."""
    crop = TRANSFORMS.get('mmpretrain.RandomCrop')
    monkeypatch.setattr(crop, 'transform', lambda self, results: results)
    text = refusal(distillation(tmp_path, teacher, store=float32))
    assert 'is not the one that the teacher' in text


def test_taps_that_are_not_stored_are_listed(tmp_path, teacher, float32):
    links = dict(loss_maps=dict(loss=FITNETS, **sides('backbone', item=2)))
    text = refusal(distillation(tmp_path, teacher, store=float32, links=links))
    assert "no 'backbone item=2'" in text
    assert "'backbone item=1'" in text
    assert 'preds_T.at' in text


@pytest.mark.parametrize(
    ('step', 'words'),
    [('Blend', 'remembers earlier pictures'), ('OddSize', 'beside it make it padded')],
)
def test_what_depends_on_other_pictures_is_not_stored(
    step, words, tmp_path, teacher, capsys
):
    cfg = distillation(tmp_path, teacher, pipeline=[dict(type=step), FLIPPED[-1]])
    cfg.data_preprocessor.pad_size_divisor = 4
    assert stored(cfg, tmp_path / 'store') == 2
    assert words in ' '.join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ('keys', 'told'),
    [
        (dict(train_dataloader=None), '`train_dataloader`: must be a dict'),
        (dict(train_dataloader=dict(dataset=dict(type='Digit'))), 'Digit is not in'),
        (dict(model=None), '`model`: must be a model dict'),
        (dict(model=dict(type='TeacherDistil')), 'TeacherDistil is not in'),
    ],
)
def test_what_cannot_be_built_is_told_and_nothing_is_written(
    keys, told, tmp_path, teacher, capsys
):
    cfg = distillation(tmp_path, teacher)
    cfg.merge_from_dict(keys)
    assert stored(cfg, tmp_path / 'store') == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / 'store').exists()


def test_mixed_batches_are_not_stored(tmp_path, teacher, capsys):
    cfg = distillation(tmp_path, teacher)
    cfg.model.architecture.train_cfg = dict(augments=dict(type='Mixup', alpha=0.8))
    assert stored(cfg, tmp_path / 'store') == 2
    assert "['Mixup']" in capsys.readouterr().err


def test_without_the_hook_the_samples_are_not_the_stored_ones(
    tmp_path, teacher, float32
):
    cfg = distillation(tmp_path, teacher, store=float32, custom_hooks=[])
    assert 'ReproducibleStepHook' in refusal(cfg)


def test_the_check_runs_a_step_with_the_store(tmp_path, teacher, float32):
    cfg = distillation(tmp_path, teacher, store=float32)
    for data in (True, False):
        report = check_config(cfg, data=data)
        assert report.ok, report.problems
        assert [model.kind for model in report.models] == ['ImageClassifier', 'stored']
        assert [plan.alignment for plan in report.links][1:] == [
            '1x1 conv 32->40',
            'linear 16->24, linear 32->40, linear 64->72',
        ]
    cfg.model.teacher_store = str(tmp_path / 'gone')
    (problem,) = check_config(cfg).problems
    assert problem.path == 'model.teacher_store'
    assert 'mmkd store' in problem.found
    cfg.model.teacher_store = 3
    (problem,) = check_config(cfg).problems
    assert problem.path == 'model.teacher_store'


def test_a_teacher_that_is_not_ours_is_a_folder_of_arrays(tmp_path):
    """Written by hand: no checksums, one augmentation, logits of another framework."""
    out = tmp_path / 'api'
    out.mkdir()
    logits = np.random.default_rng(0).normal(size=(32, 10)).astype('<f4')
    rows = np.zeros(32, [('logits', '<f4', (10,))])
    rows['logits'] = logits
    np.save(out / '0000-0000.npy', rows)
    manifest = dict(
        version=1,
        samples=32,
        input_size=[8, 8],
        columns=[dict(name='logits', shape=[10])],
        teachers=dict(teacher=dict(taps=dict(head=dict(value='logits', classes=True)))),
    )
    (out / 'manifest.json').write_text(json.dumps(manifest))
    pipeline = [dict(type='PackInputs')]
    cfg = distillation(tmp_path, None, store=out, pipeline=pipeline)
    cfg.model.distiller.links = dict(loss_kd=KD)
    del cfg.model['teacher'], cfg.model['teacher_ckpt']
    seen, given = [], []

    class Look(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            seen.append((rows_of(data_batch['data_samples']), given.pop()))

    def give(values, device):
        given.append(values['head'])
        original(values, device)

    runner = Runner.from_cfg(cfg)
    runner.register_hook(Look())
    recorder = runner.model.distiller.recorders['teacher']
    original, recorder.give = recorder.give, give
    runner.train()
    assert len(seen) >= 4
    for rows, values in seen:
        assert torch.equal(values, torch.from_numpy(logits[rows]))


def test_scores_of_mixed_pictures_choose_what_is_learned_as_the_live_ones_do(
    tmp_path, teacher
):
    """FerKD with SelfMix."""
    mixed = dict(type='mmkd_ext.SelfMix', transforms=FLIPPED[:2], prob=0.7)
    loss = dict(type='mmkd_ext.FerKDLoss')
    labels = dict(of='batch', at='data_samples')
    given = dict(
        pipeline=[mixed, FLIPPED[-1]],
        links=dict(loss_ferkd=dict(loss=loss, labels=labels, **sides('head'))),
        custom_hooks=[dict(type='mmkd_ext.ReproducibleStepHook', augmentations=2)],
    )
    out = tmp_path / 'store'
    assert stored(distillation(tmp_path, teacher, **given), out) == 0
    logits = TeacherStore(out).read(range(64), ['teacher.head'])['teacher.head']
    levels = logits.softmax(1).quantile(torch.tensor([0.2, 0.5, 0.8])).tolist()
    loss.update(zip(('low', 'middle', 'top'), levels))
    made = []
    for store_ in (None, out):
        folder = tmp_path / ('live' if store_ is None else 'stored')
        cfg = distillation(folder, teacher, store=store_, iterations=8, **given)
        cfg.model.calculate_student_loss = False
        train(cfg)
        made.append(weights(folder / 'iter_8.pth'))
    assert made[0].keys() == made[1].keys()
    assert all(torch.equal(made[0][key], made[1][key]) for key in made[0])
