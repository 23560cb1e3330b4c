"""`tf_gtn.train` and `tf_gtn.evaluate`: what `train_gtn` and `evaluate_gtn` do, from Python.

    gtn = tf_gtn.train({"train": (images, labels)}, my_network, "runs/mine", outer_steps=400)
    tf_gtn.evaluate(gtn, {"train": (images, labels)}, my_network)

The call's folder holds the same files as a run's (`experiment.experiment`); its config.gin has the call's settings.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import tempfile
import weakref
from collections.abc import Callable, Generator
from typing import Any

from tf_gtn import arguments, errors
from tf_gtn import data as data_lib
from tf_gtn.models import learners as learners_lib
from tf_gtn.models import population
from tf_gtn.runtime import base_dir as base_dirs
from tf_gtn.runtime import files, loop, stopping
from tf_gtn.runtime import progress as progress_lib
from tf_gtn.teaching import apart, assembly, evaluation, export, loading, training


def train(
    data: Any,
    learners: Any = "conv2",
    base_dir: str | os.PathLike | None = None,
    *,
    inner_steps: int = 32,
    batch_size: int = 128,
    outer_steps: int = 2000,
    outer_batch: int = 128,
    treatment: str = "gtn",
    order: str = "full",
    seed: int = 0,
    progress: bool = True,
    **settings: Any,
) -> loading.LoadedGTN:
    """Trains a GTN, tests it with fresh learners, and returns it as `tf_gtn.load` would.

    Ctrl-C ends it after the present outer step with `KeyboardInterrupt`, once the state is saved; a second one ends it at
    once. Signals come to the main thread alone: in another one it goes on. Nothing of the process stays changed.

    Args:
      data: what `tf_gtn.data.of` takes: a name; a `tf_gtn.data.Dataset`; or `{"train": ..., "test": ..., "validation": ...}`,
        the latter two optional, of `(images, labels)` or of `tf.data.Dataset`s of such pairs.
      learners: whom it is to teach: a name, a function (image_shape, classes) -> `keras.Model` of images -> logits,
        `{either: options}`, or a list of such. A function is called once; the initialisers of the model's own layers draw anew
        for every learner.
      base_dir: a folder; the same call on it goes on from where an earlier one got to, with the numbers of an uninterrupted
        one. None: nothing is kept but the result.
      inner_steps: SGD steps of a lesson (GTN paper, section 3.2).
      batch_size: synthetic images a step (GTN paper, Table 2).
      outer_steps: length of the training (GTN paper, section 3.3).
      outer_batch: real images that judge a learner (GTN paper, Table 2).
      treatment: "gtn", or a registered one that has a generator and a curriculum.
      order: of the curriculum, see `curricula.Curriculum`.
      seed: everything random follows from it.
      progress: whether a bar and notices are shown.
      **settings: parameters of the parts: of `training.Training`, `curricula.Curriculum`, `models.Population`,
        `experiment.Evaluation`, `runtime.loop.Schedule`; `callbacks` and `warm_start` of `experiment.Comparison`; `latent`,
        `generator` (a name or a function), `weight_norm`, and the generator's own, such as `units`. `learning_rate` is the
        outer Adam's, `weight_norm` the generator's; those of learners are `inner_learning_rate`, `inner_momentum`,
        `inner_weight_norm`. `learners_per_step` is `Training`'s `learners`. A learner's options stand beside its name.

    Returns:
      A `LoadedGTN`; `metadata["accuracy"]` has what fresh learners reached on the test images.

    Raises:
      UserError: a mistake in the arguments, before the first step; or another run is in the folder, or one with other settings.
      KeyboardInterrupt: Ctrl-C came.
      runtime.loop.Diverged: the loss was not finite for 20 steps in a row.
    """
    from tf_gtn.teaching import settings as settings_lib  # draws, and so imports matplotlib

    sizes = {"inner_steps": inner_steps, "batch_size": batch_size, "outer_steps": outer_steps, "outer_batch": outer_batch}
    chosen = settings_lib.Settings({**sizes, "treatment": treatment, "order": order}, settings)
    arguments.check("train: seed", arguments.Seed, seed)
    families = settings_lib.families(learners)
    showing = progress_lib.listening() if progress else progress_lib.silent()
    with showing, apart.program(), chosen.in_these_names():
        dataset = data_lib.of(data)
        members = population.Population(families, dataset.image_shape, dataset.num_classes, **chosen.of("population"))
        with _folder(base_dir) as (folder, keep):
            with _interruptible(folder, kept=base_dir is not None):
                _run(folder, dataset, members, families, chosen, seed)
            gtn = loading.load(os.path.join(folder, "export", str(outer_steps)))
            keep(gtn)
            return gtn


def evaluate(
    gtn: loading.LoadedGTN, data: Any, learners: Any = "conv2", count: int = 20, steps: int | None = None
) -> dict[str, Any]:
    """Accuracies of fresh learners on the test images of a data set, after a lesson.

    Args:
      gtn: of `tf_gtn.train` or `tf_gtn.load`.
      data: as `train` takes it.
      learners: as `train` takes them.
      count: how many are taught.
      steps: of a lesson, by default as many as the GTN was trained with; beyond those the curriculum starts over.

    Returns:
      `{"mean": number, "ci95": [low, high], "values": [count]}`, shares of the test images.

    Raises:
      UserError: the GTN is for other images or classes, or an argument is wrong.
    """
    from tf_gtn.reporting import statistics
    from tf_gtn.teaching import settings as settings_lib

    if not isinstance(gtn, loading.LoadedGTN):
        raise errors.UserError(f"evaluate: gtn is what tf_gtn.train or tf_gtn.load gives; got {type(gtn).__name__}")
    arguments.check("evaluate: count", arguments.Count, count)
    families = settings_lib.families(learners)
    with apart.program():
        dataset, weight_norm = data_lib.of(data), gtn.metadata.get("weight_norm", True)
        members = population.Population(families, dataset.image_shape, dataset.num_classes, weight_norm)
        evaluator = assembly.export_evaluator(gtn, dataset, members, steps)
        values = evaluator.accuracies(dataset.test, count, evaluation.TEST_SEED)
    mean, interval = statistics.mean_and_interval(values, statistics.SHARE)
    return {"mean": mean, "ci95": interval, "values": [float(value) for value in values]}


def _run(folder, dataset, members, families, chosen, seed):
    """Everything that `train_gtn` does, in a folder that is held."""
    from tf_gtn.experiment import experiment as experiments
    from tf_gtn.teaching import calls, experiment

    lesson = chosen.values["inner_steps"], chosen.values["batch_size"]

    def make(seed):
        def gtn():
            codes = assembly.curriculum(dataset, seed, latent_and_more.pop("latent"), *lesson, **latent_and_more)
            return assembly.gtn(dataset, seed, codes, **{**chosen.of("gtn"), "generator": chosen.generator})

        latent_and_more = chosen.of("curriculum")
        treatment = assembly.treatment(dataset, seed, chosen.values["treatment"], *lesson, gtn)
        inner_optimizer = assembly.inner_optimizer(**chosen.of("inner_optimizer"))
        fresh = training.Training(dataset, members, treatment, inner_optimizer, seed=seed, **chosen.of("training"))
        export.check_exportable(fresh)
        return fresh

    settings = {name: getattr(value, "__qualname__", value) for name, value in chosen.values.items() if name != "callbacks"}
    settings |= {"learners": _learners_text(families, members), "seed": seed}
    of_data = {"zca": dataset.zca, "data_augment": getattr(dataset.augment, "__qualname__", dataset.augment)}
    settings |= {name: value for name, value in of_data.items() if value is not None}
    schedule, data = loop.Schedule(**chosen.of("schedule")), {dataset.name: dataset.fingerprint}
    call = calls.Call(folder, seed, dict(sorted(settings.items())), schedule, data)
    one_arm = experiment.Comparison(arms=("gtn",), **chosen.of("experiment")).given(
        dataset, experiment.Evaluation(**chosen.of("evaluation")), make
    )
    experiments.run(call, "train", one_arm, scoped=False)


def _learners_text(families, members):
    """`{learner: options}` as text, the same for the same networks; a function is identified by the network that it makes."""
    networks = {template.family.name: template.functional.model for template in members.templates}
    named = [
        (
            f"{learners_lib.name_of(learner)} {_digest(networks.get(learners_lib.name_of(learner)))}"
            if callable(learner)
            else learner,
            dict(options),
        )
        for learner, options in learners_lib.pairs_of(families)
    ]
    text = repr(dict(named) if len(dict(named)) == len(named) else named)
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def _digest(model):
    """Eight hexadecimal digits that depend on a network's layers and shapes, not on automatic names and weights."""
    if model is None:
        return ""
    architecture = [[variable.shape for variable in model.variables]]
    for layer in model._flatten_layers():
        try:
            options = {key: value for key, value in layer.get_config().items() if key not in ("name", "layers", "build_config")}
        except Exception:  # a layer of the user's own need not have a configuration
            options = {}
        architecture.append([type(layer).__name__, options if not hasattr(layer, "layers") else {}])
    text = re.sub(r" at 0x[0-9a-f]+", "", json.dumps(architecture, default=repr, sort_keys=True))
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


@contextlib.contextmanager
def _folder(
    base_dir: str | os.PathLike | None,
) -> Generator[tuple[str, Callable[[loading.LoadedGTN], None]], None, None]:
    """Yields a folder that is held, and a function that keeps it while a GTN needs it; without `base_dir` it is temporary."""
    if base_dir is not None:
        with base_dirs.open_base_dir(os.fspath(base_dir)) as folder, files.space(folder):
            yield folder, lambda gtn: None
        return
    folder, finalizers = tempfile.mkdtemp(prefix="tf_gtn_"), []

    def keep(gtn):
        for name in set(os.listdir(folder)) - {"export"}:
            path = os.path.join(folder, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        finalizers.append(weakref.finalize(gtn, _remove, folder, os.getpid()))

    try:
        yield folder, keep
    finally:
        if not finalizers:
            _remove(folder, os.getpid())


def _remove(folder, process):
    """Removes a folder; a forked child leaves it to its parent."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _interruptible(folder, kept):
    """A signal that stopped a run does what it would have done to the user's program; `kept`: whether the folder stays."""
    try:
        yield
    except stopping.Stopped as stopped:
        text = str(stopped).replace("the same command", "the same call")
        if not kept:
            text = text.partition(", which")[0] + "; without base_dir nothing is kept"
        if stopped.signal != signal.SIGINT:
            if not kept:
                _remove(folder, os.getpid())
            signal.raise_signal(stopped.signal)
        raise KeyboardInterrupt(text) from None
