"""Distillation from one or several frozen teachers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, Any, Callable

import torch
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn

from mmkd_ext.algorithms.dry_run import (
    blank_batch,
    input_size,
    known_divisor,
    run_once,
    set_inplace,
    undisturbed,
)
from mmkd_ext.algorithms.init_from_teacher import (
    InitReport,
    init_from_teacher,
    plan_init,
)
from mmkd_ext.algorithms.sources import build_model
from mmkd_ext.algorithms.tap_checks import (
    gradient_problems,
    row_problems,
    unfilled_problems,
)
from mmkd_ext.algorithms.teacher import STRIDE, Teacher
from mmkd_ext.checkpoint import LoadReport, load_weights
from mmkd_ext.connectors.build import (
    argument_problems,
    compare_arguments,
    find_class,
)
from mmkd_ext.distillers.link_distiller import LinkDistiller
from mmkd_ext.distillers.links import BATCH, STUDENT, TEACHER
from mmkd_ext.distillers.schedules import Schedule, build_schedule
from mmkd_ext.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    Problem,
    TapError,
    check_range,
    did_you_mean,
)
from mmkd_ext.methods._adversary import discriminators_of
from mmkd_ext.razor import BaseAlgorithm, ConfigurableDistiller
from mmkd_ext.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mmkd_ext.distillers.taps import Recorder

__all__ = ['NO_DISCRIMINATOR_OPTIMIZER', 'TeacherDistill', 'build_distiller']

_TEACHER_KEYS = ('model', 'ckpt', 'weight', 'preprocess', 'min_matched')
NO_DISCRIMINATOR_OPTIMIZER = Problem(
    'optim_wrapper.constructor',
    'a link has a discriminator, which needs an optimizer of its own, or the '
    "student's would train it.",
    "Write constructor='mmkd_ext.AdversarialOptimWrapperConstructor'.",
)
_DISTILLERS = (
    'mmkd_ext.LinkDistiller',
    'ConfigurableDistiller',
    'mmrazor.ConfigurableDistiller',
)


@MODELS.register_module()
class TeacherDistill(BaseAlgorithm):
    """Trains a student with its task losses and the losses of links to its teachers.

    Takes the keys of MMRazor's ``SingleTeacherDistill``. Unlike there, a teacher is
    fully in eval mode, gets input normalised to its own statistics, stops after its
    last tap, and is never in a checkpoint.

    Args:
        architecture: The student: a model dict, a dict with `cfg_path`, the path of a
            config file (``'mmseg::...'`` too), or a built model.
        distiller: Config of a `LinkDistiller`, or of MMRazor's
            ``ConfigurableDistiller``.
        teacher: The one teacher, given as `architecture` is. In links it is called
            ``'teacher'``.
        teacher_ckpt: File or URL of its weights, read when training starts.
        teachers: Several teachers by name instead: each a dict of `model`, `ckpt`,
            `weight` (factor on the losses of the links that tap it), `preprocess`
            (False to feed it the student's batch unchanged, or ``dict(mean=...,
            std=...)``) and
            `min_matched`.
        student_ckpt: File or URL of the student's first weights.
        inherit: Modules of the student, such as ``['neck', 'bbox_head']``, that are
            initialised with the weights of the (first) teacher where names and shapes
            agree, after `student_ckpt`; the log lists them.
        min_matched: Least share of parameters that `student_ckpt` and `teacher_ckpt`
            must fill; below it loading is an error.
        student_trainable: False runs the student without gradients, to train only
            connectors.
        calculate_student_loss: False leaves the task loss out. A schedule, as a link
            has one, weights it: with ``dict(type='constant', begin=1000)`` the first
            1000 iterations are those of the links alone.
        teacher_trainable: Must be False; joint training is MMRazor's.
        teacher_norm_eval: Must be True; the teacher is in eval mode throughout.
        module_inplace: True leaves in-place activations of the student as they are,
            False turns all off (MMRazor's default); None turns them off only where
            they would overwrite what a link taps.
        teacher_module_inplace: The same for the teachers.
        data_preprocessor: Replaces the student's own.
        init_cfg: See mmengine's ``BaseModule``.

    Raises:
        ConfigError: Lists every problem found while building: unknown modules, types
            and arguments, shapes that do not fit, missing files.
    """

    def __init__(
        self,
        architecture: Any,
        distiller: Any,
        teacher: Any = None,
        teacher_ckpt: str | None = None,
        *,
        teachers: Mapping[str, Mapping[str, Any]] | None = None,
        student_ckpt: str | None = None,
        inherit: Sequence[str] | None = None,
        min_matched: float = 0.5,
        student_trainable: bool = True,
        calculate_student_loss: bool | Mapping[str, Any] = True,
        teacher_trainable: bool = False,
        teacher_norm_eval: bool = True,
        module_inplace: bool | None = None,
        teacher_module_inplace: bool | None = None,
        data_preprocessor: Any = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        if teacher_trainable or not teacher_norm_eval:
            key = 'teacher_trainable' if teacher_trainable else 'teacher_norm_eval'
            raise ConfigError.at(
                f'model.{key}',
                'a teacher here is frozen and in eval mode. To train '
                'teacher and student together use `mmrazor.SingleTeacherDistill`.',
            )
        super().__init__(
            build_model(architecture, 'model.architecture'),
            data_preprocessor,
            init_cfg,
            module_inplace=True,
        )
        self.student_ckpt = student_ckpt
        self.min_matched = min_matched
        self.student_trainable = student_trainable
        if not student_trainable:
            # DDP waits for the gradient of every parameter that requires one
            self.architecture.requires_grad_(False)
        self.task_schedule: Schedule | None = None
        if isinstance(calculate_student_loss, Mapping):
            where = 'model.calculate_student_loss'
            self.task_schedule = build_schedule(dict(calculate_student_loss), where)
        self.calculate_student_loss = bool(calculate_student_loss)
        self.distillation_stopped = False
        self._checked_teachers = False
        self.student_report: LoadReport | None = None
        self.student_mode = 'tensor'
        # the student's first weights must not depend on what is built around it
        with torch.random.fork_rng(devices=[]):
            self.distiller = build_distiller(distiller)
            self.teachers = self._build_teachers(teacher, teacher_ckpt, teachers)
        self.distiller.deliver_from(list(self.teachers))
        self.init_report: InitReport | None = None
        if inherit is not None:
            first = next(iter(self.teachers.values())).module
            self.init_report = plan_init(self.architecture, first, inherit)
        self.distiller.teacher_weights = {
            name: one.weight for name, one in self.teachers.items()
        }
        if module_inplace is False:
            set_inplace(self.architecture, False)
        if teacher_module_inplace is False:
            for one in self.teachers.values():
                set_inplace(one.module, False)
        # alignment brings convolutions with random first weights
        with torch.random.fork_rng(devices=[]):
            self._dry_run(
                {
                    STUDENT: module_inplace is None,
                    TEACHER: teacher_module_inplace is None,
                }
            )

    # ---- construction -------------------------------------------------------------

    @property
    def student(self) -> nn.Module:
        """The student, an alias of `architecture`."""
        return self.architecture

    @property
    def teacher(self) -> nn.Module:
        """The model of the first teacher, with the weights of its checkpoint."""
        first = next(iter(self.teachers.values()))
        first.load()
        return first.module

    @property
    def models(self) -> dict[str, nn.Module]:
        """Student and teachers by the names that links use."""
        return {
            STUDENT: self.architecture,
            **{name: one.module for name, one in self.teachers.items()},
        }

    def _build_teachers(
        self, teacher: Any, ckpt: str | None, teachers: Mapping[str, Any] | None
    ) -> dict[str, Teacher]:
        if (teacher is None) == (teachers is None):
            found = 'give either `teacher` or `teachers`.'
            raise ConfigError.at('model.teacher', found)
        if teachers is None:
            config = {'model': teacher, 'ckpt': ckpt}
            paths = 'model.teacher', 'model.teacher_ckpt'
            return {TEACHER: self._build_teacher(TEACHER, config, *paths)}
        if ckpt is not None:
            found = 'goes with `teacher`; in `teachers` each one has its `ckpt`.'
            raise ConfigError.at('model.teacher_ckpt', found)
        built = {}
        for name, given in teachers.items():
            path = f'model.teachers.{name}'
            known = dict.fromkeys(_TEACHER_KEYS, False)
            problems = compare_arguments(name, known, given, path)
            if problems:
                raise ConfigError.of(problems)
            paths = f'{path}.model', f'{path}.ckpt'
            built[name] = self._build_teacher(name, dict(given), *paths)
        return built

    def _build_teacher(
        self, name: str, config: dict[str, Any], path: str, ckpt_path: str
    ) -> Teacher:
        if name in (STUDENT, BATCH):
            raise ConfigError.at(path, f'a teacher cannot be called {name!r}.')
        weight = config.get('weight', 1.0)
        check_range(f'model.teachers.{name}.weight', weight, low=0)
        module = build_model(config.get('model'), path)
        if module is config.get('model'):
            # it came built; init_weights() must not undo that
            vars(module)['_is_init'] = True
        renormalize = Teacher.renormalization(
            module, self, config.get('preprocess'), f'model.teachers.{name}.preprocess'
        )
        try:
            return Teacher(
                name,
                module,
                checkpoint=config.get('ckpt'),
                weight=weight,
                min_matched=config.get('min_matched', self.min_matched),
                renormalize=renormalize,
                own_input=config.get('preprocess') is not False,
            )
        except ConfigError as error:
            raise ConfigError.at(ckpt_path, str(error)) from error

    def _dry_run(self, may_fix: dict[str, bool]) -> None:
        """Finds modes, plans alignment, keeps in-place operations off the taps."""
        problems = self.distiller.tap_problems(self.models)
        if problems:
            raise ConfigError.of(problems)
        # all see the same pictures in training
        self.input_size = input_size(*self.models.values())
        batch = blank_batch(self.architecture, self.input_size)
        try:
            for owner, recorder in self.distiller.recorders.items():
                model, teacher = self.models[owner], self.teachers.get(owner)
                # each project packs its samples in a class of its own
                own = batch if teacher is None else blank_batch(model, self.input_size)
                mode, found = self._run_once(owner, model, recorder, own)
                if recorder.changed() and may_fix[TEACHER if teacher else STUDENT]:
                    count = set_inplace(model, False)
                    print_log(
                        f'In-place activations would overwrite taps of `{owner}`; '
                        f'turned {count} off.',
                        logger='current',
                    )
                    mode, found = self._run_once(owner, model, recorder, own)
                problems += found
                if teacher is None:
                    self.student_mode = mode
                else:
                    teacher.mode = mode
            if problems:
                raise ConfigError.of(problems)
            problems += row_problems(self.distiller, self.models, len(batch['inputs']))
            # statistics and counters of connectors must not change with a blank image
            with ExitStack() as stack:
                stack.enter_context(undisturbed(self.distiller))
                for recorder in self.distiller.recorders.values():
                    stack.enter_context(recorder.detached())
                problems += self.distiller.plan(batch, self.models)
            if not problems and self.student_trainable:
                problems += gradient_problems(self.distiller, self.architecture, batch)
            # the student's pictures may have sides that the teacher cannot take
            pads = known_divisor(self.architecture) % STRIDE != 0
            for name, teacher in self.teachers.items():
                problems += unfilled_problems(self.distiller, teacher, self.input_size)
                if pads and name in self.distiller.recorders:
                    teacher.find_divisor(
                        self.distiller.recorders[name], self.input_size
                    )
            if problems:
                raise ConfigError.of(problems)
        finally:
            self.distiller.clear()

    def _run_once(
        self, owner: str, model: nn.Module, recorder: Any, batch: dict[str, Any]
    ) -> tuple[str, list[Problem]]:
        try:
            return run_once(model, recorder, batch, stop=owner != STUDENT), []
        except TapError as error:
            cause = error.__cause__
            if cause is not None:
                several = f'model.teachers.{owner}.model'
                path = {STUDENT: 'model.architecture', TEACHER: 'model.teacher'}.get(
                    owner, several
                )
                what = f'fails on a blank image: {type(cause).__name__}: {cause}'
                return 'tensor', [Problem(path, what)]
            silent = {tap.source for tap in recorder.silent()}
            path = next(
                (
                    link.where(f'{key}.at')
                    for link in self.distiller.links
                    for key, tap in link.all_taps()
                    if tap.of == owner and tap.source in silent
                ),
                'model.distiller',
            )
            return 'tensor', [Problem(path, str(error))]

    # ---- life ---------------------------------------------------------------------

    def init_weights(self) -> None:
        """Initialises the student and loads the checkpoints of all models."""
        super().init_weights()
        if self.student_ckpt is not None:
            self.student_report = load_weights(
                self.architecture,
                self.student_ckpt,
                role=STUDENT,
                min_matched=self.min_matched,
                logger='current',
            )
        for teacher in self.teachers.values():
            teacher.initialize()
        self._check_loaded()
        self.distiller.bind_teachers(self.models)
        if self.init_report is not None:
            init_from_teacher(self.architecture, self.teacher, self.init_report)
            print_log(self.init_report.describe(), logger='current')

    def _check_loaded(self) -> None:
        """Raises where a tap depends on weights that no checkpoint has filled."""
        problems = []
        for teacher in self.teachers.values():
            problems += unfilled_problems(self.distiller, teacher, self.input_size)
        if problems:
            raise ConfigError.of(problems)
        self._checked_teachers = True

    def _apply(self, fn: Callable[[Tensor], Tensor], *args: Any) -> TeacherDistill:
        super()._apply(fn, *args)
        for teacher in self.teachers.values():
            teacher.module._apply(fn)
        return self

    def train(self, mode: bool = True) -> TeacherDistill:
        """Sets the student's mode; teachers stay in eval."""
        super().train(mode)
        for teacher in self.teachers.values():
            teacher.keep_preprocessor(self.data_preprocessor)
        return self

    def build_optim_wrapper(
        self, build: Callable[[nn.Module, Any], OptimWrapper], cfg: Mapping[str, Any]
    ) -> OptimWrapper:
        """Builds the optimizer: the student's as in a plain run, the rest beside it.

        Constructors and `paramwise_cfg` choose by the names of a plain model. So they
        see the student alone; connectors and losses get the base learning rate.

        Args:
            build: Builds the optimizer wrapper of a model, as mmengine does.
            cfg: Config of the wrapper.
        """
        constructor = cfg.get('constructor')
        choosing = ('constructor', 'paramwise_cfg')
        if _trains_discriminators(constructor):
            return build(self, cfg)
        if not any(p.requires_grad for p in self.architecture.parameters()):
            # nothing to choose among
            return build(self, {k: v for k, v in cfg.items() if k not in choosing})
        if not any(map(cfg.get, choosing)):
            return build(self, cfg)
        return self.add_connectors(build(self.architecture, cfg))

    def add_connectors(
        self, wrapper: OptimWrapper, but: Iterable[nn.Parameter] = ()
    ) -> OptimWrapper:
        """Adds the parameters of connectors and losses to the student's optimizer.

        Args:
            wrapper: The student's.
            but: Parameters that another optimizer trains.

        Raises:
            ConfigError: There are several optimizers to choose from.
        """
        known = {id(p) for p in (*self.architecture.parameters(), *but)}
        rest = {
            name: p
            for name, p in self.named_parameters()
            if p.requires_grad and id(p) not in known
        }
        if not rest:
            return wrapper
        if isinstance(wrapper, OptimWrapperDict):
            raise ConfigError.at(
                'optim_wrapper.constructor',
                'builds several optimizers, '
                f'{list(wrapper.optim_wrappers)}, and it is not known which of them '
                'should train connectors and losses.',
            )
        group: dict[str, Any] = {'params': list(rest.values())}
        if any('param_names' in one for one in wrapper.optimizer.param_groups):
            # torch wants them in all groups or in none
            group['param_names'] = list(rest)
        wrapper.optimizer.add_param_group(group)
        return wrapper

    def __getattr__(self, name: str) -> Any:
        """Falls back to attributes of the student, for hooks that expect its model."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            student = vars(self).get('_modules', {}).get('architecture')
            if name.startswith('_') or not hasattr(student, name):
                raise
            return getattr(student, name)

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: Any
    ) -> None:
        # checkpoints of MMRazor hold the teacher, which has its own file here
        for key in [k for k in state_dict if k.startswith(f'{prefix}teacher.')]:
            del state_dict[key]
        self._take_plain(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _take_plain(self, state_dict: dict[str, Tensor], prefix: str) -> None:
        """Gives the student the weights of a plain model, such as `load_from` names.

        Raises:
            CheckpointError: No weight among them is the student's.
        """
        given = [key for key in state_dict if key.startswith(prefix)]
        parts = (f'{prefix}architecture.', f'{prefix}distiller.')
        if not given or any(key.startswith(parts) for key in given):
            return
        known = self.architecture.state_dict()
        fitting = [key for key in given if key[len(prefix) :] in known]
        if not fitting:
            raise CheckpointError(
                f'The weights are neither those of a distillation nor of the student, '
                f'a `{type(self.architecture).__name__}`: it has no {given[0]!r}. Name '
                'the file in `model.student_ckpt` to see what fits.'
            )
        for key in fitting:
            state_dict[f'{prefix}architecture.{key[len(prefix) :]}'] = state_dict.pop(
                key
            )
        print_log(
            f'The weights are those of a plain model: {len(fitting)} of {len(known)} '
            'went into the student.',
            logger='current',
        )

    def loss(
        self, inputs: Tensor, data_samples: Sequence[Any] | None = None
    ) -> dict[str, Tensor]:
        """Computes the task losses and the losses of the links.

        Args:
            inputs: Normalised batch ``(n c h w)``.
            data_samples: Its samples with ground truth.

        Returns:
            ``student.<loss>`` for the task, ``distill.<link>`` for the links.
        """
        if not self._checked_teachers:
            # nobody has called init_weights()
            for teacher in self.teachers.values():
                teacher.load()
            self._check_loaded()
        distiller = self.distiller
        stopped = self.distillation_stopped
        deliveries = None if stopped else distiller.deliveries
        position = distiller.begin_step()
        task = float(self.calculate_student_loss)
        if self.task_schedule is not None:
            task = self.task_schedule.factor(*position)
        try:
            if deliveries is not None:
                deliveries.override_data = False
            for name, teacher in self.teachers.items():
                if name in distiller.active and not stopped:
                    recorder = distiller.recorders[name]
                    try:
                        with deliveries or nullcontext():
                            teacher.run(recorder, inputs, data_samples)
                    except AttributeError as error:
                        self._explain_missing_labels(recorder, teacher.mode, error)
                        raise
            if deliveries is not None:
                deliveries.override_data = True
            losses = self._student_losses(inputs, data_samples, deliveries, task)
            if stopped:
                distill = distiller.idle()
            else:
                batch = {'inputs': inputs, 'data_samples': data_samples}
                distill = distiller.compute_distill_losses(batch)
            for name, value in distill.items():
                losses[f'distill.{name}'] = value
            return losses
        finally:
            distiller.clear()

    def parse_losses(self, losses: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """Sums the losses up, as every step of a training does.

        Raises:
            ConfigError: A discriminator has no optimizer of its own, so the student's
                would train it.
        """
        if not all(one.has_optimizer for one in discriminators_of(self.distiller)):
            raise ConfigError.of([NO_DISCRIMINATOR_OPTIMIZER])
        return super().parse_losses(losses)

    def _student_losses(
        self, inputs: Tensor, data_samples: Any, deliveries: Any, weight: float
    ) -> dict[str, Any]:
        """Runs the student, recording what is tapped; returns its task losses.

        Args:
            inputs: The batch.
            data_samples: Its samples.
            deliveries: What the student takes over from the teacher's pass.
            weight: Factor on the task losses, which are not computed where it is 0.
        """
        distiller, student = self.distiller, self.architecture
        recorder = None
        if STUDENT in distiller.active and not self.distillation_stopped:
            recorder = distiller.recorders.get(STUDENT)
        if recorder is None and not weight:
            # no part of the student is used, so its pass is left out
            return {}
        mode = 'loss' if weight else self.student_mode
        # without a task loss nothing is needed after the last tap, nor any label
        recording = (
            nullcontext()
            if recorder is None
            else recorder.recording(student, stop=not weight)
        )
        gradients = nullcontext() if self.student_trainable else torch.no_grad()
        losses: dict[str, Any] = {}
        try:
            with recording, gradients, deliveries or nullcontext():
                losses = student(inputs, data_samples, mode=mode)
        except AttributeError as error:
            if recorder is not None:
                self._explain_missing_labels(recorder, mode, error)
            raise
        if not weight:
            return {}
        if weight != 1:
            losses = {name: _weighted(name, v, weight) for name, v in losses.items()}
        return {f'student.{name}': value for name, value in losses.items()}

    def _explain_missing_labels(
        self, recorder: Recorder, mode: str, error: AttributeError
    ) -> None:
        """Raises a `DataError` where a pass without a task loss lacks its labels."""
        if self.calculate_student_loss or mode != 'loss':
            return
        taps = {str(tap.source) for tap in recorder.taps}
        raise DataError.at(
            'model.calculate_student_loss',
            'one of the taps '
            f"{sorted(taps)} of `{recorder.owner}` is called in mode='loss' only, "
            f'which needs labels, and that failed: {error}. Tap modules that are '
            'called without labels, or give labels.',
        ) from error


def _trains_discriminators(constructor: Any) -> bool:
    """Whether an optimizer's constructor handles discriminators itself."""
    if isinstance(constructor, str):
        constructor = OPTIM_WRAPPER_CONSTRUCTORS.get(constructor)
    return bool(getattr(constructor, 'trains_discriminators', False))


def _weighted(name: str, value: Any, weight: float) -> Any:
    """Weights what is added up as a loss; accuracies and the like stay."""
    if 'loss' not in name:
        return value
    if isinstance(value, (list, tuple)):
        return [part * weight for part in value]
    return value * weight


def build_distiller(config: Any) -> LinkDistiller:
    """Builds a `LinkDistiller`, also from the keys of MMRazor's.

    Raises:
        ConfigError: Its type or an argument is wrong, or a link is.
    """
    if isinstance(config, LinkDistiller):
        return config
    if not isinstance(config, Mapping) or 'type' not in config:
        raise ConfigError.at(
            'model.distiller',
            f"must be dict(type='mmkd_ext.LinkDistiller'"
            f', links=...), but is {config!r}.',
        )
    arguments = {k: v for k, v in config.items() if k not in ('type', '_scope_')}
    kind = config['type']
    if kind == 'LinkDistiller':
        kind = LinkDistiller
    elif kind == 'ConfigurableDistiller':
        kind = ConfigurableDistiller
    cls = find_class(kind)
    if cls is ConfigurableDistiller:
        cls = LinkDistiller
    if not (isinstance(cls, type) and issubclass(cls, LinkDistiller)):
        near = did_you_mean(str(kind), _DISTILLERS)
        raise ConfigError.at(
            'model.distiller.type',
            f'must be a `LinkDistiller` or '
            f"MMRazor's `ConfigurableDistiller`, but is {kind!r}.{near}",
        )
    problems = argument_problems(cls, arguments, 'model.distiller')
    if problems:
        raise ConfigError.of(problems)
    return cls(**arguments)
