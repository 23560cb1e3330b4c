"""How the parts of a training are put together from plain values: what gin configures, and what `tf_gtn.train` is given.

Everything random in a part follows from the run's seed and from a number of the part's own.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any

import tensorflow as tf

from tf_gtn import arguments, data, errors
from tf_gtn.core import optimizers
from tf_gtn.models import generators, population
from tf_gtn.teaching import closed_loop, compatibility, curricula, evaluation, loading, pixels, protocols, starts, treatments

LATENT = 128  # length of a code (GTN paper, Table 2)

# Seeds of what a run draws, told apart by their second number.
_GENERATOR, _CURRICULUM, _PIXELS, _CHOICE = range(1, 5)


def curriculum(
    dataset: data.Dataset, seed: int, latent: int, inner_steps: int, batch_size: int, **options: Any
) -> curricula.Curriculum:
    """Fresh codes for the classes of a data set; `options` of `curricula.Curriculum`, such as `order`."""
    seed_pair = tf.constant([seed, _CURRICULUM])
    return curricula.Curriculum(inner_steps, batch_size, latent, dataset.num_classes, seed_pair, **options)


def gtn(
    dataset: data.Dataset,
    seed: int,
    codes: curricula.Curriculum,
    generator: Callable = generators.conditional,
    weight_norm: bool = True,
    closed_loop_units: int | None = None,
    start: starts.Start = "noise",
) -> treatments.GTN:
    """A fresh generator for the images of a data set, with its codes; in a closed loop if `closed_loop_units` has a size.

    Args:
      dataset: says what images and classes there are.
      seed: the run's.
      codes: of `curriculum`.
      generator: function (image_shape, classes, latent) -> `keras.Model`, as in `generators.REGISTRY`.
      weight_norm: whether its kernels are weight-normalised.
      closed_loop_units: width of the layer that looks at the learner.
      start: what its images begin from: "noise", or by a generator with basis images "real" or "k_means" (`pixels.distilled`).
    """
    model = generator(dataset.image_shape, dataset.num_classes, codes.latent)
    parts = model, codes, tf.constant([seed, _GENERATOR]), weight_norm
    fresh = treatments.GTN(*parts) if closed_loop_units is None else closed_loop.ClosedLoop(*parts, closed_loop_units)
    if start != "noise":
        batches = codes.inner_steps // codes.epochs
        fresh.begin_from(pixels.first_images(dataset, batches, codes.batch_size, [seed, _CHOICE], start))
    return fresh


def treatment(
    dataset: data.Dataset,
    seed: int,
    name: str,
    inner_steps: int,
    batch_size: int,
    make_gtn: Callable[[], protocols.Treatment],
    with_settings: Mapping[str, Callable] | None = None,
) -> protocols.Treatment:
    """A fresh treatment by name: gtn, as `make_gtn()` gives it, or one of `treatments.REGISTRY` (GTN paper, section 3.3).

    `with_settings` has functions that take the place of the registry's: the same ones with other defaults.

    Warns of a lesson with fewer images than there are classes. Raises `UserError` for an unknown name.
    """
    if name != "gtn" and name not in treatments.REGISTRY:
        raise errors.unknown("treatment", name, ["gtn", *treatments.REGISTRY])
    if name == "gtn":
        fresh = make_gtn()
    else:
        seed_pair = [seed, _PIXELS if name == "distilled" else _CHOICE]
        function = (with_settings or {}).get(name) or treatments.REGISTRY[name]
        fresh = function(dataset, inner_steps, batch_size, seed_pair)
    epochs = getattr(treatments.curriculum_of(fresh) or fresh, "epochs", 1)
    if (images := inner_steps * batch_size // epochs) < dataset.num_classes:
        errors.warn(
            f"a lesson of {images} images shows at most {images} of the {dataset.num_classes} classes of {dataset.name}: take "
            "more inner steps or larger batches, or no network learns the others"
        )
    return fresh


def inner_optimizer(
    name: Annotated[str, arguments.OneOf(optimizers.WITH_MOMENTUM, "inner optimizer")] = "sgd",
    learning_rate: float = optimizers.SGD.learning_rate,
    momentum: float = optimizers.SGD.momentum,
) -> optimizers.SGD:
    """One of `core.optimizers.WITH_MOMENTUM`, with the values that its schedule begins with."""
    return optimizers.WITH_MOMENTUM[name](learning_rate, momentum)


def check_held_out(learners: population.Distribution, held_out: Collection[str]) -> None:
    """Raises `UserError` if a distribution holds an architecture that is to be held out."""
    in_both = {template.family.name for template in learners.templates} & set(held_out)
    if in_both:
        raise errors.UserError(
            f"{min(in_both)} is in models.Population.families and in teaching.Evaluation.held_out: "
            "an architecture is trained on or held out"
        )


def export_evaluator(
    exported: loading.LoadedGTN, dataset: data.Dataset, learners: population.Distribution, steps: int | None = None
) -> evaluation.Evaluator:
    """An `Evaluator` of a loaded export on fresh learners, who take `steps` inner steps, or as many as it was trained with.

    Raises `UserError` unless the export fits the data set.
    """
    compatibility.check_fits(exported, dataset)
    lesson = exported.lesson(steps)
    rates = {name: lesson[name] for name in ("learning_rate", "momentum")}
    images = treatments.Fixed("gtn", lesson["image"], lesson["label"])
    return evaluation.Evaluator(dataset, learners, images, exported.optimizer, lambda: rates)
