"""Predictions of one set of classes in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from mmengine.registry import DATASETS
from torch import Tensor, nn

from mmkd_ext.errors import ConfigError, Problem, ShapeError, did_you_mean
from mmkd_ext.functional.classes import merge_logits
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from mmkd_ext.connectors.rows import Maps

__all__ = ['ClassMap']


@MODELS.register_module()
class ClassMap(nn.Module):
    """Maps the logits of a model's classes to those of another set of classes.

    So a teacher of Cityscapes' 19 classes teaches a student of CamVid's 11::

        preds_T=dict(of='teacher', at='decode_head.conv_seg', connector=dict(
            type='mmkd_ext.ClassMap',
            source='mmseg.CityscapesDataset',
            target='mmkd_ext.CamVidDataset',
            merge=dict(building=['building', 'wall'], pavement='sidewalk', ...)))

    A class of `target` takes the classes of `source` that `merge` gives it, else the
    one of its own name. Probabilities of merged classes add up; classes of `source`
    that nothing takes are left out, and what they had is shared among the others in
    proportion; see :func:`~mmkd_ext.functional.merge_logits`. Logits are maps
    ``(n k h w)``, vectors or rows ``(n k)``, or a pyramid of these; class maps of dense
    heads become rows by `FlattenPredictions` first.

    Every class of `target` needs one of `source`. Where the teacher knows too few,
    `target` is what both have in common, and the student gets a `ClassMap` of its own,
    from its classes to the common ones.

    Args:
        source: Names of the columns that come in: a list, or the type of a data set.
        target: Names of the columns that go out, likewise.
        merge: For a class of `target` the name, or the names, in `source`.
        background: A last column, for none of the classes, goes through on both
            sides, as softmax heads of mmdet have it.
        sigmoid: Scores are those of sigmoids, one question for each class.

    Raises:
        ConfigError: Lists every name that is unknown or doubled, and classes of
            `target` without any of `source`.

    Examples:
        >>> import torch
        >>> fold = ClassMap(['cat', 'dog', 'car'], ['pet', 'car'],
        ...                 merge=dict(pet=['cat', 'dog']))
        >>> fold(torch.zeros(1, 3)).softmax(1)
        tensor([[0.6667, 0.3333]])
        >>> print(fold.describe())
        pet: cat + dog; car: car
    """

    yields_classes: ClassVar[bool] = True
    """Channels of what it returns are classes, which alignment must not mix."""

    def __init__(
        self,
        source: str | Sequence[str],
        target: str | Sequence[str],
        merge: Mapping[str, str | Sequence[str]] | None = None,
        *,
        background: bool = False,
        sigmoid: bool = False,
    ) -> None:
        super().__init__()
        problems: list[Problem] = []
        self.source = _names('source', source, problems)
        self.target = _names('target', target, problems)
        if not problems:
            self.taken = _taken(self.source, self.target, merge or {}, problems)
        if not problems and len(self.target) + background < 2 and not sigmoid:
            found = f'leaves one class, {self.target}, whose probability is always 1.'
            problems.append(Problem('target', found, 'Map to two classes or more.'))
        if problems:
            raise ConfigError.of(problems)
        self.groups = [
            [self.source.index(name) for name in group] for group in self.taken
        ]
        self.columns = len(self.source) + background
        if background:
            self.groups.append([len(self.source)])
        self.sigmoid = sigmoid

    def forward(self, logits: Maps) -> Tensor | tuple[Tensor, ...]:
        """Returns logits of the classes of `target`, in float32 at least.

        Raises:
            ShapeError: They have not as many columns as `source` has names.
        """
        if not isinstance(logits, Tensor):
            return tuple(map(self._mapped, logits))
        return self._mapped(logits)

    def _mapped(self, logits: Tensor) -> Tensor:
        if logits.dim() < 2 or logits.shape[1] != self.columns:
            got, hint = tuple(logits.shape), 'name all outputs of the head in `source`.'
            if logits.dim() > 1 and logits.shape[1] == self.columns + 1:
                hint = 'give the last one a name, or set `background=True`.'
            elif logits.dim() == 4 and logits.shape[1] % self.columns == 0:
                hint = 'make rows of them by `mmkd_ext.FlattenPredictions` before it.'
            what = f'takes logits of {self.columns} classes, but got {got}'
            raise ShapeError(f'`ClassMap` {what}; {hint}')
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return merge_logits(logits, self.groups, sigmoid=self.sigmoid)

    def describe(self) -> str:
        """Returns the map in words: who takes whom, and who is left out."""
        pairs = [f'{t}: {" + ".join(g)}' for t, g in zip(self.target, self.taken)]
        left = [name for name in self.source if not any(name in g for g in self.taken)]
        return '; '.join(pairs) + (f'; left out: {", ".join(left)}' if left else '')


def _names(key: str, given: str | Sequence[str], problems: list[Problem]) -> list[str]:
    """Returns the names of classes, also those of a data set."""
    names: Sequence[str] = given
    if isinstance(given, str):
        with DATASETS.switch_scope_and_registry(None) as registry:
            cls = registry.get(given)
        names = getattr(cls, 'METAINFO', {}).get('classes', ())
        if not names:
            what = 'has no classes of its own' if cls else 'is no data set'
            children = DATASETS.children
            known = [
                f'{scope}.{n}'
                for scope in children
                for n in children[scope].module_dict
            ]
            hint = f'Give the names as a list.{did_you_mean(given, known)}'
            problems.append(Problem(key, f'{given!r} {what}.', hint))
            return []
    found = list(names) if isinstance(names, (list, tuple)) else []
    doubled = [name for name in dict.fromkeys(found) if found.count(name) > 1]
    if not found or not all(isinstance(name, str) for name in found):
        what = f'must be names of classes, but is {given!r}.'
        problems.append(Problem(key, what, "Write ['road', 'car', ...]."))
    elif doubled:
        hint = 'Give each column a name of its own.'
        problems.append(Problem(key, f'has {doubled} twice.', hint))
    return found


def _taken(
    source: list[str],
    target: list[str],
    merge: Mapping[str, str | Sequence[str]],
    problems: list[Problem],
) -> list[list[str]]:
    """Returns which classes of the source each class of the target takes."""
    problems += [
        Problem(f'merge.{name}', 'is no class of `target`.', _hint(name, target))
        for name in merge
        if name not in target
    ]
    taken: list[list[str]] = []
    takers: dict[str, str] = {}
    for name in target:
        given = merge.get(name, [name] if name in source else [])
        group = [given] if isinstance(given, str) else list(given or ())
        path = f'merge.{name}'
        for one in group:
            if one not in source:
                what = f'{one!r} is no class of `source`.'
                problems.append(Problem(path, what, _hint(one, source)))
            elif one in takers:
                what = f'{one!r} is taken by {takers[one]!r} already.'
                problems.append(Problem(path, what, 'Merge a class into one other.'))
            takers[one] = name
        taken.append(group)
    lacking = [name for name, group in zip(target, taken) if not group]
    if len(lacking) == len(target):
        what = f'has no class in common with `source`, {source}.'
        hint = 'Say in `merge` which belong together.'
        problems.append(Problem('target', what, hint))
    elif lacking:
        rest = [name for name in target if name not in lacking]
        hint = (
            f'Name them in `merge`; or compare what both know: target={rest}, and on '
            f"the other side dict(type='mmkd_ext.ClassMap', source={target}, "
            f'target={rest}).'
        )
        what = f'has {lacking}, which no class of `source` is mapped to.'
        problems.append(Problem('target', what, hint))
    return taken


def _hint(name: str, known: list[str]) -> str:
    return f'It has {known}.{did_you_mean(name, known)}'
