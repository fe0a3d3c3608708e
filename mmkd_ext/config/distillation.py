"""The check of distillations: every stage of building one, and a dry run."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable

from mmengine.registry import MODELS
from torch import nn

from mmkd_ext.algorithms.init_from_teacher import init_from_teacher
from mmkd_ext.algorithms.sources import model_config
from mmkd_ext.algorithms.teacher_distill import TeacherDistill, build_distiller
from mmkd_ext.config import measure, models
from mmkd_ext.config.classes import class_count
from mmkd_ext.config.context import (
    Context,
    LinkFacts,
    ModelFacts,
    TapFacts,
    TermFacts,
    checks,
)
from mmkd_ext.config.draft import Draft
from mmkd_ext.config.parts import find_type, scoped
from mmkd_ext.config.segmentation import check_segmentor
from mmkd_ext.config.training import check_link_schedules
from mmkd_ext.connectors.build import argument_problems, build_module
from mmkd_ext.distillers.alignment import ours_instead
from mmkd_ext.distillers.link_distiller import LinkDistiller
from mmkd_ext.distillers.links import BATCH, STUDENT, TEACHER
from mmkd_ext.errors import Problem, problems_of
from mmkd_ext.methods._base import PairLoss

if TYPE_CHECKING:
    from mmkd_ext.distillers.link_distiller import LinkPlan

__all__ = ['check_distillation']

_LITTLE, _MOST = 0.001, 0.99
_TAKEN = {STUDENT, BATCH}


@checks('TeacherDistill')
def check_distillation(context: Context) -> None:
    """Builds student, teachers and links, and runs one step on noise."""
    _Distillation(context).check()


class _Distillation:
    """One check: each method is a stage and adds to the report."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.findings = context.findings
        self.config: dict[str, Any] = context.cfg.model.to_dict()
        if context.cfg.get('data_preprocessor') is not None:
            self.config.setdefault('data_preprocessor', context.cfg.data_preprocessor)
        self.models: dict[str, nn.Module | None] = {STUDENT: None}
        self.sources: dict[str, tuple[str, Any]] = {}
        self.facts: dict[str, ModelFacts] = {}
        self.mended = False

    def check(self) -> None:
        # the registry switches scopes so while it builds the model
        with scoped(self.config.get('_scope_')):
            draft = self._parts()
        if draft is None:
            return
        missing = [name for name, model in self.models.items() if model is None]
        if missing:
            self.findings.note(
                'model.distiller',
                f'shapes were not checked, since {missing} could not be built.',
            )
        else:
            self._build(draft)

    def _parts(self) -> Draft | None:
        """Builds models and links one by one, and looks the taps up."""
        cls = find_type(self.config['type'], MODELS)
        self._arguments(cls, self.config, 'model')
        self._build_student()
        self._build_teachers()
        self.context.report.models = list(self.facts.values())
        self._compare_models()
        student = self.models[STUDENT]
        if student is not None:
            check_segmentor(
                student,
                'model.architecture',
                self.context.cfg,
                self.context.report.training,
                self.findings,
            )
        draft = self._draft()
        if draft is not None:
            self._check_taps(draft)
        return draft

    def _arguments(self, cls: Any, config: dict[str, Any], path: str) -> None:
        """Names unknown arguments, and takes them out."""
        arguments = {k: v for k, v in config.items() if k not in ('type', '_scope_')}
        found = argument_problems(cls, arguments, path)
        self.findings.add(found)
        for problem in found:
            config.pop(problem.path.rsplit('.', 1)[-1], None)

    # ---- models --------------------------------------------------------------------

    def _build_student(self) -> None:
        if 'architecture' in self.config:
            self._build_model(
                STUDENT,
                self.config['architecture'],
                'model.architecture',
                self.config.pop('student_ckpt', None),
                'model.student_ckpt',
                self.config.get('min_matched', 0.5),
            )
            self.config['architecture'] = self.models[STUDENT]

    def _build_teachers(self) -> None:
        one, several = self.config.get('teacher'), self.config.get('teachers')
        ckpt = self.config.pop('teacher_ckpt', None)
        minimum = self.config.get('min_matched', 0.5)
        if (one is None) == (several is None):
            self.findings.problem(
                'model.teacher', 'give either `teacher` or `teachers`.'
            )
            self.models[TEACHER] = None
        elif one is not None:
            self._build_model(
                TEACHER, one, 'model.teacher', ckpt, 'model.teacher_ckpt', minimum
            )
            self.config['teacher'] = self.models[TEACHER]
        elif not isinstance(several, Mapping) or not all(
            isinstance(config, Mapping) for config in several.values()
        ):
            self.findings.problem(
                'model.teachers',
                f'must be a dict with a dict for each teacher, but is {several!r}.',
            )
        elif not _TAKEN.isdisjoint(several):
            self.findings.problem(
                'model.teachers',
                f'a teacher cannot be called {sorted(_TAKEN.intersection(several))}.',
                'Links use these names for others.',
            )
        else:
            if ckpt is not None:
                self.findings.problem(
                    'model.teacher_ckpt',
                    'goes with `teacher`.',
                    'In `teachers` each one has its `ckpt`.',
                )
            self.config['teachers'] = {}
            for name, config in several.items():
                path = f'model.teachers.{name}'
                self._build_model(
                    name,
                    config.get('model'),
                    f'{path}.model',
                    config.get('ckpt'),
                    f'{path}.ckpt',
                    config.get('min_matched', minimum),
                )
                self.config['teachers'][name] = {
                    **config,
                    'model': self.models[name],
                    'ckpt': None,
                }

    def _build_model(
        self,
        role: str,
        source: Any,
        path: str,
        ckpt: Any,
        ckpt_path: str,
        min_matched: Any,
    ) -> None:
        model = models.build(
            source, path, self.findings, trained=role != STUDENT and ckpt is not None
        )
        self.models[role] = model
        self.sources[role] = path, source
        if model is None:
            return
        self.facts[role] = models.facts_of(role, model)
        built = isinstance(source, nn.Module)
        if role == STUDENT and self.context.gradients and not built:
            models.initialize(model, path, self.findings)
        models.load_checkpoint(
            model,
            ckpt,
            ckpt_path,
            self.facts[role],
            self.findings,
            min_matched=min_matched,
        )
        if role != STUDENT and ckpt is None:
            self.findings.warn(
                ckpt_path,
                f'`{role}` has no checkpoint, so it teaches '
                'what its `init_cfg` loads, or noise.',
                f'Give {ckpt_path.split(".")[-1]}=... .',
            )

    def _compare_models(self) -> None:
        student = self.models.get(STUDENT)
        for role, teacher in self.models.items():
            if role == STUDENT or student is None or teacher is None:
                continue
            path = 'model.teacher' if role == TEACHER else f'model.teachers.{role}'
            ours, theirs = map(class_count, (student, teacher))
            if ours is not None and theirs is not None and ours != theirs:
                self.findings.warn(
                    path,
                    f'tells {theirs} classes apart, the student {ours}.',
                    'Features can be compared, predictions cannot.',
                )
            sizes = [self.facts[one].parameters for one in (STUDENT, role)]
            if sizes[0] >= sizes[1]:
                same = 'is as large as' if sizes[0] == sizes[1] else 'is smaller than'
                self.findings.note(
                    path,
                    f'{same} the student ({sizes[1]:,} and {sizes[0]:,} parameters).',
                )

    # ---- links ---------------------------------------------------------------------

    def _draft(self) -> Draft | None:
        """Builds losses, connectors and schedules; returns what of it can be built."""
        config = self.config.get('distiller')
        if config is None:
            return None
        if not isinstance(config, dict):
            with self.findings.collecting('model.distiller'):
                build_distiller(config)
            return None
        draft = Draft(self.config)
        self.findings.add(draft.problems)
        self.mended = bool(draft.problems)
        distiller = None
        if not (draft.problems and draft.is_empty):
            distiller = self._mending(draft, lambda: build_distiller(draft.distiller))
        for path, loss in draft.losses.items():
            with self.findings.collecting(path):
                build_module(loss, path)
        if distiller is not None:
            self._check_schedules(draft, distiller)
        return draft

    def _mending(self, draft: Draft, build: Callable[[], Any]) -> Any:
        """Builds; notes what is wrong, takes it out, and builds again what is left."""
        seen: list[list[Problem]] = []
        while not draft.is_empty or not seen:
            try:
                return build()
            except Exception as error:
                # a registered class may raise anything
                found = problems_of(error, 'model.distiller')
            self.findings.add(map(draft.original, found))
            self.mended = True
            draft.rename()
            mended = [draft.mend(one.path) for one in found]
            if not any(mended) or found in seen:
                break
            seen.append(found)
        return None

    def _check_schedules(self, draft: Draft, distiller: LinkDistiller) -> None:
        schedules = {
            draft.original(Problem(f'{link.path}.schedule', '')).path: link.schedule
            for link in distiller.links
            if link.schedule
        }
        check_link_schedules(self.context.cfg, schedules, self.findings)

    def _check_taps(self, draft: Draft) -> None:
        """Looks every tap up, also of links that are wrong otherwise."""
        absent = [name for name, model in self.models.items() if model is None]
        known = {
            name: nn.Identity() if model is None else model
            for name, model in self.models.items()
        }
        links = draft.taps_of(absent)
        if not links:
            return
        found = LinkDistiller(links=links).tap_problems(known)
        self.findings.add(map(draft.original, found))

    # ---- the dry run ---------------------------------------------------------------

    def _build(self, draft: Draft) -> None:
        """Builds all of it, runs one step, and reports what came."""
        if draft.is_empty:
            return
        before = {role: _inplace(model) for role, model in self.models.items()}
        done = self._mending(draft, lambda: self._run(draft))
        if done is None:
            return
        algorithm, measured = done
        for role, model in self.models.items():
            key = 'module_inplace' if role == STUDENT else 'teacher_module_inplace'
            if _inplace(model) < before[role] and self.config.get(key) is None:
                self.findings.note(
                    f'model.{key}',
                    f'in-place activations of `{role}` are '
                    'turned off: they would overwrite what a link taps.',
                )
        if not algorithm.distiller.links:
            self.findings.note(
                'model.distiller',
                'has deliveries and no losses: the student takes over what the teacher '
                'computed, and learns its task alone.',
            )
        self._check_loss_classes(draft, algorithm)
        self._report_models(algorithm)
        report = self.context.report
        report.batch = measured.batch
        report.links = [
            self._link_facts(algorithm.distiller, plan, measured.shapes)
            for plan in algorithm.distiller.plans
        ]
        if not self.mended:
            # with a link taken out the shares would mislead
            report.terms = measured.terms
            self._judge(measured.terms)

    def _run(self, draft: Draft) -> tuple[TeacherDistill, measure.Measured]:
        algorithm = MODELS.build(copy.copy(draft.model))
        rehearsal = self.context.rehearsal
        for role, (path, source) in self.sources.items():
            if not isinstance(source, nn.Module):
                config = model_config(source, path)
                rehearsal.own_model(algorithm.models[role], config, path)
        if algorithm.init_report is not None:
            # as a training begins; losses may need what is inherited
            teacher = next(iter(algorithm.teachers.values())).module
            init_from_teacher(algorithm.student, teacher, algorithm.init_report)
        measured = rehearsal.run(
            algorithm,
            gradients=self.context.gradients,
            known=models.is_known(algorithm),
            whole=not self.mended,
        )
        return algorithm, measured

    def _check_loss_classes(self, draft: Draft, algorithm: TeacherDistill) -> None:
        """Compares the classes that losses read from labels with the student's."""
        student = class_count(algorithm.student)
        for link in algorithm.distiller.links:
            loss = algorithm.distiller.distill_losses[link.name]
            count = getattr(loss, 'num_classes', None)
            if student is None or not isinstance(count, int) or count == student:
                continue
            where = draft.original(Problem(f'{link.path}.loss.num_classes', '')).path
            say = self.findings.problem if count < student else self.findings.warn
            say(
                where,
                f'is {count}, but the student tells {student} classes apart.',
                f'Set num_classes={student}: labels are those of the data set.',
            )

    def _report_models(self, algorithm: TeacherDistill) -> None:
        self.facts[STUDENT].mode = 'loss'
        copied = algorithm.init_report
        if copied is not None:
            self.findings.note('model.inherit', copied.summary())
        for name, teacher in algorithm.teachers.items():
            facts = self.facts[name]
            facts.mode = teacher.mode
            facts.input = 'as the student'
            if teacher.renormalize is not None:
                facts.input = 're-normalised'
                self.findings.note(
                    'model',
                    f'`{name}` gets its own normalisation: '
                    f'{teacher.renormalize.describe()}.',
                )

    def _link_facts(
        self, distiller: LinkDistiller, plan: LinkPlan, shapes: measure.Shapes
    ) -> LinkFacts:
        link = next(one for one in distiller.links if one.name == plan.name)
        taps = tuple(
            TapFacts(
                key,
                tap.of,
                str(tap.source),
                shapes.recorded.get((link.name, key), str(plan.shapes.get(key, ''))),
                _kind_of(distiller, tap.connector),
                shapes.entering.get((link.name, key), ''),
            )
            for key, tap in link.all_taps()
        )
        loss = distiller.distill_losses[link.name]
        sides = [plan.shapes.get(key) for key in ('preds_S', 'preds_T')]
        if (
            None not in sides
            and sides[0] != sides[1]
            and not isinstance(loss, PairLoss)
        ):
            self.findings.warn(
                link.path,
                f'student {sides[0]} and teacher {sides[1]} '
                f'differ, and `{type(loss).__name__}` is not one of ours: '
                'it may compare them wrongly without a word.',
                f'Align them with a connector. {ours_instead(loss)}',
            )
        return LinkFacts(
            link.name,
            _describe(link.loss),
            taps,
            plan.alignment,
            _describe(link.schedule) if link.schedule else 'constant',
        )

    def _judge(self, terms: list[TermFacts]) -> None:
        """Says what stands out among the terms."""
        for term in terms:
            if not math.isfinite(term.value):
                self.findings.warn(
                    term.name,
                    f'is {term.value} in the dry run.',
                    'Look at its tap and its weight.',
                )
        # not what a discriminator minimises, which is none of the student's
        links = {f'distill.{link.name}' for link in self.context.report.links}
        ours = [term for term in terms if term.name in links]
        for term in ours:
            if term.gradient == 0:
                self.findings.warn(
                    term.name,
                    'gives the student no gradient.',
                    'Its weight is 0, or nothing that learns is tapped.',
                )
        share = sum(term.gradient_share or 0 for term in ours)
        if 0 < share < _LITTLE or share > _MOST:
            amount = 'little' if share < _LITTLE else 'most'
            self.findings.note(
                'model.distiller',
                f'distillation is {share:.2%} of the gradient on the '
                f'student in the dry run, {amount} of it.',
                'Trained weights change this; if it stays so, set other weights.',
            )


def _inplace(model: nn.Module | None) -> int:
    modules = model.modules() if model is not None else ()
    return sum(getattr(module, 'inplace', None) is True for module in modules)


def _kind_of(distiller: LinkDistiller, connector: str | None) -> str:
    return type(distiller.connectors[connector]).__name__ if connector else ''


def _describe(config: Mapping[str, Any]) -> str:
    """Writes a config as a call."""
    kind = config['type']
    name = kind if isinstance(kind, str) else kind.__name__
    arguments = ', '.join(f'{k}={v!r}' for k, v in config.items() if k != 'type')
    return f'{name}({arguments})'
