"""Checkpoints of a distillation, with a file of the student beside each."""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.hooks import CheckpointHook
from mmengine.model import is_model_wrapper

from mmkd_ext.checkpoint import (
    is_distillation,
    student_checkpoint,
    student_path,
    to_bytes,
)
from mmkd_ext.engine.fileio import ATOMIC_BACKEND, atomic_write, remove_leftovers
from mmkd_ext.engine.student import plain_config_text
from mmkd_ext.errors import check_keys
from mmkd_ext.registry import HOOKS

if TYPE_CHECKING:
    from mmengine.runner import Runner

__all__ = ['DistillCheckpointHook']


@HOOKS.register_module()
class DistillCheckpointHook(CheckpointHook):
    """Saves checkpoints, and beside each the student as a plain model.

    ``iter_100.pth`` holds what a resumed run needs. ``iter_100_student.pth`` holds the
    student alone, under the names of mmdet and mmseg, which load it strictly; with
    EMAHook on it is the averaged student. Models that learn beside it have theirs,
    ``iter_100_<name>.pth``. Files of removed checkpoints go with them.
    The checkpoint of a model that is no distillation is plain already and gets no
    second file.

    Unlike with mmengine's hook, a checkpoint is never half written, and the old one is
    removed after the new one is complete: a run that is killed at any moment can be
    resumed.

    Args:
        *args: Those of mmengine's `CheckpointHook`.
        student_file: Whether to write the student's files.
        **kwargs: Those of mmengine's `CheckpointHook`.

    Raises:
        ConfigError: An argument is unknown; mmengine would tell at the first save.
    """

    def __init__(self, *args: Any, student_file: bool = True, **kwargs: Any) -> None:
        known = set(inspect.signature(CheckpointHook.__init__).parameters)
        known = (known | {'student_file', 'priority'}) - {'self', 'kwargs'}
        check_keys('DistillCheckpointHook', kwargs, sorted(known))
        self.backend_args: dict[str, Any] | None
        self.file_backend: Any
        super().__init__(*args, **kwargs)
        self.student_file = student_file
        self._students: dict[str, dict[str, Any]] = {}
        self._configs: dict[str, str | None] = {'student': None}
        self._best_written: set[str] = set()

    def before_train(self, runner: Runner) -> None:
        """Chooses the file backend, and removes what an earlier run left."""
        folder = str(self.out_dir or runner.work_dir)
        unset = self.backend_args is None and self.file_client_args is None
        # exactly the local one: another backend has its own way to write
        if unset and type(get_file_backend(folder)) is LocalBackend:
            self.backend_args = {'backend': ATOMIC_BACKEND}
        outdated = self._outdated(runner)
        super().before_train(runner)
        self._best_written = set(self._best_paths())
        model: Any = runner.model
        model = model.module if is_model_wrapper(model) else model
        names = ['student', *(getattr(model, 'peers', None) or ())]
        self._configs = dict.fromkeys(names)
        if is_main_process():
            self._configs = {n: plain_config_text(runner.cfg, n) for n in names}
            for step in outdated:
                self._remove(self._path(step))
            if isinstance(self.file_backend, LocalBackend):
                remove_leftovers(str(self.out_dir))
                remove_leftovers(runner.work_dir)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keeps the students' weights; EMAHook, of higher priority, has swapped."""
        if self.student_file and is_distillation(checkpoint['state_dict']):
            for name, config in self._configs.items():
                part = name if name == 'student' else f'peers.{name}'
                self._students[name] = student_checkpoint(
                    checkpoint, part=part, config=config
                )

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Saves, then updates ``last_checkpoint``, then removes the outdated one."""
        self._write_students_of_best()
        outdated = self._keep(runner, step)
        self.last_ckpt = self._path(step)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            self.filename_tmpl.format(step),
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
        )
        if self.max_keep_ckpts > 0:
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        if not is_main_process():
            return
        self._write_student(self.last_ckpt)
        self._students = {}
        pointer = os.path.join(runner.work_dir, 'last_checkpoint')
        atomic_write(pointer, self.last_ckpt.encode())
        if outdated is not None:
            self._remove(self._path(outdated))

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """Saves the best, and removes the one before it once that is done."""
        with self._removal_deferred():
            super()._save_best_checkpoint(runner, metrics)
            self._write_students_of_best()
            self._students = {}

    def _keep(self, runner: Runner, step: int) -> int | None:
        """Counts ``step`` among the kept ones; returns the one it pushes out."""
        if self.max_keep_ckpts <= 0:
            return None
        kept = self.keep_ckpt_ids
        if kept and kept[-1] == step:
            return None
        # The checkpoint lists the outdated one too: should the run be killed before
        # it is removed, `before_train` of the resumed run removes it.
        runner.message_hub.update_info('keep_ckpt_ids', [*kept, step])
        outdated = kept[0] if len(kept) == self.max_keep_ckpts else None
        kept.append(step)
        return outdated

    def _outdated(self, runner: Runner) -> list[int]:
        """Steps that mmengine is going to remove because too many are kept."""
        info = runner.message_hub.runtime_info
        if self.max_keep_ckpts <= 0 or 'keep_ckpt_ids' not in info:
            return []
        kept = list(runner.message_hub.get_info('keep_ckpt_ids'))
        return kept[: max(len(kept) - self.max_keep_ckpts, 0)]

    def _best_paths(self) -> list[str]:
        """Paths of the best checkpoints so far."""
        if self.save_best is None:
            return []
        if len(self.key_indicators) == 1:
            return [str(self.best_ckpt_path)] if self.best_ckpt_path else []
        return [str(path) for path in self.best_ckpt_path_dict.values() if path]

    def _write_students_of_best(self) -> None:
        """Writes the students of best checkpoints that have none yet."""
        for path in self._best_paths():
            if path not in self._best_written:
                self._write_student(path)
        self._best_written = set(self._best_paths())

    def _write_student(self, checkpoint: str) -> None:
        """Writes the students that were kept, beside ``checkpoint``."""
        for name, student in self._students.items():
            self.file_backend.put(to_bytes(student), student_path(checkpoint, name))

    def _path(self, step: int) -> str:
        """Path of the checkpoint of a step."""
        name = self.filename_tmpl.format(step)
        return self.file_backend.join_path(self.out_dir, name)

    def _remove(self, checkpoint: str) -> None:
        """Removes a checkpoint and its student."""
        for path in (checkpoint, *(student_path(checkpoint, n) for n in self._configs)):
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)
            elif self.file_backend.isdir(path):
                self.file_backend.rmtree(path)

    @contextlib.contextmanager
    def _removal_deferred(self) -> Iterator[None]:
        """Defers mmengine's removal of checkpoints until new ones are saved."""
        real = self.file_backend
        deferring = _DeferringBackend(real)
        self.file_backend = deferring
        try:
            yield
        finally:
            self.file_backend = real
        keep = {self.last_ckpt, *self._best_paths()}
        for path in deferring.removed:
            if path not in keep:
                self._remove(path)


class _DeferringBackend:
    """A file backend that records what to remove instead of removing it."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.removed: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        """Records a file to remove."""
        self.removed.append(path)

    def rmtree(self, path: str) -> None:
        """Records a folder to remove."""
        self.removed.append(path)
