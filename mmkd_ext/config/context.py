"""What a check works on, what it reports, and where checks of model types register."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Callable

from mmkd_ext.config.findings import Findings

if TYPE_CHECKING:
    from mmengine.config import Config

    from mmkd_ext.config.rehearsal import Rehearsal

__all__ = [
    'CHECKERS',
    'Context',
    'LinkFacts',
    'ModelFacts',
    'Report',
    'TapFacts',
    'TermFacts',
    'TrainingFacts',
    'checks',
]


@dataclass
class ModelFacts:
    """One model.

    Args:
        role: ``'student'``, ``'model'`` or a teacher's name.
        kind: Its class.
        parameters: Number of its parameters.
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
class TapFacts:
    """One argument of a link.

    Args:
        argument: Name of the loss's argument.
        of: Whose.
        at: Where.
        shape: What was recorded.
        connector: What it passes through, if anything.
        entering: What enters the loss, if that was seen.
    """

    argument: str
    of: str
    at: str
    shape: str
    connector: str = ''
    entering: str = ''


@dataclass(frozen=True)
class LinkFacts:
    """One link.

    Args:
        name: Name of the term.
        loss: Class of its loss, and its weight.
        taps: Its arguments.
        alignment: What aligns the two sides.
        schedule: How its weight changes.
    """

    name: str
    loss: str
    taps: tuple[TapFacts, ...]
    alignment: str
    schedule: str


@dataclass(frozen=True)
class TermFacts:
    """One term of the loss in the dry run.

    Args:
        name: Its name as in the log.
        value: Its value.
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
class TrainingFacts:
    """How long, with what batch and learning rate.

    Args:
        optimizer: Its type.
        lr: Its learning rate.
        samples: Samples on each GPU.
        gpus: Number of GPUs that is assumed.
        base_batch: Batch that the learning rate was made for.
        base_source: Who says so.
        auto_scale: Whether the learning rate will be scaled by itself.
        scaled_lr: What linear scaling gives for `gpus`.
        length: Length of the training.
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
    """Everything that a check found out.

    Attributes:
        config: Name of the config file.
        kind: Type of its model.
        findings: Problems, warnings and notes.
        models: The models.
        links: The links.
        terms: The terms of the loss.
        batch: What the dry run was made with.
        training: Length, batch, learning rate.
    """

    config: str = ''
    kind: str = ''
    findings: Findings = field(default_factory=Findings)
    models: list[ModelFacts] = field(default_factory=list)
    links: list[LinkFacts] = field(default_factory=list)
    terms: list[TermFacts] = field(default_factory=list)
    batch: str = ''
    training: TrainingFacts | None = None

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.findings.problems

    def to_dict(self) -> dict[str, Any]:
        """Returns plain dicts, lists, strings and numbers."""
        found = asdict(self)
        found.update(found.pop('findings'))
        return {'ok': self.ok, **found}


@dataclass
class Context:
    """A check in progress.

    Args:
        cfg: The config; nobody changes it.
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

    @property
    def findings(self) -> Findings:
        """Problems, warnings and notes."""
        return self.report.findings


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
