"""Pictures during training, for any backend of mmengine's visualizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mmkd_ext.errors import ConfigError, check_choice, check_integer
from mmkd_ext.registry import HOOKS

if TYPE_CHECKING:
    from mmengine.runner import Runner

    from mmkd_ext.algorithms.teacher_distill import TeacherDistill
    from mmkd_ext.visualization.samples import Pictures

__all__ = ['DistillPicturesHook']


@HOOKS.register_module()
class DistillPicturesHook(Hook):
    """Draws what the links compare and sends it to the runner's visualizer.

    The figures are those of ``tools/visualize.py``, one an image and link, named
    ``<link>_image<index>``. Which backends keep them is the config's choice:
    ``visualizer=dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend'),
    dict(type='TensorboardVisBackend')])``. Only the first process draws. Training goes
    on as if nothing had happened: the same weights, bit for bit.

    Args:
        interval: Draw every so many iterations; None to draw after each validation.
        indices: Which images.
        links: Names of the links; None for all that compare maps.
        levels: Levels of each pyramid; None for all.
        split: Whose images: ``'val'`` or ``'train'``, both without augmentation.
        own_scales: Give each map a scale of its own; by default teacher and student
            share one.

    Raises:
        ConfigError: An argument is wrong.
    """

    # after EMAHook, which swaps weights during validation
    priority = 'LOW'

    def __init__(
        self,
        interval: int | None = None,
        *,
        indices: Sequence[int] = (0,),
        links: Sequence[str] | None = None,
        levels: Sequence[int] | None = None,
        split: str = 'val',
        own_scales: bool = False,
    ) -> None:
        if interval is not None:
            check_integer('interval', interval, ge=1)
        check_choice('split', split, ('val', 'train'))
        for name, value in (('indices', indices), ('links', links), ('levels', levels)):
            if isinstance(value, str) or (value is not None and not list(value)):
                raise ConfigError(
                    f'`{name}` of `DistillPicturesHook` must be a list, but is '
                    f'{value!r}.'
                )
        self.interval = interval
        self.indices = list(indices)
        self.links = links
        self.levels = levels
        self.split = split
        self.own_scales = own_scales
        self._pictures: Pictures | None = None

    def before_train(self, runner: Runner) -> None:
        """Checks what can be checked before the first step."""
        if not is_main_process():
            return
        from mmkd_ext.visualization.draw import chosen_links
        from mmkd_ext.visualization.samples import Pictures

        model = _distillation(runner)
        chosen_links(model, self.links, self.levels)
        self._pictures = Pictures(runner.cfg, self.split)
        self._pictures.check(self.indices)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Draws every `interval` iterations."""
        del batch_idx, data_batch, outputs
        if self.interval and self.every_n_train_iters(runner, self.interval):
            self._draw(runner, runner.iter + 1)

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        """Draws after a validation during training."""
        del metrics
        if self.interval is None and self._pictures is not None:
            self._draw(runner, runner.iter)

    def _draw(self, runner: Runner, step: int) -> None:
        if not is_main_process() or self._pictures is None:
            return
        from mmkd_ext.visualization.draw import draw_pictures

        for figure in draw_pictures(
            _distillation(runner),
            self._pictures,
            self.indices,
            links=self.links,
            levels=self.levels,
            when=f'iteration {step}',
            own_scales=self.own_scales,
        ):
            # no slash in the name: LocalVisBackend would miss the folder
            runner.visualizer.add_image(
                f'{figure.link}_image{figure.index}', figure.image, step
            )


def _distillation(runner: Runner) -> TeacherDistill:
    """Returns the distillation that a runner trains."""
    from mmkd_ext.algorithms.teacher_distill import TeacherDistill

    model = runner.model
    model = model.module if is_model_wrapper(model) else model
    if not isinstance(model, TeacherDistill):
        raise ConfigError(
            f'`DistillPicturesHook` draws what links compare, but the model is a '
            f'`{type(model).__name__}`. Take it out of `custom_hooks`, or train a '
            '`mmkd_ext.TeacherDistill`.'
        )
    return model
