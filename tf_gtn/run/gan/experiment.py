"""An experiment of unrolled GANs on a mixture: several arms, each a gin scope, with their seeds side by side in one graph.

<base_dir>/samples/<arm>-<outer step>.npy   points of the first seed's generator at a validation
<base_dir>/export/<arm>/<version>/          the first seed's generator, as a SavedModel
"""

import dataclasses
import os

import gin
import numpy as np
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.gan import export, measures
from tf_gtn.run import loop
from tf_gtn.run import metrics as metrics_lib
from tf_gtn.run.config import gin_config, registrations
from tf_gtn.run.findings import report, results, statistics
from tf_gtn.run.gan import build, figures

_SEED = 1_000_001  # of the samples that are measured
_MEASURED = ("modes", "high_quality", "reverse_kl")


@gin.configurable(module="gan")
@dataclasses.dataclass(frozen=True)
class Experiment:
    """What is trained and claimed.

    Attributes:
      arms: names; each is a gin scope.
      samples: points that measures are taken on, at every validation.
      settled: iterations after which `at_most` must hold at every check.
      at_most: `{arm: modes}`: how many modes at most an arm's generator holds at a time.
      all_modes: arms that hold all modes in the end.
      least_seeds: of how many seeds a claim must be true.
      shown: checks in the figure of heat maps.
    """

    arms: tuple[str, ...]
    samples: int = measures.SAMPLES
    settled: int = 2000
    at_most: dict = dataclasses.field(default_factory=dict)
    all_modes: tuple = ()
    least_seeds: int = 4
    shown: int = 6

    def __post_init__(self):
        registrations.at_least(1, "gan.Experiment", self)
        registrations.check_arms("gan.Experiment", self.arms)
        for name in (*self.at_most, *self.all_modes):
            if name not in self.arms:
                raise errors.unknown("arm of a claim", name, self.arms)


def run(run, program):
    """Everything from building to report.html; returns the metrics, or None in a dry run."""
    experiment, schedule = Experiment(), registrations.Schedule()
    gin_config.check_arms_differ(experiment.arms)
    learned, trainings = build.source(), {}
    for name in experiment.arms:
        with gin.config_scope(name):
            trainings[name] = build.make(run.seed, learned)
    if not run.ready():
        return None
    folder = os.path.join(run.base_dir, "samples")
    tf.io.gfile.makedirs(folder)

    def validate(name, trained):
        points = trained.samples(experiment.samples, _SEED).numpy()
        path = os.path.join(folder, f"{name}-{int(trained.taken.numpy()):06d}.npy")
        with tf.io.gfile.GFile(path, "wb") as file:
            np.save(file, points[0].astype(np.float32))
        found = [measures.modes(each, learned) for each in points]
        return {f"{key}_{n}": each[key] for n, each in enumerate(found) for key in _MEASURED}

    seconds = loop.train(trainings, run.base_dir, validate, **dataclasses.asdict(schedule))
    for name, trained in trainings.items():
        export.save(trained, os.path.join(run.base_dir, "export", name), trained.outer_steps)
    return _conclude(run, program, experiment, learned, trainings, seconds)


def _conclude(run, program, experiment, learned, trainings, seconds):
    rows, metrics, made = metrics_lib.read(run.base_dir), {}, []
    table = {}
    for name, trained in trainings.items():
        steps = [row["step"] for row in rows if f"{name}/modes_0" in row]
        columns = {
            key: np.array(
                [[row[f"{name}/{key}_{n}"] for n in range(trained.count)] for row in rows if f"{name}/modes_0" in row]
            )
            for key in _MEASURED
        }
        table[name] = np.array(steps) * trained.iterations, columns
        metrics[name] = {key: statistics.summary([float(x) for x in columns[key][-1]]) for key in _MEASURED}
        metrics[name]["seconds_per_iteration"] = seconds[name] / trained.iterations
        metrics[name]["iterations"] = trained.outer_steps * trained.iterations
    for name, most in experiment.at_most.items():
        iterations, columns = table[name]
        worst = columns["modes"][iterations > experiment.settled].max(0)
        statement = (
            f"{name} holds at most {most} modes at every check after {experiment.settled} iterations, seeds of {len(worst)}"
        )
        made.append(_claim(f"{name}_at_most_{most}", statement, int((worst <= most).sum()), experiment, "collapses (figure 1)"))
    for name in experiment.all_modes:
        last = table[name][1]["modes"][-1]
        everything = len(learned.centers)
        statement = f"{name} holds all {everything} modes (3 sigma) at the end, seeds of {len(last)}"
        made.append(
            _claim(f"{name}_all_modes", statement, int((last == everything).sum()), experiment, "covers all (figure 1)")
        )
    figures.modes(run.base_dir, table, len(learned.centers))
    figures.heat_maps(run.base_dir, experiment.arms, learned, experiment.shown, {n: t.iterations for n, t in trainings.items()})
    results.write(run.base_dir, "gan", program, run.seed, metrics, made, run.seconds())
    report.write(f"{run.base_dir}/report.html", [run.base_dir])
    return metrics


def _claim(identity, statement, count, experiment, seed_value):
    return results.claim(identity, statement, seed_value, count, None, "measured >= least", least=experiment.least_seeds)
