"""Fills in the tables of docs/methods/*ors.md and classifiers.md: what runs on what.

    python docs/cells.py mmdet            runs every cell and writes the page
    python docs/cells.py mmseg --check    runs every cell; status 1 if the page differs

A cell is a training step, forward and backward, on noise with labels: a small teacher
and a smaller student of a family, made from the config that the package brings by
narrowing it. Families and methods stand in cells_mmdet.yml and its like: a
family is what its model's config differs in, where ``2w`` is twice the width of a side,
and where its parts are; a method is its links.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import torch
import yaml
from mmengine.logging import MessageHub
from results import table

from mmkd_ext.algorithms.dry_run import blank_batch, has_masks, undisturbed
from mmkd_ext.algorithms.sources import model_config
from mmkd_ext.config.parts import scoped
from mmkd_ext.distillers.links import STUDENT
from mmkd_ext.errors import ConfigError
from mmkd_ext.random_state import preserve_random_state, seed_all
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mmengine.config import ConfigDict
    from torch import Tensor, nn

    from mmkd_ext.algorithms import TeacherDistill

HERE = Path(__file__).resolve().parent
WIDTHS = dict(student=8, teacher=16)  # of the first stage
PLACEHOLDER = re.compile(r'\$(\w+)')
Family = dict[str, Any]
Links = dict[str, dict[str, Any]]
Cells = dict[str, dict[str, str]]
"""For each family and method why it does not work, '' where it does."""


class CannotSay(Exception):
    """A family has not what a method is about; the text says what."""


# ---- families and methods ----------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """A family with both its models, which a method's links are written for."""

    family: Family
    student: nn.Module
    teacher: nn.Module
    _seen: dict[Any, Any] = field(default_factory=dict)

    def value(self, name: str) -> Any:
        """Returns a field of the family, or what is found out about its models.

        Raises:
            CannotSay: The family has no such part.
        """
        if name in self.family:
            if self.family[name] is None and name in self.family['missing']:
                raise CannotSay(self.family['missing'][name])
            return self.family[name]
        what, _, side = name.rpartition('_')
        who = dict(S='student', T='teacher').get(side, '')
        if name == 'levels':
            return len(self.value('stages'))
        if what == 'last':
            return dict(at='backbone', item=self.value('stages')[-1])
        if what == 'stage_channels':
            outputs = self.output(who, 'backbone')
            return [int(outputs[i].shape[1]) for i in self.value('stages')]
        if what in ('channels', 'vector_channels'):
            tap = self.value('feature' if what == 'channels' else 'vectors')
            found = self.output(who, tap['at'])
            found = found[tap['item']] if 'item' in tap else found
            # tokens have theirs at the end
            return int(found.shape[-1 if found.dim() == 3 else 1])
        raise ConfigError(f'`${name}` is no field of a family; look for a typo.')

    def fill(self, template: Any) -> Any:
        """Returns a part of a method's links with this pair's values in it."""
        if isinstance(template, list):
            return [self.fill(item) for item in template]
        if isinstance(template, dict):
            filled = {key: self.fill(value) for key, value in template.items()}
            tap = dict(filled.pop('tap', {}))
            if 'connector' in tap and 'connector' in filled:  # one behind the other
                last = filled.pop('connector')
                tap['connector'] = dict(tap['connector'], connector=last)
            return {**filled, **tap}
        if not isinstance(template, str):
            return template
        whole = PLACEHOLDER.fullmatch(template)
        if whole:
            return self.value(whole[1])
        return PLACEHOLDER.sub(lambda found: str(self.value(found[1])), template)

    def has(self, place: str) -> bool:
        """Whether the student has an attribute, as ``$head.loss_cls``."""
        try:
            reduce(getattr, self.fill(place).split('.'), self.student)
        except AttributeError:
            return False
        return True

    def output(self, side: str, at: str) -> Any:
        """Returns what a module gives, the student in training and the teacher not."""
        if (side, at) not in self._seen:
            model: Any = getattr(self, side)
            found: list[Any] = []
            handle = model.get_submodule(at).register_forward_hook(
                lambda module, args, output: found.append(output)
            )
            try:
                with undisturbed(model, training=side == 'student'):
                    model(**blank_batch(model), mode='loss')
            except Exception as error:
                # a head that has no loss in eval mode gave its outputs before
                if not found:
                    raise ConfigError(f'`{at}` of the {side}: {error}') from error
            finally:
                handle.remove()
            self._seen[side, at] = found[0]
        return self._seen[side, at]


def scaled(value: Any, width: int) -> Any:
    """Replaces each ``2w`` by a multiple of a width."""
    if isinstance(value, dict):
        return {key: scaled(item, width) for key, item in value.items()}
    if isinstance(value, list):
        return [scaled(item, width) for item in value]
    if isinstance(value, str) and re.fullmatch(r'[\d.]+w', value):
        number = float(value[:-1]) * width
        return int(number) if number.is_integer() else number
    return value


# ---- running -----------------------------------------------------------------------


class Runner:
    """Runs the cells of one package's page.

    Args:
        package: A key of `BATCHES`.
    """

    def __init__(self, package: str) -> None:
        text = (HERE / f'cells_{package}.yml').read_text(encoding='utf-8')
        self.about = yaml.safe_load(text)
        self.package = package
        self.page = HERE / 'methods' / self.about['page']
        self.methods: dict[str, dict[str, Any]] = self.about['methods']
        self.families = self._families('families')
        self.backbones = self._families('backbones')

    def _families(self, key: str) -> dict[str, Family]:
        shared = self.about['defaults']
        return {
            name: {
                **shared,
                **family,
                'model': {**shared['model'], **family['model']},
                'missing': {**self.about['missing'], **family.get('missing', {})},
            }
            for name, family in self.about[key].items()
        }

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Names are the package's, and the process is left as it was.

        Random numbers are fixed inside; warnings and logs are silent.
        """
        hub = f'{__name__}.cell'
        silenced = logging.root.manager.disable
        logging.disable(logging.WARNING)
        MessageHub.get_instance(hub)
        try:
            with (
                warnings.catch_warnings(),
                preserve_random_state(),
                scoped(self.package),
            ):
                warnings.simplefilter('ignore')
                seed_all(0, devices=False)
                yield
        finally:
            MessageHub._instance_dict.pop(hub)
            logging.disable(silenced)

    def model_of(self, family: Family, side: str) -> ConfigDict:
        """Config of a family's small student or teacher."""
        model = scaled(family['model'], WIDTHS[side])
        path = str(family['config'])
        path = path if '::' in path else f'{self.package}::{path}'
        return model_config(dict(model, cfg_path=path), side)

    def pair_of(self, family: Family) -> Pair:
        """Builds a family's models, to look at them."""
        with self.quiet():
            models = [MODELS.build(self.model_of(family, side)) for side in WIDTHS]
        return Pair(family, *models)

    def links(self, method: str, pair: Pair) -> Links:
        """Returns the links of a method for a pair.

        Raises:
            CannotSay: The pair has not what the method is about.
        """
        for name in self.methods[method].get('needs', ()):
            need = self.about['needs'][name]
            if pair.has(need.get('has') or need['lacks']) != ('has' in need):
                raise CannotSay(need['else'])
        links: Links = pair.fill(self.methods[method]['links'])
        return links

    def step(self, family: Family, links: Links) -> dict[str, Tensor]:
        """Distils for one step, forward and backward; returns the losses.

        Raises:
            ValueError: A loss is not finite, gives the student no gradient, or gives
                the teacher one.
        """
        batch = BATCHES[self.package]
        with self.quiet():
            model: TeacherDistill = MODELS.build(
                dict(
                    type='mmkd_ext.TeacherDistill',
                    architecture=self.model_of(family, 'student'),
                    teacher=self.model_of(family, 'teacher'),
                    distiller=dict(type='mmkd_ext.LinkDistiller', links=links),
                )
            )
            model.init_weights()
            # some preprocessors look where training is
            MessageHub.get_current_instance().update_info('iter', 0)
            data = model.data_preprocessor(batch(model.student), training=True)
            losses = model.train()(data['inputs'], data['data_samples'], mode='loss')
            for link in model.distiller.links:
                _check_loss(model, link, losses[f'distill.{link.name}'])
            total, _ = model.parse_losses(losses)
            total.backward()
            if any(p.grad is not None for p in model.teacher.parameters()):
                raise ValueError('the teacher gets a gradient')
            return losses

    def cell(self, method: str, pair: Pair) -> str:
        """Runs one cell; returns '' if it works, else why it does not."""
        try:
            self.step(pair.family, self.links(method, pair))
        except CannotSay as answer:
            return str(answer)
        # whatever goes wrong belongs into the table
        except Exception as error:
            return shorten(error)
        return ''

    def column(self, pair: Pair, methods: Iterable[str] = ()) -> dict[str, str]:
        """Returns what `cell` does for each method; all that can run in one step."""
        found: dict[str, str] = {}
        together: Links = {}
        for method in methods or self.methods:
            try:
                links = self.links(method, pair)
            except CannotSay as answer:
                found[method] = str(answer)
                continue
            found[method], word = '', re.sub(r'\W+', '_', method)
            together |= {f'{name}_{word}': link for name, link in links.items()}
        try:
            self.step(pair.family, together)
        # one of them does not work: one by one
        except Exception:
            return {m: why or self.cell(m, pair) for m, why in found.items()}
        return found

    def columns(self, families: Mapping[str, Family]) -> Cells:
        """Runs the cells of some families; shows what it is at."""
        found: Cells = {}
        for name, family in families.items():
            found[name] = self.column(self.pair_of(family))
            print(name, {m: why or 'yes' for m, why in found[name].items()}, flush=True)
        return found


def _check_loss(model: TeacherDistill, link: Any, loss: Tensor) -> None:
    """Raises where a link's loss is not finite, or nobody learns from it."""
    if not loss.isfinite():
        raise ValueError(f'`{link.name}` is {float(loss)}')
    asks_student = any(tap.of == STUDENT for _, tap in link.all_taps())
    learner = model.student if asks_student else model.distiller
    learns = [p for p in learner.parameters() if p.requires_grad]
    grads: Sequence[Tensor | None] = ()
    if learns and loss.requires_grad:
        grads = torch.autograd.grad(loss, learns, retain_graph=True, allow_unused=True)
    if not any(grad is not None and grad.any() for grad in grads):
        who = 'student' if asks_student else "method's own part"
        raise ValueError(f'`{link.name}` gives the {who} no gradient')


def shorten(error: Exception) -> str:
    """Returns the first sentence of an error, without where it happened."""
    problems = getattr(error, 'problems', None)
    text = problems[0].found if problems else str(error)
    text = re.sub(r'^`model\.[^`]*`: ', '', text)
    return re.split(r'\n|(?<=[^.][.;]) ', text)[0].rstrip('.;')


# ---- batches -----------------------------------------------------------------------


def detection_batch(model: nn.Module) -> dict[str, Any]:
    """Two images of noise of different size, padded, with boxes and perhaps masks."""
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData

    size, samples = 128, []
    boxes = torch.tensor([[8.0, 8.0, 72.0, 60.0], [40.0, 30.0, 64.0, 80.0]])
    drawn = torch.zeros(len(boxes), size, size, dtype=torch.uint8)
    for mask, (left, top, right, bottom) in zip(drawn, boxes.int().tolist()):
        mask[top:bottom, left:right] = 1
    for shape in ((size, size), (size - 32, size)):
        whole = dict.fromkeys(('pad_shape', 'batch_input_shape'), (size, size))
        about = dict(whole, img_shape=shape, ori_shape=shape, scale_factor=(1.0, 1.0))
        sample = DetDataSample(metainfo=dict(about, img_id=0, img_path=''))
        sample.gt_instances = InstanceData(
            bboxes=boxes.clone(), labels=torch.tensor([0, 7])
        )
        if has_masks(model):
            sample.gt_instances.masks = BitmapMasks(drawn.numpy(), size, size)
        sample.ignored_instances = InstanceData(
            bboxes=boxes[:0], labels=torch.zeros(0, dtype=torch.long)
        )
        samples.append(sample)
    inputs = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    return dict(inputs=inputs, data_samples=samples)


def segmentation_batch(model: nn.Module) -> dict[str, Any]:
    """Two crops of noise with labels in blocks.

    Some are to be ignored; but not for PIDNet, whose cross entropy with class weights
    fails in mmseg 1.2.2 on such labels, with or without a teacher.
    """
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    size: Any = model.get_submodule('data_preprocessor').size
    least = 0 if hasattr(model.get_submodule('decode_head'), 'p_cls_seg') else -1
    draw, samples = torch.Generator().manual_seed(0), []
    for _ in range(2):
        blocks = torch.randint(least, 19, (1, 1, 4, 4), generator=draw)
        labels = torch.nn.functional.interpolate(blocks.float(), size)[0].long()
        shapes = dict.fromkeys(('img_shape', 'ori_shape', 'pad_shape'), size)
        sample = SegDataSample(metainfo=shapes)
        sample.gt_sem_seg = PixelData(data=labels.where(labels >= 0, 255))
        # what mmseg's `GenerateEdge` adds for PIDNet
        edges = (labels != labels.roll(1, 2)).long()
        sample.set_data(dict(gt_edge_map=PixelData(data=edges)))
        samples.append(sample)
    inputs = [128 * torch.rand(3, *size, generator=draw) for _ in samples]
    return dict(inputs=inputs, data_samples=samples)


def classification_batch(model: nn.Module) -> dict[str, Any]:
    """Four pictures of noise with labels; of fewer there are no angles, as RKD has."""
    from mmpretrain.structures import DataSample

    draw = torch.Generator().manual_seed(0)
    return dict(
        inputs=[255 * torch.rand(3, 64, 64, generator=draw) for _ in range(4)],
        data_samples=[DataSample().set_gt_label(label) for label in (0, 7, 3, 5)],
    )


BATCHES: dict[str, Callable[[nn.Module], dict[str, Any]]] = dict(
    mmdet=detection_batch, mmseg=segmentation_batch, mmpretrain=classification_batch
)


# ---- the page ----------------------------------------------------------------------


def cells_text(cells: Cells) -> str:
    """Writes cells as Markdown, with the reasons below, each with its number."""
    if not cells:
        return ''
    reasons: dict[str, int] = {'': 0}
    rows = []
    for method in next(iter(cells.values())):
        whys = [found[method] for found in cells.values()]
        numbers = [reasons.setdefault(why, len(reasons)) for why in whys]
        rows.append([method, *(str(number or 'yes') for number in numbers)])
    notes = '\n'.join(f'{number}. {why}.' for why, number in reasons.items() if why)
    return f'{table(["method", *cells], rows, "lc")}\n\n{notes}'.rstrip()


def read_cells(text: str) -> Cells:
    """Reads what `cells_text` wrote."""
    lines = re.findall(r'^\|(.*)\|$', text, re.MULTILINE)
    rows = [[cell.strip() for cell in line.split('|')] for line in lines]
    reasons = {'yes': '', **dict(re.findall(r'^(\d+)\. (.*)\.$', text, re.M))}
    return {
        family: {row[0]: reasons[row[i]] for row in rows[2:]}
        for i, family in enumerate(rows[0][1:], 1)
    }


def places_text(families: Mapping[str, Family]) -> str:
    """Says where the families are tapped."""
    columns = ('feature', 'logits', 'auxiliary')
    rows = []
    for name, family in families.items():
        taps = [family.get(column) or {} for column in columns]
        items = [f', item {tap["item"]}' if 'item' in tap else '' for tap in taps]
        shown = [f'`{tap["at"]}`' if tap else '' for tap in taps]
        rows.append([name, *map(''.join, zip(shown, items))])
    return table(['family', *columns], rows, 'l')


def read_block(page: str, name: str) -> str:
    """Returns what stands on a page between ``<!-- name -->`` and ``<!-- end -->``."""
    return page.split(f'<!-- {name} -->\n\n')[1].split('\n\n<!-- end -->')[0]


def bare(text: str) -> str:
    """Returns text without what only aligns its tables."""
    return re.sub('[ -]+', ' ', text)


def main(argv: Sequence[str] | None = None) -> int:
    """Writes or checks a page; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('package', choices=[*BATCHES])
    parser.add_argument('--check', action='store_true', help='write nothing')
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    runner = Runner(args.package)
    blocks = dict(
        families=cells_text(runner.columns(runner.families)),
        backbones=cells_text(runner.columns(runner.backbones)),
        places=places_text(runner.families),
    )
    page = runner.page.read_text(encoding='utf-8')
    stale = False
    for name, text in blocks.items():
        old = read_block(page, name) if f'<!-- {name} -->' in page else text
        if bare(old) != bare(text):
            stale, page = True, page.replace(old, text)
    if args.check and stale:
        print(f'stale: {runner.page.name}', file=sys.stderr)
    elif stale:
        runner.page.write_text(page, encoding='utf-8')
    return int(args.check and stale)


if __name__ == '__main__':
    sys.exit(main())
