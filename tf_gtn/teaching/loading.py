"""`tf_gtn.load`: an exported GTN as a teacher, with no training code and no gin."""

import math
import os
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from tf_gtn import arguments, errors
from tf_gtn.core import optimizers
from tf_gtn.data import dataset, normalization
from tf_gtn.models import checks
from tf_gtn.teaching import inspection, lesson, saved_models, schema


def load(export_dir: str | os.PathLike) -> "LoadedGTN":
    """Loads an export.

    Args:
      export_dir: `.../export/<version>`, or the folder of versions, whose highest is taken; or the name of one that comes with
        the package: "digits".

    Returns:
      A `LoadedGTN`.

    Raises:
      UserError: nothing is there, it is incomplete or damaged, says of itself what it is not, holds what no generator needs
        (`trust`), or was written by a newer version.
    """
    path, metadata = inspection.look(export_dir)
    with inspection.complete(path):
        return LoadedGTN(path, metadata, tf.saved_model.load(path))


class LoadedGTN:
    """A trained GTN: generates data, and teaches Keras models with it.

    Attributes:
      metadata: dict, the export's `assets/metadata.json`.
    """

    def __init__(self, path: str, metadata: dict[str, Any], model: Any) -> None:
        self.path, self.metadata = path, metadata
        self._model = model  # keeps the variables of the signatures alive
        self._generate = model.signatures["generate"]
        steps = metadata["inner_steps"]
        lesson = model.signatures["curriculum"](step=tf.range(steps, dtype=tf.int64))
        shapes = schema.signatures(metadata)["curriculum"][1]
        self._lesson = {name: tf.ensure_shape(lesson[name], [steps, *shape[1:]]) for name, shape in shapes.items()}

    def __repr__(self) -> str:
        metadata, steps = self.metadata, self.metadata["inner_steps"]
        return (
            f"<GTN for {metadata['dataset']}: {steps} steps on batches of {metadata['batch_size']}, "
            f"images {list(self.image_shape)}, {len(self.classes)} classes; {self.path}>"
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, or actions, by label."""
        return tuple(self.metadata["classes"])

    @property
    def image_shape(self) -> tuple[int, ...]:
        """`(H, W, C)`, or the shape of an observation."""
        return tuple(self.metadata["image_shape"])

    @property
    def optimizer(self) -> optimizers.SGD:
        """Whose learning rates and momenta the schedule has: `core.optimizers.SGD`, or `LARS` where metadata says so."""
        return optimizers.WITH_MOMENTUM[self.metadata.get("optimizer", "sgd")]()

    def generate(self, noise: Any, label: Any) -> tf.Tensor:
        """Images `[n, H, W, C]`, each independent of its neighbours.

        Args:
          noise: [n, latent].
          label: [n, classes]; or integers [n], numbers of classes.

        Raises:
          UserError: other shapes, or a number that no class has (in a graph such a number is no class at all).
        """
        noise, label = tf.cast(noise, tf.float32), tf.convert_to_tensor(label)
        latent, classes = self.metadata["latent"], len(self.metadata["classes"])
        if label.dtype.is_integer and label.shape.rank == 1:
            if tf.executing_eagerly() and not np.isin(label, np.arange(classes)).all():
                raise errors.UserError(f"labels are numbers of classes, from 0 to {classes - 1}; got {label.numpy().tolist()}")
            label = tf.one_hot(tf.cast(label, tf.int32), classes)
        label = tf.cast(label, tf.float32)
        if not (noise.shape.is_compatible_with([None, latent]) and label.shape.is_compatible_with([None, classes])):
            raise errors.UserError(f"noise is [n, {latent}] and label [n, {classes}]; got {noise.shape} and {label.shape}")
        if not noise.shape[:1].is_compatible_with(label.shape[:1]):
            raise errors.UserError(f"noise and label have one row per image; got {noise.shape[0]} and {label.shape[0]} rows")
        return saved_models.never_empty(lambda noise, label: self._generate(noise=noise, label=label)["image"], noise, label)

    @arguments.checked("gtn.as_dataset")
    def as_dataset(self, steps: arguments.Count | None = None) -> tf.data.Dataset:
        """`tf.data.Dataset` of `(images [B, H, W, C], labels [B, classes])`, in curriculum order.

        `steps` batches, by default as many as the GTN was trained with; beyond those the curriculum starts over.
        """
        batches = tf.data.Dataset.from_tensor_slices((self._lesson["image"], self._lesson["label"]))
        return batches.repeat().take(self._steps(steps))

    def normalize(self, images: Any) -> tf.Tensor:
        """Real images `[n, H, W]` or `[n, H, W, C]`, or observations, as their source has them, as learners expect them."""
        image_shape, shape = self.metadata["image_shape"], tf.convert_to_tensor(images).shape
        grey = len(image_shape) == 3 and image_shape[-1] == 1 and shape.is_compatible_with([None, *image_shape[:2]])
        if not shape.is_compatible_with([None, *image_shape]) and not grey:
            raise errors.UserError(f"images are [n, {', '.join(map(str, image_shape))}]; got {shape}")
        normalized = normalization.normalize(images, **self.metadata["normalization"])
        if len(image_shape) == 3 and tf.executing_eagerly():  # observations have no range; a graph has no numbers yet
            normalization.warn_of_other_range(images, normalized, self.metadata.get("pixel_range"), self.metadata["dataset"])
        return self._model.signatures["whiten"](image=normalized)["image"] if "whitening" in self.metadata else normalized

    @arguments.checked("gtn.train")
    def train(
        self,
        keras_model: keras.Model,
        steps: arguments.Count | None = None,
        learning_rate_scale: arguments.NotNegative | Literal["auto"] = "auto",
        weight_norm: bool = False,
        from_logits: Literal[True, False] | None = None,
    ) -> dict[str, Any]:
        """Teaches `keras_model`, in place, in a few steps of its optimiser with the learned learning rates and momenta.

        The learned rates fit the networks that the GTN was trained with. A foreign architecture may need smaller ones: with
        "auto" the same steps are taken from the same weights with the rates limited to 1, 0.3, 0.1, 0.03 and 0.01 of the
        largest, until a network that learns gets no better, and the result with the lowest loss on the synthetic batches stays;
        no real data is looked at. BatchNorm layers
        end with the statistics of the last batch. The model's regularisers, `add_loss` and constraints count as in `fit`.

        Args:
          keras_model: a Keras 3 model of normalised images -> logits or probabilities; of observations -> logits of actions for
            a GTN that teaches policies.
          steps: number of SGD steps; by default as many as the GTN was trained with. Beyond those the curriculum starts over.
          learning_rate_scale: factor on the learned learning rates, or "auto".
          weight_norm: whether to train g and V of W = g V / ||V|| instead of W.
          from_logits: whether the model gives logits (True) or probabilities (False); None: probabilities if rows come out that
            are not negative and sum to one.

        Returns:
          A dict: `loss` (the training loss at each step), `learning_rate`, `momentum`, lists of length `steps`;
          `learning_rate_scale`, the factor given, or with "auto" the limit found; `synthetic_loss`, the loss on all batches
          after training, without the model's own penalties, by limit tried; for classes also `synthetic_accuracy`, the accuracy
          on them, and `at_chance`, whether that is no better than chance, of which a warning tells too.

        Raises:
          UserError: the model's input or output does not fit the data, an argument is out of range, or the lesson diverged,
            which leaves the model as it was.
        """
        xs = self.lesson(steps)
        shape, judged_by = self.metadata["image_shape"], self.metadata.get("loss", "cross_entropy")
        checks.check(keras_model, shape, len(self.metadata["classes"]))
        teacher = lesson.Lesson(keras_model, shape, weight_norm, judged_by, from_logits, self.optimizer)
        start = teacher.learner.values()
        if learning_rate_scale == "auto":
            taught, scale, loss_by_scale = teacher.best(start, xs)
            xs = lesson.limited(xs, scale)
        else:
            scale = float(learning_rate_scale)
            xs["learning_rate"] *= scale
            taught = teacher.teach(start, xs)
            loss_by_scale = {scale: float(taught.loss)}
        if not math.isfinite(loss_by_scale[scale]):
            raise errors.UserError(
                f"the lesson of {keras_model.name!r} diverged with every learning rate tried; the model is as it was. Its "
                "inputs or first weights may be too large"
            )
        teacher.learner.assign(*taught.network)
        history = {
            "loss": taught.losses.numpy().tolist(),
            "learning_rate": xs["learning_rate"].numpy().tolist(),
            "momentum": xs["momentum"].numpy().tolist(),
            "learning_rate_scale": scale,
            "synthetic_loss": loss_by_scale,
        }
        if judged_by == "cross_entropy":
            history["synthetic_accuracy"], history["at_chance"] = teacher.at_chance(taught, xs["label"])
            if history["at_chance"]:
                errors.warn(
                    f"the lesson of {keras_model.name!r} did not take: its accuracy on its own synthetic batches is "
                    f"{history['synthetic_accuracy']:.3f}, no better than chance"
                )
        return history

    def evaluate(self, keras_model: keras.Model, data: Any) -> float:
        """The share of images that a taught model classifies right.

        Args:
          keras_model: of normalised images `[n, H, W, C]` -> `[n, classes]`.
          data: `(images, labels)`, raw images as `normalize` takes them and numbers of classes [n]; or a `data.Split`.

        Raises:
          UserError: images or labels of another form, or a GTN that teaches policies.
        """
        if self.metadata.get("loss", "cross_entropy") != "cross_entropy":
            raise errors.UserError(f"{self!r} teaches policies, which are tested by playing, not by labelled images")
        data = (data.as_given(), data.labels) if isinstance(data, dataset.Split) else data
        if not isinstance(data, tuple | list) or len(data) != 2 or not len(data[0]):
            raise errors.UserError(f"a model is evaluated on (images, labels), or on a data.Split; got {type(data).__name__}")
        (images, labels), classes = (data[0], np.asarray(data[1])), len(self.classes)
        if labels.dtype.kind not in "iu" or labels.shape != (len(images),) or not 0 <= labels.min() <= labels.max() < classes:
            raise errors.UserError(
                f"labels are numbers of classes from 0 to {classes - 1}, one per image; got {labels.dtype} "
                f"{list(labels.shape)} for {len(images)} images"
            )
        checks.check(keras_model, self.image_shape, classes)
        predicted = keras_model.predict(self.normalize(images), verbose=0).argmax(-1)
        return float((predicted == labels).mean())

    @arguments.checked("gtn.lesson")
    def lesson(self, steps: arguments.Count | None = None) -> dict[str, tf.Tensor]:
        """`{"image": [T, B, H, W, C], "label": [T, B, classes], "learning_rate": [T], "momentum": [T]}`; cycles beyond T."""
        index = tf.range(self._steps(steps)) % self.metadata["inner_steps"]
        return {name: tf.gather(value, index) for name, value in self._lesson.items()}

    def save(self, export_dir: str | os.PathLike) -> str:
        """Writes the SavedModel to `<export_dir>/<version>/`, which appears complete or not at all; returns that path.

        The version is the number of outer steps.

        Raises:
          UserError: that version is there already.
        """
        return saved_models.copy(self.path, os.path.expanduser(export_dir), self.metadata["training"]["outer_steps"])

    def _steps(self, steps):
        return self.metadata["inner_steps"] if steps is None else int(steps)
