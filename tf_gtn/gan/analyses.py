"""What an experiment of GANs does with its trained arms, beside measuring samples."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.experiment import analyses
from tf_gtn.gan import gtn_gan, inversion, measures
from tf_gtn.gan import training as gan_training
from tf_gtn.reporting import drawing, pictures, statistics
from tf_gtn.reporting import figures as drawn
from tf_gtn.teaching import evaluation

_TARGETS = 3  # second number of a seed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Context(analyses.Context):
    """The trained arms of one seed; `judge`: of the source; `settings`: how what a GTN-GAN teaches is tested, or None."""

    judge: Any
    settings: Any


@dataclasses.dataclass(frozen=True)
class Reconstruction:
    """How near generators come to given images (unrolled GAN paper, section 3.3.1, Table 1, figure 4).

    Attributes:
      images: random training images, the same for all arms ("1280", figure 4).
      starts: of each optimisation ("3 random starts").
      iterations: of L-BFGS, at most (not given).
      shown: images in the figure, those on which the first and the last arm differ most.
    """

    images: int = 1280
    starts: int = 3
    iterations: int = 100
    shown: int = 10


class _Numbers(analyses.Analysis):
    """One whose quantities are a number an arm and seed; what else it finds is drawn."""

    of = (gan_training.UnrolledGAN, gtn_gan.GTNGAN)

    def numbers(self, table):
        return {key: values for key, values in table.items() if all(np.ndim(value) == 0 for value in values)}

    def sizes(self, trainings, settings):
        return dict.fromkeys(self._quantities(trainings), 0)

    def _quantities(self, arms):
        raise NotImplementedError


@analyses.register("reconstruction")
class _Reconstruction(_Numbers):
    of = gan_training.UnrolledGAN
    Settings = Reconstruction

    def check(self, trainings, settings):
        self.settings()
        if any(len(trained.source.sample_shape) != 3 for trained in trainings.values()):
            raise errors.UserError("gan.Experiment.analyses: reconstruction is of images")

    def bounds(self, quantity):
        return statistics.SHARE if quantity.endswith("_best_rank") else statistics.NOT_NEGATIVE

    def _quantities(self, arms):
        return [f"{arm}_{what}" for arm in arms for what in ("mse", "best_rank")]

    def measure(self, context):
        settings, found, errors_ = self.settings(), {}, {}
        targets = _targets(context, settings.images)
        made = {}
        for arm, trained in context.trainings.items():
            functional, params, state = trained.frozen()

            def generate(noise, functional=functional, params=params, state=state):
                return functional(params, state, noise)[0]

            latent = functional.model.input_shape[-1]
            seed = tf.constant([context.seed, _TARGETS + 1])
            nearest, each = inversion.reconstruct(generate, targets, latent, seed, settings.starts, settings.iterations)
            made[arm], errors_[arm] = nearest.numpy(), each.numpy()
            found[f"{arm}_mse"] = float(each.numpy().mean())
        best = np.argmin(list(errors_.values()), 0)
        for k, arm in enumerate(errors_):
            found[f"{arm}_best_rank"] = float((best == k).mean())
        first, last = (list(errors_.values())[k] for k in (0, -1))
        order = np.argsort(-np.abs((first - last) / (0.5 * (first + last))))[: settings.shown]
        rows = [np.concatenate([targets.numpy()[i : i + 1], *(made[arm][i : i + 1] for arm in made)]) for i in order]
        caption = (
            "Real images, and the nearest that each generator makes; those on which the first and the last arm differ most, as "
            f"a share of their mean error (seed {context.seed})."
        )
        names = ["real", *(drawing.label(arm) for arm in made)]
        path = drawn.path(context.folder, "reconstructions")
        pictures.sheet(path, np.concatenate(rows), len(names), names, low=-1.0, high=1.0, caption=caption)
        return found


@analyses.register("distances")
class _Distances(_Numbers):
    """Distances of random pairs of samples, against the data's (unrolled GAN paper, section 3.3.2, figure 5)."""

    bins = 40

    def bounds(self, quantity):
        return statistics.NOT_NEGATIVE

    def _quantities(self, arms):
        return ["data_median", *(f"{arm}_{what}" for arm in arms for what in ("median", "off_median"))]

    def measure(self, context):
        real = measures.pairwise_distances(context.judge.real)
        edges = np.linspace(0, 1.4 * real.max(), self.bins + 1)
        found = {"data_median": float(np.median(real)), "edges": edges.tolist(), "data": _density(real, edges)}
        for arm, trained in context.trainings.items():
            samples = trained.samples(len(context.judge.real), context.seed + 5).numpy()[0]
            distances = measures.pairwise_distances(samples)
            found |= {f"{arm}_median": float(np.median(distances)), arm: _density(distances, edges)}
            found[f"{arm}_off_median"] = abs(found[f"{arm}_median"] - found["data_median"])
        return found

    def draw(self, base_dir, table):
        arms = [key for key in table if f"{key}_median" in table and key != "data"]
        if not arms:
            return
        edges = np.array(table["edges"][0])
        middles = (edges[1:] + edges[:-1]) / 2
        caption = (
            "Distances of random pairs: samples of each seed's generator (thin) and the data (red); upright lines are medians "
            "(unrolled GAN paper, figure 5)."
        )
        path = drawn.path(base_dir, "pairwise_distances")
        with drawing.to_png(path, caption, (3.0 * len(arms) + 0.5, 3.2)) as figure:
            for axes, arm in zip(figure.subplots(1, len(arms), sharey=True, squeeze=False)[0], arms):
                for values, median in zip(table[arm], table[f"{arm}_median"]):
                    axes.plot(middles, values, color="#0072B2", linewidth=1, alpha=0.7)
                    axes.axvline(median, color="#0072B2", linewidth=0.8, alpha=0.7)
                axes.plot(middles, table["data"][0], color="#D55E00")
                axes.axvline(table["data_median"][0], color="#D55E00")
                axes.set(title=drawing.label(arm), xlabel="distance")


@analyses.register("few_steps")
class _FewSteps(_Numbers):
    """Few-step accuracy of fresh learners taught by the arms that are GTN-GANs, on the test images."""

    of = gtn_gan.GTNGAN

    def bounds(self, quantity):
        return statistics.SHARE

    def _quantities(self, arms):
        return list(arms)

    def measure(self, context):
        return {arm: float(np.mean(few_step(trained, context.settings))) for arm, trained in context.trainings.items()}


def few_step(trained, settings):
    """Test accuracies of fresh learners that a GTN-GAN teaches, its lesson as it trains with it."""
    judge = evaluation.Evaluator.of(trained.training)
    return judge.accuracies(trained.training.dataset.test, settings.test_learners, evaluation.TEST_SEED + trained.training.seed)


def _targets(context, count):
    source = next(iter(context.trainings.values())).source
    return source.sample((count,), tf.constant([context.seed, _TARGETS]))


def _density(values, edges):
    return np.histogram(values, edges, density=True)[0].tolist()
