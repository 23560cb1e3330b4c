"""`tf_gtn.load`: an exported GTN as a teacher, with no training code and no gin."""

import json
import os

import tensorflow as tf

from tf_gtn import errors
from tf_gtn.data import normalization
from tf_gtn.teaching import export, lesson


def load(export_dir):
    """Loads an export.

    Args:
      export_dir: `.../export/<version>`, or the folder of versions, whose highest is taken.

    Returns:
      A `LoadedGTN`.

    Raises:
      UserError: nothing is there, it is incomplete, or it was written by a newer version.
    """
    path = _latest(os.path.expanduser(os.fspath(export_dir)))
    try:
        with tf.io.gfile.GFile(os.path.join(path, "assets", export.METADATA)) as file:
            metadata = json.load(file)
        newer = metadata["schema_version"] > export.SCHEMA_VERSION
        model = None if newer else tf.saved_model.load(path)
        if model is not None:
            return LoadedGTN(path, metadata, model)
    except Exception as error:  # a broken file can raise anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise errors.UserError(f"{path} is not a complete export of a GTN: {reason}") from None
    raise errors.UserError(
        f"{path} was exported with schema {metadata['schema_version']}, this tf_gtn reads up to "
        f"{export.SCHEMA_VERSION}: install a newer one"
    )


class LoadedGTN:
    """A trained GTN: generates data, and teaches Keras models with it.

    Attributes:
      metadata: dict, the export's `assets/metadata.json`.
    """

    def __init__(self, path, metadata, model):
        self.path, self.metadata = path, metadata
        self._model = model  # keeps the variables of the signatures alive
        self._generate = model.signatures["generate"]
        lesson = model.signatures["curriculum"](step=tf.range(metadata["inner_steps"], dtype=tf.int64))
        self._lesson = {k: lesson[k] for k in ("image", "label", "learning_rate", "momentum")}

    def generate(self, noise, label):
        """`noise` [n, latent], `label` [n, classes] -> images [n, H, W, C], each independent of its neighbours."""
        return self._generate(noise=tf.cast(noise, tf.float32), label=tf.cast(label, tf.float32))["image"]

    def as_dataset(self, steps=None):
        """`tf.data.Dataset` of `(images [B, H, W, C], labels [B, classes])`, in curriculum order.

        `steps` batches, by default as many as the GTN was trained with; beyond those the curriculum starts over.
        """
        dataset = tf.data.Dataset.from_tensor_slices((self._lesson["image"], self._lesson["label"]))
        return dataset if steps is None else dataset.repeat().take(steps)

    def normalize(self, images):
        """Real images `[n, H, W]` or `[n, H, W, C]`, as their data set has them, in the scale that learners expect."""
        return normalization.normalize(images, **self.metadata["normalization"])

    def train(self, keras_model, steps=None, learning_rate_scale="auto", weight_norm=False):
        """Teaches `keras_model`, in place, in a few SGD steps with the learned learning rates and momenta.

        The learned rates fit the networks that the GTN was trained with. A foreign architecture may need smaller ones: with
        "auto" the same steps are taken from the same weights with the rates limited to 1, 0.3, 0.1, 0.03 and 0.01 of the
        largest, and the result with the lowest loss on the synthetic batches stays; no real data is looked at. BatchNorm layers
        end with the statistics of the last batch.

        Args:
          keras_model: a built Keras model of images -> logits, or probabilities if its last activation is a softmax.
          steps: number of SGD steps; by default as many as the GTN was trained with. Beyond those the curriculum starts over.
          learning_rate_scale: factor on the learned learning rates, or "auto".
          weight_norm: whether to train g and V of W = g V / ||V|| instead of W.

        Returns:
          A dict: `loss` (the training loss at each step), `learning_rate`, `momentum`, lists of length `steps`;
          `learning_rate_scale`, the factor given, or with "auto" the limit found; `synthetic_loss`, the loss on all batches
          after training, by limit tried.

        Raises:
          UserError: the model's input or output does not fit the data.
        """
        steps = self.metadata["inner_steps"] if steps is None else int(steps)
        if steps < 1:
            raise errors.UserError(f"steps must be at least 1; got {steps}")
        self._check(keras_model)
        teacher = lesson.Lesson(keras_model, weight_norm)
        xs, start = self.lesson(steps), teacher.learner.values()
        if learning_rate_scale == "auto":
            trained, losses, scale, after = teacher.best(start, xs)
            xs = lesson.limited(xs, scale)
        else:
            scale = float(learning_rate_scale)
            xs["learning_rate"] *= scale
            trained, losses, loss = teacher.teach(start, xs)
            after = {1.0: float(loss)}
        teacher.learner.assign(*trained)
        return {
            "loss": losses.numpy().tolist(),
            "learning_rate": xs["learning_rate"].numpy().tolist(),
            "momentum": xs["momentum"].numpy().tolist(),
            "learning_rate_scale": scale,
            "synthetic_loss": after,
        }

    def lesson(self, steps=None):
        """`{"image": [T, B, H, W, C], "label": [T, B, classes], "learning_rate": [T], "momentum": [T]}`; cycles beyond T."""
        index = tf.range(self.metadata["inner_steps"] if steps is None else steps) % self.metadata["inner_steps"]
        return {name: tf.gather(value, index) for name, value in self._lesson.items()}

    def _check(self, model):
        if not model.built:
            raise errors.UserError(f"the model {model.name!r} has no weights yet: call it once, or start it with keras.Input")
        wanted, classes = self.metadata["image_shape"], len(self.metadata["classes"])
        got = model.input_shape
        if not isinstance(got, tuple) or not tf.TensorShape(got).is_compatible_with([None, *wanted]):
            raise errors.UserError(
                f"the model {model.name!r} takes {model.input_shape}, the GTN's images are [n, {', '.join(map(str, wanted))}]"
            )
        if model.output_shape[-1] != classes or len(model.output_shape) != 2:
            raise errors.UserError(f"the model {model.name!r} gives {model.output_shape}, the data set has {classes} classes")


def _latest(path):
    """The folder of the highest version under `path`, or `path` itself if it is a version."""
    for folder in (path, os.path.join(path, "export")):
        if tf.io.gfile.isdir(folder):
            versions = [name.rstrip("/") for name in tf.io.gfile.listdir(folder) if name.rstrip("/").isdigit()]
            if versions:
                return os.path.join(folder, max(versions, key=int))
    if not tf.io.gfile.isdir(path):
        raise errors.UserError(f"there is no export at {path}")
    return path
