"""What an experiment of GANs does with its trained arms, beside measuring samples."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_gtn import arguments, errors
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
@arguments.checked("analyses.reconstruction")
class Reconstruction:
    """How near generators come to given images (unrolled GAN paper, section 3.3.1, Table 1, figure 4).

    Attributes:
      images: random training images, the same for all arms ("1280", figure 4).
      starts: of each optimisation ("3 random starts").
      iterations: of L-BFGS, at most (not given).
      shown: images in the figure, those on which the first and the last arm differ most.
    """

    images: arguments.Count = 1280
    starts: arguments.Count = 3
    iterations: arguments.Count = 100
    shown: arguments.Count = 10


class _Numbers(analyses.Analysis):
    """An analysis whose quantities are one number per arm and seed; everything else that it measures is drawn."""

    of = (gan_training.UnrolledGAN, gtn_gan.GTNGAN)

    def numbers(self, table: Mapping[str, Sequence]) -> dict[str, list]:
        return {key: [*values] for key, values in table.items() if all(np.ndim(value) == 0 for value in values)}

    def sizes(self, trainings: Mapping[str, Any], settings: Any) -> Mapping[str, int]:
        return dict.fromkeys(self._quantities(trainings), 0)

    def _quantities(self, arms):
        raise NotImplementedError


@analyses.register("reconstruction")
class _Reconstruction(_Numbers):
    of = gan_training.UnrolledGAN
    Settings = Reconstruction

    def check(self, trainings: Mapping[str, Any], settings: Any) -> None:
        self.settings()
        if any(len(trained.source.sample_shape) != 3 for trained in trainings.values()):
            raise errors.UserError("gan.Experiment.analyses: reconstruction is of images")

    def bounds(self, quantity: str) -> tuple[float, float]:
        return statistics.SHARE if quantity.endswith("_best_rank") else statistics.NOT_NEGATIVE

    def _quantities(self, arms):
        return [f"{arm}_{what}" for arm in arms for what in ("mse", "best_rank")]

    def measure(self, context: Context) -> Mapping[str, Any]:
        settings, quantities, mse_by_arm = self.settings(), {}, {}
        targets = _targets(context, settings.images)
        reconstructions = {}
        for arm, trained in context.trainings.items():
            functional, params, state = trained.frozen()

            def generate(noise, functional=functional, params=params, state=state):
                return functional(params, state, noise)[0]

            latent = functional.model.input_shape[-1]
            seed = tf.constant([context.seed, _TARGETS + 1])
            reconstructed, mse = inversion.reconstruct(generate, targets, latent, seed, settings.starts, settings.iterations)
            reconstructions[arm], mse_by_arm[arm] = reconstructed.numpy(), mse.numpy()
            quantities[f"{arm}_mse"] = float(mse.numpy().mean())
        best = np.argmin(list(mse_by_arm.values()), 0)
        for index, arm in enumerate(mse_by_arm):
            quantities[f"{arm}_best_rank"] = float((best == index).mean())
        first, last = (list(mse_by_arm.values())[index] for index in (0, -1))
        most_different = np.argsort(-np.abs((first - last) / (0.5 * (first + last))))[: settings.shown]
        columns = [targets.numpy(), *reconstructions.values()]
        rows = [np.concatenate([images[i : i + 1] for images in columns]) for i in most_different]
        caption = (
            "Real images, and the nearest that each generator makes; those on which the first and the last arm differ most, as "
            f"a share of their mean error (seed {context.seed})."
        )
        names = ["real", *(drawing.label(arm) for arm in reconstructions)]
        path = drawn.path(context.folder, "reconstructions")
        pictures.sheet(path, np.concatenate(rows), len(names), names, low=-1.0, high=1.0, caption=caption)
        return quantities


@analyses.register("distances")
class _Distances(_Numbers):
    """Distances of random pairs of samples, against the data's (unrolled GAN paper, section 3.3.2, figure 5)."""

    bins = 40

    def bounds(self, quantity: str) -> tuple[float, float]:
        return statistics.NOT_NEGATIVE

    def _quantities(self, arms):
        return ["data_median", *(f"{arm}_{what}" for arm in arms for what in ("median", "off_median"))]

    def measure(self, context: Context) -> Mapping[str, Any]:
        real = measures.pairwise_distances(context.judge.real)
        edges = np.linspace(0, 1.4 * real.max(), self.bins + 1)
        quantities = {"data_median": float(np.median(real)), "edges": edges.tolist(), "data": _density(real, edges)}
        for arm, trained in context.trainings.items():
            samples = trained.samples(len(context.judge.real), context.seed + 5).numpy()[0]
            distances = measures.pairwise_distances(samples)
            quantities |= {f"{arm}_median": float(np.median(distances)), arm: _density(distances, edges)}
            quantities[f"{arm}_off_median"] = abs(quantities[f"{arm}_median"] - quantities["data_median"])
        return quantities

    def draw(self, base_dir: str, table: Mapping[str, Sequence]) -> None:
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

    def bounds(self, quantity: str) -> tuple[float, float]:
        return statistics.SHARE

    def _quantities(self, arms):
        return list(arms)

    def measure(self, context: Context) -> Mapping[str, Any]:
        return {arm: float(np.mean(few_step(trained, context.settings))) for arm, trained in context.trainings.items()}


def few_step(trained: gtn_gan.GTNGAN, settings: Any) -> Any:
    """Test accuracies `[learners]` of fresh learners that a GTN-GAN teaches, its lesson as it trains with it."""
    judge = evaluation.Evaluator.of(trained.training)
    return judge.accuracies(trained.training.dataset.test, settings.test_learners, evaluation.TEST_SEED + trained.training.seed)


def _targets(context, count):
    source = next(iter(context.trainings.values())).source
    return source.sample((count,), tf.constant([context.seed, _TARGETS]))


def _density(values, edges):
    return np.histogram(values, edges, density=True)[0].tolist()
