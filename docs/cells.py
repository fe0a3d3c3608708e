"""Tables of what runs with what: a cell is a training step of a method on a family.

Behind the pages on which methods run on which detectors and segmentors, and for similar
tables of your own.
"""

from __future__ import annotations

import logging
import re
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable

import torch
from mmengine.logging import MessageHub

from mmkd_ext.algorithms.dry_run import undisturbed
from mmkd_ext.algorithms.sources import model_config
from mmkd_ext.config.parts import scoped
from mmkd_ext.connectors.build import find_class
from mmkd_ext.distillers.links import STUDENT
from mmkd_ext.errors import ConfigError
from mmkd_ext.random_state import preserve_random_state, seed_all
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mmengine.config import ConfigDict
    from torch import Tensor, nn

    from mmkd_ext.algorithms import TeacherDistill

__all__ = [
    'CannotSay',
    'Cells',
    'Family',
    'Links',
    'Pair',
    'Runner',
    'Template',
    'read_tables',
    'share_table',
    'table',
    'write_page',
]

Links = dict[str, dict[str, Any]]
Cells = dict[str, dict[str, str]]
"""For each family and method why it does not work, '' where it does."""


class CannotSay(Exception):
    """A family has not what a method is about; the text says what."""


@dataclass(frozen=True)
class Family:
    """A kind of model. A subclass adds where its parts are.

    Args:
        config: Its config in the package.
        student: What makes the student small, as overrides of the model.
        teacher: The same for the teacher, which is larger.
    """

    config: str
    student: dict[str, Any]
    teacher: dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """What a method's template may ask about the models that it is written for.

    Args:
        family: The family, whose fields are of the table that asks.
        student: The built student.
        teacher: The built teacher.
    """

    family: Any
    student: nn.Module
    teacher: nn.Module
    _seen: dict[Any, Any] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether the student has a module."""
        return name in dict(self.student.named_modules())

    def output(self, side: str, at: str, batch: dict[str, Any]) -> Any:
        """Returns what a module gives, the student in training and the teacher not."""
        if (side, at) not in self._seen:
            model: Any = getattr(self, side)
            found: list[Any] = []
            handle = model.get_submodule(at).register_forward_hook(
                lambda module, args, output: found.append(output)
            )
            try:
                with undisturbed(model, training=side == 'student'):
                    model(**batch, mode='loss')
            except Exception as error:
                # a head that has no loss in eval mode gave its outputs before
                if not found:
                    raise ConfigError(f'`{at}` of the {side}: {error}') from error
            finally:
                handle.remove()
            self._seen[side, at] = found[0]
        return self._seen[side, at]


Template = Callable[[Pair], Links]


@dataclass(frozen=True)
class Runner:
    """Runs the cells of one package's table.

    Args:
        package: ``'mmdet'`` or ``'mmseg'``.
        methods: For each row, the class that it needs and its links.
        batch: Makes a batch, not yet preprocessed, for a model.
    """

    package: str
    methods: dict[str, tuple[str, Template]]
    batch: Callable[[nn.Module], dict[str, Any]]

    def present(self) -> list[str]:
        """Methods whose class is there."""
        return [
            name
            for name, (kind, _) in self.methods.items()
            if find_class(f'mmkd_ext.{kind}')
        ]

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
        path = f'{self.package}::{family.config}'
        return model_config(dict(cfg_path=path, **getattr(family, side)), side)

    def pair_of(self, family: Family) -> Pair:
        """Builds a family's models, to look at them."""
        with self.quiet():
            student, teacher = (
                MODELS.build(self.model_of(family, side))
                for side in ('student', 'teacher')
            )
        return Pair(family, student, teacher)

    def step(self, family: Family, links: Links) -> dict[str, Tensor]:
        """Distils for one step, forward and backward; returns the losses.

        Raises:
            ValueError: A loss is not finite, gives the student no gradient, or gives
                the teacher one.
        """
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
            data = model.data_preprocessor(self.batch(model.student), training=True)
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
            self.step(pair.family, self.methods[method][1](pair))
        except CannotSay as answer:
            return str(answer)
        except Exception as error:
            # whatever goes wrong belongs into the table
            return _short(error)
        return ''

    def column(self, pair: Pair, methods: Iterable[str]) -> dict[str, str]:
        """Runs the cells of one family; all that work run in one step.

        Returns:
            For each method what `cell` returns.
        """
        found: dict[str, str] = {}
        together: Links = {}
        for method in methods:
            try:
                links = self.methods[method][1](pair)
            except CannotSay as answer:
                found[method] = str(answer)
            else:
                found[method] = ''
                for name, link in links.items():
                    together[f'{name}_{_word(method)}'] = link
        try:
            self.step(pair.family, together)
        except Exception:
            # now one by one
            found = {
                method: why or self.cell(method, pair) for method, why in found.items()
            }
        return found

    def columns(self, families: Mapping[str, Family], methods: Sequence[str]) -> Cells:
        """Runs the cells of some families; shows what it is at."""
        found: Cells = {}
        for name, family in families.items():
            found[name] = self.column(self.pair_of(family), methods)
            said = {method: why or 'yes' for method, why in found[name].items()}
            print(name, said, flush=True)
        return found

    def differences(self, pair: Pair, expected: Mapping[str, str]) -> dict[str, str]:
        """Compares one family with what a page says of it.

        The methods that are expected to work run in one step, the others one at a time.

        Args:
            pair: The family's models.
            expected: For each method '' or the reason.

        Returns:
            For each method that differs, what was found.
        """
        works = [method for method, why in expected.items() if not why]
        found = self.column(pair, works)
        found.update({m: self.cell(m, pair) for m, why in expected.items() if why})
        return {m: why for m, why in found.items() if why != expected[m]}


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


def _short(error: Exception) -> str:
    problems = getattr(error, 'problems', None)
    text = problems[0].found if problems else str(error)
    text = re.sub(r'^`model\.[^`]*`: ', '', text)
    return re.split(r'\n|(?<=[^.][.;]) ', text)[0].rstrip('.;')


def _word(text: str) -> str:
    return re.sub(r'\W+', '_', text)


def table(cells: Cells, corner: str = 'method') -> str:
    """Writes cells as Markdown, with the reasons below, each with its number."""
    reasons: dict[str, int] = {}
    methods = list(next(iter(cells.values())))
    rows = [[corner, *cells], [':--', *(':-:' for _ in cells)]]
    for method in methods:
        row = [method]
        for found in cells.values():
            why = found[method]
            row.append(str(reasons.setdefault(why, len(reasons) + 1)) if why else 'yes')
        rows.append(row)
    lines = ['| ' + ' | '.join(row) + ' |' for row in rows]
    notes = [f'{number}. {why}.' for why, number in reasons.items()]
    return '\n'.join(lines) + ('\n\n' + '\n'.join(notes) if notes else '')


def read_tables(text: str, corner: str = 'method') -> list[Cells]:
    """Reads the tables that `table` wrote off a page."""
    tables = []
    for block in re.findall(r'(?:^\|.*\n)+\n?(?:\d+\. .*\n)*', text, re.MULTILINE):
        lines = block.strip().splitlines()
        rows = [line.strip('| ').split(' | ') for line in lines if line[:1] == '|']
        if rows[0][0] != corner:
            continue
        notes = [line.split('. ', 1) for line in lines if line[:1].isdigit()]
        reasons = {'yes': '', **{number: why[:-1] for number, why in notes}}
        tables.append(
            {
                family: {row[0]: reasons[row[i]] for row in rows[2:]}
                for i, family in enumerate(rows[0][1:], 1)
            }
        )
    return tables


def share_table(share: Mapping[str, Any], columns: Mapping[str, str]) -> str:
    """Writes how many configs of a package pass the check, a row a folder.

    Args:
        share: What ``benchmarks/check_share.py`` wrote.
        columns: Title of each column, by key of the counts.
    """
    rows = [['folder', *columns.values()], [':--', *['--:'] * len(columns)]]
    for folder, counts in {**share['folders'], 'all': share['total']}.items():
        rows.append([folder, *(str(counts[key]) for key in columns)])
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows)


def write_page(page: Path, text: str, *, check: bool) -> int:
    """Writes a page, or says that it differs; returns the exit status."""
    if not check:
        page.write_text(text, encoding='utf-8')
        return 0
    same = page.is_file() and page.read_text(encoding='utf-8') == text
    if not same:
        print(f'stale: {page.name}', file=sys.stderr)
    return int(not same)
