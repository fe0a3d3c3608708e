"""The toy street scenes: a drawn world in the layouts of real data sets.

`make_streets` writes one folder that the real classes read:

- Cityscapes: ``leftImg8bit/{train,val}/<city>/*_leftImg8bit.png`` and
  ``gtFine/{train,val}/<city>/*_gtFine_{labelIds,labelTrainIds}.png``, 19 classes;
- COCO: ``annotations/instances_{train,val}.json`` with the 8 movable classes of the
  same pictures, boxes and areas taken from the masks, masks as run lengths, far groups
  of people as ``iscrowd``;
- ACDC: ``rgb_anon/<condition>/<split>/<drive>/*_rgb_anon.png`` and
  ``gt/<condition>/<split>/<drive>/*_gt_{labelIds,labelTrainIds}.png``, other streets in
  fog, night, rain and snow, the frames of a drive one after another in time.

A seed decides every byte, whatever the number of processes: each street and each frame
has a generator of its own. The default 560 pictures of 128 x 256 take 54 to 60 s of
processor time in one process, about half a minute on two free cores.

How hard it is, in mIoU (%) over 19 classes, seed 0, one run each, ResNet-18 with an FPN
head from random weights on clear ``train``, batches of 8 crops of 96 x 192 as
``configs/_base_/datasets/streets.py`` cuts them; weather is all 60 pictures of a
condition, never trained on. AdamW at 2e-3 with polynomial decay, 1000 iterations:

=====================  ==========  =========  ====  =====  ====  ====
base width             parameters  clear val   fog  night  rain  snow
=====================  ==========  =========  ====  =====  ====  ====
32                         2.88 M       28.0   8.4    9.9   8.7  15.8
8 (FPN of 16)              0.20 M       24.3   6.0   11.1   9.4  13.3
=====================  ==========  =========  ====  =====  ====  ====

So each weather costs 11 to 20 points, and width alone is worth 4 at this length. In
the schedule of ``benchmarks/configs/demo`` (SGD at 0.1; teacher 1000 iterations,
student 500; seed 100, all of ``val``) width 32 reached 31.3 and width 8 19.9, a lead of
11. Poles, fences, lights and two-wheelers stay near 0 in runs this short.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from mmkd_ext.errors import DataError, check_integer
from projects.toy_streets import render, weather, world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ['CONDITIONS', 'StreetSettings', 'Streets', 'make_streets']

VERSION = 2
"""Changes whenever the same settings would draw other pictures."""
STAMP = 'streets.json'
CONDITIONS = ('fog', 'night', 'rain', 'snow')
CITIES = {
    'train': ('arden', 'birkby', 'calder', 'dunmore'),
    'val': ('elmstead', 'farley'),
}
TRAIN_IDS = {
    7: 0,
    8: 1,
    11: 2,
    12: 3,
    13: 4,
    17: 5,
    19: 6,
    20: 7,
    21: 8,
    22: 9,
    23: 10,
    24: 11,
    25: 12,
    26: 13,
    27: 14,
    28: 15,
    31: 16,
    32: 17,
    33: 18,
}
"""Cityscapes label ids of the 19 classes that are trained on."""
SMALLEST = 10
"""Pixels, at a height of 128, that a thing must show to be listed for COCO."""
THINGS = {
    24: 'person',
    25: 'rider',
    26: 'car',
    27: 'truck',
    28: 'bus',
    31: 'train',
    32: 'motorcycle',
    33: 'bicycle',
}


@dataclass(frozen=True)
class StreetSettings:
    """What to draw.

    Args:
        seed: Decides everything.
        height: Rows of a picture; it is twice as wide.
        train: Clear pictures to train on.
        val: Clear pictures to validate on.
        drives: Drives of each condition in its train split.
        val_drives: Drives of each condition in its val split.
        frames: Frames of a drive.
    """

    seed: int = 0
    height: int = 128
    train: int = 256
    val: int = 64
    drives: int = 4
    val_drives: int = 2
    frames: int = 10

    def __post_init__(self) -> None:
        check_integer('height', self.height, ge=32, le=1024)
        check_integer('frames', self.frames, ge=1, le=100)
        for name in ('seed', 'train', 'val', 'drives', 'val_drives'):
            check_integer(name, getattr(self, name), ge=0)

    @property
    def images(self) -> int:
        """Number of pictures in all."""
        drives = len(CONDITIONS) * (self.drives + self.val_drives)
        return self.train + self.val + drives * self.frames


class Streets(NamedTuple):
    """Where the streets lie, and whether this call drew them."""

    root: Path
    drawn: bool


class Job(NamedTuple):
    """One street: its weather, split, number, and how many frames it has."""

    weather: str
    split: str
    number: int
    frames: int


def make_streets(
    out: str | os.PathLike[str],
    settings: StreetSettings | None = None,
    *,
    workers: int | None = None,
    force: bool = False,
    show: bool = False,
) -> Streets:
    """Draws the toy streets into a folder, once.

    The folder appears when it is complete: an interrupted run leaves none.

    Args:
        out: Folder to write. If it holds streets of the same settings, it is kept.
        settings: What to draw.
        workers: Processes; by default one a core that this process may use.
        force: Replace streets of other settings.
        show: Draw a progress bar on the terminal.

    Returns:
        The folder, and whether it was drawn now.

    Raises:
        DataError: The folder holds other streets and ``force`` is off, or something
            that is no streets at all.
    """
    settings = settings or StreetSettings()
    root = Path(out)
    if _present(root, settings, force=force):
        return Streets(root, drawn=False)
    root.absolute().parent.mkdir(parents=True, exist_ok=True)
    partial = Path(
        tempfile.mkdtemp(prefix=f'.{root.name}.partial-', dir=root.absolute().parent)
    )
    try:
        _draw_all(partial, settings, workers or _cores(), show=show)
        partial.chmod(0o755)
        return Streets(root, drawn=_move_in(partial, root, settings, force=force))
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _cores() -> int:
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _stamp(settings: StreetSettings) -> dict[str, Any]:
    return {
        # where this was at first: what was drawn then is still right
        'generator': 'mmkd_ext.datasets.streets',
        'version': VERSION,
        'settings': asdict(settings),
    }


def _present(root: Path, settings: StreetSettings, *, force: bool) -> bool:
    """Returns whether the wanted streets are there; refuses to overwrite others."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    try:
        found = json.loads((root / STAMP).read_text(encoding='utf-8'))
        ours = found['generator'] == _stamp(settings)['generator']
    except (OSError, ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise DataError(
            f'`{root}` exists and holds no toy streets (no valid `{STAMP}`). Choose '
            f'another folder, or remove it yourself.'
        )
    if found == _stamp(settings):
        return True
    if force:
        return False
    old = {**found.get('settings', {}), 'version': found.get('version')}
    new = {**asdict(settings), 'version': VERSION}
    differ = ', '.join(
        f'{key}={old.get(key)!r} there, {value!r} wanted'
        for key, value in new.items()
        if old.get(key) != value
    )
    raise DataError(
        f'`{root}` holds toy streets of other settings ({differ}). Pass --force to '
        f'draw them anew, or choose another folder.'
    )


def _move_in(
    partial: Path, root: Path, settings: StreetSettings, *, force: bool
) -> bool:
    """Puts the finished folder in its place; False if another process was first."""
    if _present(root, settings, force=force):
        return False
    if root.exists():
        old = Path(tempfile.mkdtemp(prefix=f'.{root.name}.old-', dir=partial.parent))
        os.replace(root, old / 'streets')
        os.replace(partial, root)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.replace(partial, root)
    return True


def _draw_all(
    root: Path, settings: StreetSettings, workers: int, *, show: bool
) -> None:
    """Writes everything below ``root``; the stamp comes last."""
    jobs = [
        Job('clear', split, number, 1)
        for split in ('train', 'val')
        for number in range(getattr(settings, split))
    ]
    jobs += [
        Job(condition, split, number, settings.frames)
        for condition in CONDITIONS
        for split, count in (('train', settings.drives), ('val', settings.val_drives))
        for number in range(count)
    ]
    found: dict[str, list[dict[str, Any]]] = {'train': [], 'val': []}
    with _bar(settings.images, show=show) as advance:
        for job, records in zip(jobs, _run(root, settings, jobs, workers)):
            if job.weather == 'clear':
                found[job.split] += records
            advance(job.frames)
    for split, records in found.items():
        _write_coco(root, split, records, settings.height)
    text = json.dumps(_stamp(settings), indent=1) + '\n'
    (root / STAMP).write_text(text, encoding='utf-8')


def _run(
    root: Path, settings: StreetSettings, jobs: list[Job], workers: int
) -> Iterator[list[dict[str, Any]]]:
    """Yields what each job returns, in order."""
    if min(workers, len(jobs)) < 2:
        for job in jobs:
            yield _street(str(root), settings, job)
        return
    # spawned, not forked: the caller may have threads (torch, a test runner)
    with ProcessPoolExecutor(workers, mp_context=get_context('spawn')) as pool:
        futures = [pool.submit(_street, str(root), settings, job) for job in jobs]
        try:
            for future in futures:
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _bar(total: int, *, show: bool) -> Iterator[Callable[[int], None]]:
    """Yields a function that moves a progress bar on."""
    if not show:
        yield lambda _count: None
        return
    from rich import progress as rich

    columns = (rich.BarColumn(), rich.MofNCompleteColumn(), rich.TimeRemainingColumn())
    with rich.Progress('drawing streets', *columns) as progress:
        task = progress.add_task('', total=total)
        yield lambda count: progress.advance(task, count)


def generator(settings: StreetSettings, job: Job, *more: int) -> np.random.Generator:
    """Returns the generator of a street, or of a frame in it."""
    weathers = ('clear', *CONDITIONS)
    key = (
        settings.seed,
        weathers.index(job.weather),
        int(job.split == 'val'),
        job.number,
        *more,
    )
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def _street(root: str, settings: StreetSettings, job: Job) -> list[dict[str, Any]]:
    """Draws one street and writes its frames; returns what COCO needs of them."""
    cv2.setNumThreads(1)
    street = world.build(
        generator(settings, job), scale=settings.height / 128, frames=job.frames
    )
    records = []
    for time in range(job.frames):
        view = render.render(street, time, settings.height)
        picture = weather.record(
            view, street, job.weather, generator(settings, job, time)
        )
        image, labels, trains = _paths(job, time)
        _write_png(Path(root, image), picture[..., ::-1])
        _write_png(Path(root, labels), view.label)
        _write_png(Path(root, trains), _to_train_ids(view.label))
        if job.weather == 'clear':
            name = image.split('/', 2)[2]
            records.append({'file_name': name, 'things': _things(view, street)})
    return records


def _paths(job: Job, time: int) -> tuple[str, str, str]:
    """Returns the paths of a picture, its label ids and its train ids."""
    if job.weather == 'clear':
        cities = CITIES[job.split]
        city = cities[job.number % len(cities)]
        name = f'{job.split}/{city}/{city}_{job.number // len(cities):06d}_000000'
        truth = f'gtFine/{name}_gtFine_'
        image = f'leftImg8bit/{name}_leftImg8bit.png'
    else:
        drive = f'street{job.number:04d}'
        name = f'{job.weather}/{job.split}/{drive}/{drive}_frame_{time + 1:06d}'
        truth = f'gt/{name}_gt_'
        image = f'rgb_anon/{name}_rgb_anon.png'
    return image, f'{truth}labelIds.png', f'{truth}labelTrainIds.png'


def _write_png(path: Path, image: np.ndarray) -> None:
    """Writes a PNG without loss."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode('.png', image, [cv2.IMWRITE_PNG_COMPRESSION, 4])
    if not done:
        raise DataError(f'OpenCV could not encode `{path}`.')
    path.write_bytes(data.tobytes())


def _to_train_ids(label: np.ndarray) -> np.ndarray:
    """Returns Cityscapes train ids, 255 where a label is not trained on."""
    table = np.full(256, 255, np.uint8)
    for label_id, train_id in TRAIN_IDS.items():
        table[label_id] = train_id
    return table[label]


def _things(view: render.View, street: world.Street) -> list[dict[str, Any]]:
    """Returns the COCO entries of all that can move and is seen."""
    crowds = {thing.instance for thing in street.things if thing.crowd}
    least = SMALLEST * (view.label.shape[0] / 128) ** 2
    key = view.instance.astype(np.int32) * 64 + view.label
    entries = []
    for value in np.unique(key[view.instance > 0]).tolist():
        instance, label = divmod(value, 64)
        if label not in THINGS:
            continue
        mask = key == value
        if mask.sum() < least:
            continue
        rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        x, y = int(cols[0]), int(rows[0])
        entries.append(
            {
                'category_id': label,
                'bbox': [x, y, int(cols[-1]) - x + 1, int(rows[-1]) - y + 1],
                'area': int(mask.sum()),
                'iscrowd': int(instance in crowds),
                'segmentation': {
                    'size': list(mask.shape),
                    'counts': _run_lengths(mask),
                },
            }
        )
    return entries


def _run_lengths(mask: np.ndarray) -> list[int]:
    """Returns COCO's uncompressed run lengths: down the columns, zeros first."""
    flat = mask.ravel(order='F')
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate(([0], changes, [flat.size]))
    runs = np.diff(edges).tolist()
    return [0, *runs] if flat[0] else runs


def _write_coco(
    root: Path, split: str, records: list[dict[str, Any]], height: int
) -> None:
    """Writes the instances of one split."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, record in enumerate(records, 1):
        images.append(
            {
                'id': number,
                'file_name': record['file_name'],
                'width': 2 * height,
                'height': height,
            }
        )
        annotations += [
            {'id': len(annotations) + i, 'image_id': number, **thing}
            for i, thing in enumerate(record['things'], 1)
        ]
    categories = [{'id': label, 'name': name} for label, name in THINGS.items()]
    path = root / 'annotations' / f'instances_{split}.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps(
            {'images': images, 'annotations': annotations, 'categories': categories}
        ),
        encoding='utf-8',
    )
