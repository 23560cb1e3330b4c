"""The outer loop as a run: steps, progress, metrics, validation, checkpoints, signals, resume."""

import contextlib
import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from tf_gtn import arguments, errors
from tf_gtn.core import outer_update
from tf_gtn.runtime import best as best_lib
from tf_gtn.runtime import callbacks as callbacks_lib
from tf_gtn.runtime import checkpoints as ckpt
from tf_gtn.runtime import metrics as metrics_lib
from tf_gtn.runtime import progress as progress_lib
from tf_gtn.runtime import replicas
from tf_gtn.runtime.stopping import Stopped, signals

MAX_SKIPPED = outer_update.MAX_SKIPPED


class Diverged(errors.UserError):
    """No training went to its end."""


class Trainable(Protocol):
    """What the outer loop trains; everything random in it is a function of its seed and the step.

    Attributes:
      outer_steps: how many it takes.
      variables: all that a resumed run needs, in a fixed order.
      skipped: scalar, outer steps that were not finite and changed nothing.
      consecutively_skipped: scalar, how many of them since the last one that did.
    """

    outer_steps: int

    @property
    def variables(self) -> Sequence: ...

    @property
    def skipped(self) -> Any: ...

    @property
    def consecutively_skipped(self) -> Any: ...

    def step(self, index: int) -> Mapping[str, Any]:
        """Takes outer step number `index`, from 0 on; returns `{quantity: scalar}`, `loss` among them."""


@runtime_checkable
class Restartable(Trainable, Protocol):
    """One that can become another of its make, and keep what was traced."""

    def restart(self, fresh: Any) -> None:
        """Becomes what `fresh` is, one with another seed."""


@dataclasses.dataclass(frozen=True)
@arguments.checked("run.Schedule")
class Schedule:
    """When a run logs, saves and validates, in outer steps."""

    log_every: arguments.Count = 10
    checkpoint_every: arguments.Count = 100
    validate_every: arguments.Count = 100


def train(
    trainings: Mapping[str, Trainable],
    base_dir: str,
    validate: Callable[[str, Any], Mapping[str, Any]] | None = None,
    log_every: int = 10,
    checkpoint_every: int = 100,
    validate_every: int = 100,
    among: replicas.Replicas = replicas.ALONE,
    only: bool = True,
    callbacks: Sequence[callbacks_lib.Callback] = (),
    best: Mapping[str, best_lib.Best] | None = None,
) -> dict[str, float]:
    """Trains to the end, from wherever an earlier run in `base_dir` got to.

    Several trainings run in lockstep: at every outer step each takes one until it has taken its own `outer_steps`, so that one
    checkpoint and one line of metrics hold them all. A killed and resumed run gives the same numbers as an uninterrupted one.
    One that is `stuck` ends there, with its last good parameters, and the others go on.

    Args:
      trainings: `{name: Trainable}`.
      base_dir: the run's folder.
      validate: optional `(name, training) -> {name: number}`, called every `validate_every` steps and at a training's end.
      log_every: outer steps between lines of metrics.jsonl; a line has `<training>/<quantity>` of that very step.
      checkpoint_every: outer steps between checkpoints; there is one at the end and at a signal, too.
      validate_every: outer steps between validations.
      among: the processes that take part. The chief alone reads and writes the folder, and validates; the others begin from its
        state, and all stop after the same step.
      only: whether these trainings are all that there is; with False other seeds may have results where these have none.
      callbacks: `callbacks.Callback`s, which listen in the chief's process.
      best: `{name: best.Best}`, which look at the validations of these trainings; checkpoints have them.

    Returns:
      `{name: median seconds of an outer step}` of those taken here after its first five; NaN if there were none.

    Raises:
      Exception: of a callback, as it is.
      Diverged: the loss or its gradient was not finite for 20 steps in a row, in all trainings, and these are the `only` ones.
      Stopped: SIGINT, SIGTERM or SIGHUP came; the run is saved.
    """
    outer_steps = max(t.outer_steps for t in trainings.values())
    best = best or {}
    variables = {name: t.variables for name, t in trainings.items()}
    best_variables = {f"{name}-best": b.variables for name, b in best.items()}
    saver = ckpt.Checkpoints(base_dir, variables, added=best_variables) if among.chief else _Absent()
    start = int(among.share(saver.restore(checkpoint_every)))
    for training in trainings.values():
        among.share_variables(training.variables)
    if start and among.chief:
        finished = start >= outer_steps
        progress_lib.say(f"all {start} outer steps were taken already" if finished else f"resumed after outer step {start}")
    durations = {name: [] for name in trainings}
    going = {name: t for name, t in trainings.items() if start < t.outer_steps and not stuck(t)}
    reported = {name for name, t in trainings.items() if int(t.skipped.numpy())}  # of which a skipped step was said
    writer = metrics_lib.MetricsWriter(base_dir, resume_step=start) if among.chief else _Absent()
    progress: Any = contextlib.nullcontext(_Absent())
    if among.chief:
        progress = progress_lib.Progress(outer_steps, start, "outer steps", first="tracing the first step")
    begun = callbacks_lib.Begun(base_dir, trainings, start, writer.summaries)
    listening = callbacks_lib.listening(callbacks if among.chief else (), begun)
    with contextlib.closing(writer), signals() as received, progress as bar, listening as tell:
        for index in range(start, outer_steps):
            if not going:
                break
            step, results = index + 1, {}
            unfinished = {name: t for name, t in trainings.items() if index < t.outer_steps}
            for name, t in going.items():
                started = time.perf_counter()
                results |= {f"{name}/{k}": v for k, v in t.step(index).items()}
                results[f"{name}/loss"].numpy()  # computed, also on a device that works on its own
                durations[name].append(time.perf_counter() - started)
            healthy = {name: t for name, t in going.items() if not stuck(t)}
            diverged = going.keys() - healthy.keys()
            going = {name: t for name, t in healthy.items() if step < t.outer_steps}
            validated = {name: t for name, t in healthy.items() if step % validate_every == 0 or step == t.outer_steps}
            left = _steps_left(durations, trainings, step)
            if step % log_every == 0 or validated:
                results = {k: float(v) for k, v in results.items()}
                skipped = {name: int(t.skipped.numpy()) for name, t in unfinished.items()}
                for name in [name for name, count in skipped.items() if count and name not in reported]:
                    progress_lib.say(
                        f"{name}: an outer step was not finite and changed nothing; metrics.jsonl counts further ones"
                    )
                    reported.add(name)
                results |= {f"{name}/skipped": count for name, count in skipped.items()}
                if validate is not None and among.chief:
                    for name, t in validated.items():
                        measured = validate(name, t)
                        results |= {f"{name}/{k}": v for k, v in measured.items()}
                        if name in best:
                            best[name].look(step, measured)
                tell("step", step, writer.write(step, **results))
                for name, t in validated.items():
                    tell("validated", step, name, t)
                bar.update(step, left, **{k: v for k, v in results.items() if k.endswith("/loss") or k.endswith("accuracy")})
            else:
                bar.update(step, left)
            stop = among.any_number(received[0] if received else 0)  # read once: one may come between a save and the end
            if step % checkpoint_every == 0 or not going or stop:
                saver.save(step)
                tell("saved", step)
            if stop:
                raise Stopped(stop, step)
            if diverged and going:
                progress_lib.say(f"{_gave_up(diverged)}; the others go on")
    _report(trainings, only)
    return {name: statistics.median(seconds[5:]) if seconds[5:] else math.nan for name, seconds in durations.items()}


class _Absent:
    """What writes for the chief, elsewhere: it does nothing, and has no step to go on from."""

    summaries: Any = None

    def _nothing(self, *_: Any, **__: Any) -> Any:
        return 0

    restore = save = write = update = close = _nothing


def _steps_left(durations, trainings, step):
    """How many steps like this one the rest is worth: arms end at different steps, and cost differently."""
    cost = {name: statistics.median(secs[-10:]) for name, secs in durations.items() if secs and not stuck(trainings[name])}
    left = {name: max(0, trainings[name].outer_steps - step) for name in cost}
    now = sum(cost[name] for name in cost if trainings[name].outer_steps >= step)
    return sum(cost[name] * left[name] for name in cost) / now if now else 0


def stuck(training: Trainable) -> bool:
    """Whether a training gave up: its loss or gradient was not finite for 20 steps in a row."""
    return int(training.consecutively_skipped.numpy()) >= MAX_SKIPPED


def _gave_up(names):
    return (
        f"{', '.join(sorted(names))}: the outer loss or its gradient was not finite for the last {MAX_SKIPPED} steps; the "
        "parameters are those before them. A lower learning rate, or weight normalisation, may help"
    )


def _report(trainings, only):
    """Says which trainings had steps that were not finite; `Diverged` if all gave up and there are `only` these."""
    diverged = [name for name, t in trainings.items() if stuck(t)]
    if only and len(diverged) == len(trainings):
        raise Diverged(_gave_up(diverged))
    for name, t in trainings.items():
        if count := int(t.skipped.numpy()):
            end = "diverged and ended early" if name in diverged else "went on to the end"
            progress_lib.say(f"{name} {end}: {count} of its outer steps were not finite and changed nothing")
