"""Initialises parts of a student with the weights of its teacher."""

from __future__ import annotations

from dataclasses import dataclass
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
    """

    copied: tuple[str, ...]
    kept: tuple[tuple[str, str], ...]

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
    modules: Sequence[str],
    path: str = 'model.inherit',
) -> InitReport:
    """Finds the weights that parts of a student can copy from its teacher.

    Args:
        student: The student.
        teacher: The teacher.
        modules: Dotted names of the parts, such as ``['neck', 'bbox_head']``.
        path: Config path of ``modules``, for messages.

    Raises:
        ConfigError: A name is no module of either model, or nothing of a part agrees.
    """
    problems: list[Problem] = []
    reasons: dict[str, str] = {}  # a part inside another counts once
    given, wanted = teacher.state_dict(), student.state_dict()
    if not isinstance(modules, (list, tuple)) or not modules:
        what = "must be a list of modules such as ['neck', 'bbox_head'], but is"
        raise ConfigError.at(path, f'{what} {modules!r}.')
    for index, name in enumerate(modules):
        where = f'{path}[{index}]'
        missing = _missing(name, student, teacher, where)
        problems += missing
        part = {
            key: _difference(value, given.get(key))
            for key, value in wanted.items()
            if key.startswith(f'{name}.')
        }
        reasons.update(part)
        if all(part.values()) and not missing:
            key, reason = next(iter(part.items()), (name, 'it has no weights'))
            what = f'nothing of `{name}` agrees with the teacher: `{key}`: {reason}.'
            hint = 'Leave it out, or choose a teacher with the same part.'
            problems.append(Problem(where, what, hint))
    if problems:
        raise ConfigError.of(problems)
    return InitReport(
        tuple(key for key, reason in reasons.items() if not reason),
        tuple((key, reason) for key, reason in reasons.items() if reason),
    )


@torch.no_grad()
def init_from_teacher(
    student: nn.Module, teacher: nn.Module, report: InitReport
) -> None:
    """Copies what was planned from the teacher into the student."""
    given, wanted = teacher.state_dict(), student.state_dict()
    for key in report.copied:
        wanted[key].copy_(given[key])


def _missing(
    name: str, student: nn.Module, teacher: nn.Module, where: str
) -> list[Problem]:
    problems = []
    for role, model in (('student', student), ('teacher', teacher)):
        known = [known for known, _ in model.named_modules() if known]
        if name not in known:
            top = [child for child, _ in model.named_children()]
            hint = f'It has {top}.{did_you_mean(str(name), known)}'
            problems.append(Problem(where, f'the {role} has no module {name!r}.', hint))
    return problems


def _difference(wanted: Tensor, given: Tensor | None) -> str:
    if given is None:
        return 'the teacher has none'
    if wanted.shape != given.shape:
        return f'{tuple(wanted.shape)} here, {tuple(given.shape)} in the teacher'
    return ''
