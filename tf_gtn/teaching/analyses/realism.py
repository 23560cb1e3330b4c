"""How recognisable the images of a curriculum are, where in it, and how often their labels flip (GTN paper, appendix K)."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_gtn import arguments, errors, watching
from tf_gtn.experiment import analyses
from tf_gtn.reporting import drawing, figures, pictures
from tf_gtn.teaching import presentations, realism
from tf_gtn.teaching.analyses import bases, plots
from tf_gtn.teaching.training import Training

_CHOICE, _JUDGES, _FLIPS = 3_000_017, 4_000_037, 5_000_011  # seeds of the networks, told apart by their first number


@dataclasses.dataclass(frozen=True)
@arguments.checked("analyses.realism")
class Settings:
    """The networks that are trained on real data.

    Attributes:
      arms: with the same images for every learner; `()` for all generators with a full curriculum.
      steps: of SGD, for judges and for the networks whose changes of mind are counted.
      batch_size: of those; 0 for that of the arm.
      networks: whose changes are counted; the first of them ranks the images in the figures.
      judges: whose mean probabilities say what is recognised.
      learning_rates: to choose from by validation accuracy.
      momentum: of SGD.
    """

    arms: tuple[str, ...] = ()
    steps: arguments.Count = 200
    batch_size: arguments.Whole = 0
    networks: arguments.Count = 5
    judges: arguments.Count = 5
    learning_rates: tuple[arguments.Positive, ...] = (0.1, 0.03, 0.01)
    momentum: arguments.Fraction = 0.9

    def __post_init__(self) -> None:
        if not self.learning_rates:
            raise errors.UserError("analyses.realism.learning_rates is empty: it takes rates above 0 to choose from")


@analyses.register("realism")
class Realism(bases.OfArms, bases.OfShares):
    """What networks of the arm's own distribution, trained on real data, make of the generated images.

    Quantities of each arm: `/recognised` (share, all judges together), `/recognised_first_quarter` and `_last_quarter` (share
    by each judge), `/confidence`, `/flips_recognised` and `/flips_others` (mean flips by each network; NaN where no image
    is such), `/learning_rate`; nested: `/recognised_by_step`, `/confidence_by_step` (of each inner step).
    """

    of = Training
    Settings = Settings

    others = ("/flips_recognised", "/flips_others", "/learning_rate")

    need = "arms whose images are the same for every learner, in the same order"

    def fits(self, training: Training, named: bool) -> bool:
        return realism.is_fixed(training) and (named or presentations.has_order(training))

    def sizes(self, trainings: Mapping[str, Training], settings: Any) -> Mapping[str, int]:
        configured = self.settings()
        sizes = dict.fromkeys(("recognised", "confidence", "learning_rate"), 0)
        sizes |= dict.fromkeys(("recognised_first_quarter", "recognised_last_quarter"), configured.judges)
        sizes |= dict.fromkeys(("flips_recognised", "flips_others"), configured.networks)
        return {f"{arm}/{what}": size for arm in self.arms(trainings) for what, size in sizes.items()}

    def measure(self, context: Any) -> Mapping[str, Any]:
        settings, quantities = self.settings(), {}
        for arm in self.arms(context.trainings):
            training = context.trainings[arm]
            batch_size = settings.batch_size or presentations.shape(training.treatment)[1]
            parts = context.dataset, training.population, settings.steps, batch_size, settings.momentum
            networks = self.kept(training, "networks", functools.partial(realism.RealNetworks, *parts))
            images, labels = realism.images(training.treatment)
            shape, flat, flat_labels = labels.shape, images.reshape(-1, *images.shape[2:]), labels.ravel()
            rate = networks.best_rate(settings.learning_rates, settings.judges, _CHOICE + context.seed)
            judged = networks.probabilities(flat, rate, settings.judges, _JUDGES + context.seed)
            flips = np.stack(
                [
                    realism.flips(networks.predictions(flat, rate, i, _FLIPS + context.seed))
                    for i in watching.each(range(settings.networks), "networks")
                ]
            )
            recognised = realism.recognised(judged, flat_labels)
            confidence = realism.confidence(judged, flat_labels).reshape(shape)
            first, last = realism.quarters((judged.argmax(-1) == flat_labels).reshape(len(judged), *shape).mean(-1))
            quantities |= {
                f"{arm}/recognised": recognised.mean(),
                f"{arm}/confidence": confidence.mean(),
                f"{arm}/recognised_first_quarter": first,
                f"{arm}/recognised_last_quarter": last,
                f"{arm}/flips_recognised": _mean(flips[:, recognised]),
                f"{arm}/flips_others": _mean(flips[:, ~recognised]),
                f"{arm}/learning_rate": rate,
                f"{arm}/recognised_by_step": [recognised.reshape(shape).mean(1)],
                f"{arm}/confidence_by_step": [confidence.mean(1)],
            }
            _draw_images(context, arm, flat, flat_labels, flips[0], recognised)
        return quantities

    def claims(self, table: Mapping[str, Sequence]) -> list[dict]:
        """Recognised images flip less than the others, and are more frequent at the curriculum's end than at its start."""
        specs = []
        for arm in analyses.first_parts(table):
            few = "recognisable images: 2.0 flips on average, among the images that change least (figure 14)"
            late = "images are recognisable in the last two of 32 batches (figure 12)"
            specs.append((f"{arm}/flips_others", "above", f"{arm}/flips_recognised", few))
            specs.append((f"{arm}/recognised_last_quarter", "above", f"{arm}/recognised_first_quarter", late))
        return [
            {**claim, "statement": claim["statement"].replace("fresh learners of", "networks trained on real data, for")}
            for claim in self.compare(specs, table)
        ]

    def draw(self, base_dir: str, table: Mapping[str, Sequence]) -> None:
        panels = {}
        for what in ("recognised", "confidence"):
            curves = {}
            for arm in analyses.first_parts(table):
                rows = [of_seed[0] for of_seed in table[f"{arm}/{what}_by_step"]]
                curves[arm] = (np.arange(1, len(rows[0]) + 1), rows)
            panels[f"inner step ({'share recognised' if what == 'recognised' else 'mean probability of the label'})"] = curves
        caption = (
            "What networks trained on real data make of the images of each inner step: the share that gets its own label "
            "(left), and the mean probability of that label (right)."
        )
        plots.lines(figures.path(base_dir, "realism_by_step"), panels, "share or probability", caption=caption)


def _mean(flips):
    """Each network's mean: `[networks, k]` -> `[networks]`, NaN for no image."""
    return flips.mean(1) if flips.shape[1] else np.full(len(flips), np.nan)


def _draw_images(context, arm, images, labels, flips, recognised):
    """Class means, all images in their order and by their flips, and the flips by rank (GTN paper, figures 11, 12, 15, 14)."""

    def path(name):
        return figures.path(context.folder, f"realism_{name}_{arm}")

    names = context.dataset.classes
    means = realism.class_means(images, labels, len(names))
    low, high = np.nanmin(means), np.nanmax(means)
    ends = {"low": low, "high": high if high > low else low + 1}
    caption = "Pixel-wise mean of the generated images of each class, lowest value black, highest white (GTN paper, figure 11)."
    pictures.sheet(path("means"), means, len(names), names, caption=caption, **ends)
    caption = (
        "All generated images in the order of the curriculum, row by row; batches wrap. Framed: those that networks trained on "
        "real data give their label (GTN paper, figure 12)."
    )
    pictures.sheet(path("images"), images, marked=recognised, caption=caption)
    order = realism.ranked(flips)
    caption = (
        "All generated images by how often their label flips while a network is trained on real data, fewest first, row by "
        "row. Framed: those that networks trained on real data give their label (GTN paper, figure 15)."
    )
    pictures.sheet(path("ranked"), images[order], marked=recognised[order], caption=caption)
    caption = (
        "Label flips of each generated image while a network is trained on real data, by rank; the line is the mean of the "
        "recognised images (GTN paper, figure 14)."
    )
    with drawing.to_png(path("flips"), caption) as figure:
        axes = figure.subplots()
        axes.plot(np.arange(1, len(flips) + 1), flips[order], color=drawing.STYLES["gtn"][0], label="each image")
        if recognised.any():
            mean = flips[recognised].mean()
            axes.axhline(mean, color="#E69F00", linestyle="--", label=f"mean of recognised images: {mean:.2g}")
        axes.set_xlabel("rank of the image")
        axes.set_ylabel("label flips")
        drawing.finish(figure, axes)
