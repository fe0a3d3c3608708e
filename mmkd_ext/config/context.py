"""What a check works on, what it reports, and where checks of model types register."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Callable

from mmkd_ext.errors import Problem, problems_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mmengine.config import Config

    from mmkd_ext.config.rehearsal import Rehearsal

__all__ = ['CHECKERS', 'Context', 'LinkSummary', 'ModelSummary', 'Report', 'TapSummary',
           'TermSummary', 'TrainingSummary', 'checks']  # fmt: skip


@dataclass
class ModelSummary:
    """One model: its role in links, its class, and its number of parameters.

    Args:
        checkpoint: Where its weights come from.
        matched: Share of the parameters that the checkpoint fills, if it was read.
        input: How the batch is normalised for it.
        mode: In which mode it runs.
    """

    role: str
    kind: str
    parameters: int
    checkpoint: str = 'none'
    matched: float | None = None
    input: str = ''
    mode: str = ''


@dataclass(frozen=True)
class TapSummary:
    """One argument of a link: where it is tapped, and its shapes on the way.

    Args:
        shape: Shape of what was recorded.
        connector: Class of its connector, if it has one.
        entering: Shape of what enters the loss, if that was seen.
    """

    argument: str
    of: str
    at: str
    shape: str
    connector: str = ''
    entering: str = ''


@dataclass(frozen=True)
class LinkSummary:
    """One link: name of its term, its loss, its arguments, and what is done to them."""

    name: str
    loss: str
    taps: tuple[TapSummary, ...]
    alignment: str
    schedule: str


@dataclass(frozen=True)
class TermSummary:
    """One term of the loss in the dry run.

    Args:
        share: Its part of the sum of all terms' absolute values.
        gradient: Norm of its gradient on the student's parameters, if computed.
        gradient_share: That norm's part of the sum of all terms' norms.
    """

    name: str
    value: float
    share: float
    gradient: float | None = None
    gradient_share: float | None = None


@dataclass(frozen=True)
class TrainingSummary:
    """How long, with what batch and learning rate.

    Args:
        samples: Samples on each GPU.
        gpus: Number of GPUs that is assumed.
        base_batch: Batch that the learning rate was made for.
        base_source: Where `base_batch` was read.
        auto_scale: Whether training will scale the learning rate.
        scaled_lr: What linear scaling gives for `gpus`.
    """

    optimizer: str = ''
    lr: float | None = None
    samples: int | None = None
    gpus: int = 1
    base_batch: int | None = None
    base_source: str = ''
    auto_scale: bool = False
    scaled_lr: float | None = None
    length: str = ''


@dataclass
class Report:
    """What a check found; the same thing found twice counts once.

    Attributes:
        config: Name of the config file.
        kind: Type of its model.
        batch: What the dry run was made with.
        problems: What cannot work or cannot be meant.
        warnings: What works, and is likely not wanted.
        notes: What is good to know.
    """

    config: str = ''
    kind: str = ''
    models: list[ModelSummary] = field(default_factory=list)
    links: list[LinkSummary] = field(default_factory=list)
    terms: list[TermSummary] = field(default_factory=list)
    batch: str = ''
    training: TrainingSummary | None = None
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def problem(self, path: str, found: str, hint: str = '') -> None:
        """Adds a problem at a config path."""
        self.add([Problem(path, found, hint)])

    def warn(self, path: str, found: str, hint: str = '') -> None:
        """Adds a warning."""
        self.add([Problem(path, found, hint)], self.warnings)

    def note(self, path: str, found: str, hint: str = '') -> None:
        """Adds a note."""
        self.add([Problem(path, found, hint)], self.notes)

    def add(
        self, problems: Iterable[Problem], into: list[Problem] | None = None
    ) -> None:
        """Adds to the problems, or to the warnings or notes."""
        known = self.problems if into is None else into
        for problem in problems:
            tidy = replace(problem, hint=problem.hint.strip())
            if tidy not in known:
                known.append(tidy)

    @contextmanager
    def collecting(self, path: str) -> Iterator[None]:
        """Adds any error raised in the block as a problem, and goes on after it.

        Args:
            path: Config path for errors that name none.
        """
        try:
            yield
        except Exception as error:
            # classes that a config names may raise anything
            self.add(problems_of(error, path))

    def to_dict(self) -> dict[str, Any]:
        """Returns plain dicts, lists, strings and numbers."""
        plain = asdict(self)
        for kind in ('problems', 'warnings', 'notes'):
            for problem in plain[kind]:
                del problem['link']
        return {'ok': self.ok, **plain}


@dataclass
class Context:
    """A check in progress.

    Args:
        cfg: The config; checks leave it as it is.
        report: To be filled.
        rehearsal: Builds what a training builds, and runs a step.
        gradients: Whether gradients are asked for.
        data: Whether the files of the data sets are to be there.
    """

    cfg: Config
    report: Report
    rehearsal: Rehearsal
    gradients: bool = True
    data: bool = True


Checker = Callable[[Context], None]
CHECKERS: dict[str, Checker] = {}
"""For the name of a model class, what checks it and its subclasses."""


def checks(name: str) -> Callable[[Checker], Checker]:
    """Registers a function as the check of a model class and its subclasses.

    The function builds what ``context.cfg.model`` describes, and fills
    ``context.report``. Models without one are built and counted.

    Args:
        name: Name of the class.
    """

    def register(checker: Checker) -> Checker:
        CHECKERS[name] = checker
        return checker

    return register
