"""Initialises parts of a student with the weights of its teacher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from mmkd_ext.errors import ConfigError, Problem, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

__all__ = ['InitReport', 'init_from_teacher', 'plan_init']


@dataclass(frozen=True)
class InitReport:
    """Which weights of a student are copied from its teacher.

    Args:
        copied: Names of the parameters and buffers that are copied.
        kept: Names of those that are not, each with the reason.
        sources: Names that they have in the teacher, where these differ.
    """

    copied: tuple[str, ...]
    kept: tuple[tuple[str, str], ...]
    sources: Mapping[str, str] = field(default_factory=dict)

    def describe(self) -> str:
        """Returns a few lines for the log."""
        lines = [f'Initialisation from the teacher: {self.summary()}']
        lines += [f'  kept `{name}`: {reason}' for name, reason in self.kept]
        return '\n'.join(lines)

    def summary(self) -> str:
        """Returns one sentence, with one example of what is kept."""
        total = len(self.copied) + len(self.kept)
        text = f'{len(self.copied)} of {total} tensors start as those of the teacher'
        examples = [
            f'; others are kept, as `{name}`: {reason}' for name, reason in self.kept
        ]
        return f'{text}{"".join(examples[:1])}.'


def plan_init(
    student: nn.Module,
    teacher: nn.Module,
    modules: Sequence[str] | Mapping[str, str],
    path: str = 'model.inherit',
) -> InitReport:
    """Finds the weights that parts of a student can copy from its teacher.

    Args:
        student: The student.
        teacher: The teacher.
        modules: Dotted names of the parts, such as ``['neck', 'bbox_head']``; or a dict
            from each to the name that the part has in the teacher.
        path: Config path of ``modules``, for messages.

    Raises:
        ConfigError: A name is no module of either model, or nothing of a part agrees.
    """
    problems: list[Problem] = []
    copied: list[str] = []
    kept: list[tuple[str, str]] = []
    sources: dict[str, str] = {}
    given, wanted = teacher.state_dict(), student.state_dict()
    if not isinstance(modules, (list, tuple, Mapping)) or not modules:
        raise ConfigError.at(
            path,
            f"must be a list of modules such as ['neck', 'bbox_head'], "
            f'but is {modules!r}.',
        )
    pairs = modules if isinstance(modules, Mapping) else {m: m for m in modules}
    for index, (name, source) in enumerate(pairs.items()):
        where = f'{path}[{index}]' if pairs is not modules else f'{path}.{name}'
        missing = _missing(student, name, 'student', where)
        missing += _missing(teacher, source, 'teacher', where)
        if missing:
            problems += missing
            continue
        found = [key for key in wanted if key.startswith(f'{name}.')]
        theirs = {key: f'{source}{key[len(name) :]}' for key in found}
        reasons = {
            key: _difference(wanted[key], given.get(theirs[key])) for key in found
        }
        if all(reasons.values()):
            example = next(iter(reasons.items()), (name, 'it has no weights'))
            problems.append(
                Problem(
                    where,
                    f'nothing of `{name}` agrees with the teacher: '
                    f'`{example[0]}`: {example[1]}.',
                    'Leave it out, or choose a teacher with the same part.',
                )
            )
        copied += [key for key, reason in reasons.items() if not reason]
        sources.update((k, v) for k, v in theirs.items() if k != v)
        kept += [(key, reason) for key, reason in reasons.items() if reason]
    if problems:
        raise ConfigError.of(problems)
    # a part inside another counts once
    return InitReport(tuple(dict.fromkeys(copied)), tuple(dict.fromkeys(kept)), sources)


@torch.no_grad()
def init_from_teacher(
    student: nn.Module, teacher: nn.Module, report: InitReport
) -> None:
    """Copies what was planned from the teacher into the student."""
    given, wanted = teacher.state_dict(), student.state_dict()
    for key in report.copied:
        wanted[key].copy_(given[report.sources.get(key, key)])


def _missing(model: nn.Module, name: str, role: str, where: str) -> list[Problem]:
    known = [known for known, _ in model.named_modules() if known]
    if name in known:
        return []
    top = [child for child, _ in model.named_children()]
    return [
        Problem(
            where,
            f'the {role} has no module {name!r}.',
            f'It has {top}.{did_you_mean(str(name), known)}',
        )
    ]


def _difference(wanted: Tensor, given: Tensor | None) -> str:
    if given is None:
        return 'the teacher has none'
    if wanted.shape != given.shape:
        return f'{tuple(wanted.shape)} here, {tuple(given.shape)} in the teacher'
    return ''
