"""What samples are worth, by their source: modes of a mixture, classes of images, combinations of stacked ones.

A judge has `keys` and is called with samples `[n, ...]`; it returns a number for each key, within its `bounds`, `spread` among
them, the median distance of random pairs of samples over that of real ones: near 0 is collapse, far above 1 divergence.
`trouble` names either.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from tf_gtn.data import mixtures
from tf_gtn.gan import classifier, measures, sources

COLLAPSED, DIVERGED = 0.2, 5.0  # spreads that are named in the log
ALIKE = 0.1  # entropy over modes, in nats: 98% are of one mode
_REAL = 2500


class Judge:
    """What judges of all kinds share; see the module's docstring."""

    keys: tuple[str, ...] = ("spread",)

    def __init__(self, source: sources.Source) -> None:
        self._source: Any = source
        self.real = source.sample((_REAL,), tf.constant([0, 1])).numpy()
        self._distance = np.median(measures.pairwise_distances(self.real))

    def __call__(self, samples: Any) -> dict[str, float]:
        measured = {"spread": float(np.median(measures.pairwise_distances(samples)) / self._distance)}
        return {**self._measured(np.asarray(samples)), **measured}

    @property
    def all_modes(self) -> int:
        """How many modes the source has."""
        raise NotImplementedError

    @property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """`{key: (low, high)}`, beyond which no value can lie; the entropies are in nats."""
        most = float(np.log(self.all_modes))
        narrow = {"modes": (0.0, float(self.all_modes)), **dict.fromkeys(("entropy", "kl", "reverse_kl"), (0.0, most))}
        narrow |= dict.fromkeys(("high_quality", "coverage"), (0.0, 1.0))
        return {key: narrow.get(key, (0.0, np.inf)) for key in self.keys}

    def trouble(self, measured: dict[str, float]) -> tuple[str, str] | None:
        """`(name, reason)` of what is wrong with what was found, or None."""
        spread = measured["spread"]
        if not np.isfinite(spread) or spread > DIVERGED:
            return "diverged", f"distances of its samples are {spread:.2g} of the data's"
        if spread < COLLAPSED:
            return "collapsed", f"distances of its samples are {spread:.2g} of the data's"
        if self._alike(measured):
            return "collapsed", f"nearly all of its samples are of one of {self.all_modes} modes"
        return None

    def _alike(self, measured):
        raise NotImplementedError

    def _measured(self, samples):
        raise NotImplementedError


class Modes(Judge):
    """Of a `data.mixtures.Mixture`: see `measures.modes`."""

    keys = ("modes", "high_quality", "reverse_kl", "spread")

    @property
    def all_modes(self) -> int:
        return len(self._source.centers)

    def _alike(self, measured):
        return np.log(self.all_modes) - measured["reverse_kl"] < ALIKE

    def _measured(self, samples):
        measured = measures.modes(samples, self._source)  # reverse KL is log K where all are of one mode
        return {key: measured[key] for key in self.keys if key in measured}


class Classes(Judge):
    """Of `sources.Images`: classes by a classifier, density and coverage in its features."""

    keys = ("modes", "entropy", "kl", "density", "coverage", "spread")

    def __init__(self, source: sources.Images, seed: int = 0) -> None:
        super().__init__(source)
        self._classifier = classifier.Classifier(source.dataset, seed)
        real = sources.scaled(source.dataset.validation.images, source.dataset)
        self._features, _ = self._classifier.features_and_classes(real)

    @property
    def all_modes(self) -> int:
        return self._source.dataset.num_classes

    def _alike(self, measured):
        return measured["entropy"] < ALIKE

    def _measured(self, samples):
        features, predicted = self._classifier.features_and_classes(samples)
        measured = measures.classes(predicted, self.all_modes)
        density, coverage = measures.density_and_coverage(self._features, features[: len(self._features)])
        return {**measured, "density": density, "coverage": coverage}


class Stacks(Judge):
    """Of stacked `sources.Images`: which combinations of classes there are, and KL to uniform."""

    keys = ("modes", "kl", "spread")

    def __init__(self, source: sources.Images, seed: int = 0) -> None:
        super().__init__(source)
        self._classifier = classifier.Classifier(source.dataset, seed)

    @property
    def all_modes(self) -> int:
        return self._source.dataset.num_classes**self._source.stacked

    def _alike(self, measured):
        return np.log(self.all_modes) - measured["kl"] < ALIKE

    def _measured(self, samples):
        count = self._source.dataset.num_classes
        labels = [self._classifier.features_and_classes(samples[..., k : k + 1])[1] for k in range(self._source.stacked)]
        combined = np.ravel_multi_index(labels, (count,) * self._source.stacked)
        measured = measures.classes(combined, self.all_modes)
        return {"modes": measured["modes"], "kl": measured["kl"]}


def kind(source: mixtures.Mixture | sources.Images) -> type[Judge]:
    """The class of a source's judge."""
    if isinstance(source, mixtures.Mixture):
        return Modes
    return Stacks if source.stacked > 1 else Classes


def of(source: mixtures.Mixture | sources.Images) -> Judge:
    """The judge of a source's samples."""
    return kind(source)(source)
