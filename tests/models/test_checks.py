"""A user's Keras model: what can't be taught is refused in one line, what works differently is said."""

import warnings

import keras
import pytest
import tensorflow as tf

from tf_gtn import errors
from tf_gtn.models import checks


def flat(*layers, shape=(8, 8, 1), dtype="float32"):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *layers])


def several_outputs():
    images = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(images)
    return keras.Model(images, [keras.layers.Dense(3)(x), keras.layers.Dense(3)(x)])


def several_inputs():
    inputs = [keras.Input((8, 8, 1)), keras.Input((8, 8, 1))]
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(keras.layers.Add()(inputs))))


class Holding(keras.Model):
    """Has a tf.Variable of its own."""

    def __init__(self):
        super().__init__()
        self.scale, self.flatten, self.head = (
            tf.Variable(tf.ones([3]), name="scale"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        )

    def call(self, x):
        return self.scale * self.head(self.flatten(x))


def frozen():
    model = flat(keras.layers.Flatten(), keras.layers.Dense(3))
    model.trainable = False
    return model


def legacy():
    import tf_keras

    return tf_keras.Sequential([tf_keras.layers.Flatten(), tf_keras.layers.Dense(3)])


class Failing(keras.Model):
    """Looks for what is not there."""

    def call(self, x):
        return {}["scale"]


def of_other_batches():
    return keras.Sequential(
        [
            keras.Input(batch_shape=(32, 8, 8, 1)),
            keras.layers.Reshape((8, 8)),
            keras.layers.LSTM(4, stateful=True),
            keras.layers.Dense(3),
        ]
    )


REFUSED = {
    "no model": (lambda: "model", "a Keras model is needed; got str"),
    "legacy Keras": (
        legacy,
        "a Keras 3 model is needed; got Sequential of tf_keras, the legacy Keras 2: build the model with `import",
    ),
    "other images": (
        lambda: flat(keras.layers.Flatten(), keras.layers.Dense(3), shape=(28, 28, 1)),
        r"takes \(None, 28, 28, 1\), the GTN's images are \[n, 8, 8, 1\]",
    ),
    "several inputs": (several_inputs, r"takes \[\(None, 8, 8, 1\), \(None, 8, 8, 1\)\], the GTN's images are"),
    "other classes": (
        lambda: flat(keras.layers.Flatten(), keras.layers.Dense(4)),
        r"gives \(None, 4\), the data set has 3 classes",
    ),
    "no classes": (
        lambda: keras.Sequential([keras.layers.Dense(3)]),
        r"gives \(None, 8, 8, 3\), the data set has 3 classes",
    ),
    "several outputs": (several_outputs, "gives 2 outputs in a list; one tensor is needed"),
    "bytes": (
        lambda: flat(keras.layers.Flatten(), keras.layers.Dense(3), dtype="uint8"),
        "takes uint8.* mean 0 and variance 1",
    ),
    "integers": (
        lambda: flat(keras.layers.Flatten(), keras.layers.Dense(3), dtype="int32"),
        "takes int32.* mean 0 and variance 1",
    ),
    "a tf.Variable": (Holding, "holds a tf.Variable .*scale.*, which Keras does not count among its weights"),
    "errors of its own": (Failing, r"can't take images \[n, 8, 8, 1\]: scale$"),
    "other batches": (of_other_batches, r"can't take images \[n, 8, 8, 1\]: [^\x1b]*batch size"),
    "frozen": (frozen, "has no trainable weights"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_taught_is_one_line(name):
    make, message = REFUSED[name]
    with pytest.raises(errors.UserError, match=message) as caught:
        checks.check(make(), (8, 8, 1), 3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "make", [lambda: keras.layers.Rescaling(1 / 255), lambda: keras.layers.Normalization(mean=0.1, variance=4)]
)
def test_normalising_twice_is_said_at_the_users_line(make):
    with pytest.warns(errors.Notice, match="already normalised to mean 0 and variance 1") as caught:
        checks.check(flat(keras.Sequential([make()]), keras.layers.Flatten(), keras.layers.Dense(3)), (8, 8, 1), 3)
    assert caught[0].filename == __file__


def test_what_can_be_taught_passes_in_silence():
    images = keras.Input((8, 8, 1))
    listed = keras.Model([images], keras.layers.Dense(3)(keras.layers.Flatten()(images)))
    later = flat(keras.layers.Conv2D(2, 3), keras.layers.Rescaling(0.5), keras.layers.Flatten(), keras.layers.Dense(3))
    partly = flat(keras.layers.Flatten(), keras.layers.Dense(3), keras.layers.Dense(3))
    partly.layers[1].trainable = False
    half = flat(keras.layers.Flatten(), keras.layers.Dense(3), dtype="bfloat16")
    with warnings.catch_warnings():
        warnings.simplefilter("error", errors.Notice)
        for model in (listed, later, partly, half):
            checks.check(model, (8, 8, 1), 3)
