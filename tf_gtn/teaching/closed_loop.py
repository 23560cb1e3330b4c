"""A closed-loop curriculum: a recurrent teacher sees how the learner is doing and answers with the next batch.

"a recurrent GTN that is conditioned on previous learner outputs could adapt its samples" (GTN paper, section 4: future work).
"""

from typing import Any

import keras
import tensorflow as tf

from tf_gtn.core import functional, supervised
from tf_gtn.teaching import curricula, treatments


class ClosedLoop(treatments.GTN):
    """A GTN whose codes are shifted, class by class, by what a small recurrent network makes of the learner's answers.

    After each batch the teacher sees the learner's loss on it and its confusion matrix, both from before the learner's step on
    that batch, and so no real data. Its answer is zero at first: the teacher starts as the open-loop GTN with the same seed.
    """

    name = "closed_loop"

    def __init__(
        self,
        generator: keras.Model,
        curriculum: curricula.Curriculum,
        seed: tf.Tensor,
        weight_norm: bool = True,
        units: int = 64,
    ) -> None:
        """As `GTN`, with `units` in the recurrent network's memory."""
        super().__init__(generator, curriculum, seed, weight_norm)
        self._shape = (curriculum.classes, curriculum.latent)
        self._units, self._dtype = units, curriculum.dtype
        self.controller = functional.Functional(controller(curriculum.classes, curriculum.latent, units, curriculum.dtype))
        params, _ = self.controller.initial_values(tf.random.experimental.stateless_fold_in(seed, 1))
        self._controller = tf.nest.map_structure(
            lambda value: keras.Variable(value, dtype=value.dtype, name="controller"), params
        )

    @property
    def variables(self) -> list[keras.Variable]:
        return [*super().variables, *tf.nest.flatten(self._controller)]

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        return [*super().trainable_variables, *tf.nest.flatten(self._controller)]

    def params(self) -> Any:
        controller = tf.nest.map_structure(tf.convert_to_tensor, self._controller)
        return {"generator": super().params(), "controller": controller}

    def initial_memory(self) -> dict[str, tf.Tensor]:
        """The teacher before its first look at the learner."""
        return {"hidden": tf.zeros([1, self._units], self._dtype), "shift": tf.zeros(self._shape, self._dtype)}

    def batch(  # pyrefly: ignore[bad-override]  # one that watches takes its memory as well
        self, params: Any, x: Any, memory: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        return super().batch(params["generator"], {**x, "noise": x["noise"] + tf.matmul(x["label"], memory["shift"])})

    def observe(self, params: Any, memory: dict[str, tf.Tensor], labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """The memory after the learner's `outputs` [B, classes] on a batch with these labels."""
        labels = tf.cast(labels, outputs.dtype)
        count = tf.maximum(tf.reduce_sum(labels, 0), 1e-6)[:, tf.newaxis]
        confusion = tf.matmul(labels, tf.nn.softmax(outputs), transpose_a=True) / count
        seen = tf.concat([tf.reshape(confusion, [-1]), [supervised.cross_entropy(labels, outputs)]], 0)
        answer, _ = self.controller(params["controller"], {}, {"seen": seen[tf.newaxis], "hidden": memory["hidden"]})
        return {"hidden": answer["hidden"], "shift": tf.reshape(answer["shift"], self._shape)}


def controller(classes: int, latent: int, units: int, dtype: str = "float32") -> keras.Model:
    """A minimal gated unit (Zhou et al. 2016) with a linear readout that starts at zero.

    A model of `{"seen": [1, classes^2 + 1], "hidden": [1, units]}` -> `{"hidden": [1, units], "shift": [1, classes * latent]}`.
    """

    def dense(size, name, **kw):
        return keras.layers.Dense(size, name=name, dtype=dtype, **kw)

    seen = keras.Input((classes * classes + 1,), name="seen", dtype=dtype)
    hidden = keras.Input((units,), name="hidden", dtype=dtype)
    forget = dense(units, "forget", activation="sigmoid")(keras.layers.Concatenate(name="both", dtype=dtype)([seen, hidden]))
    gated_hidden = keras.layers.Multiply(name="kept", dtype=dtype)([forget, hidden])
    fresh = dense(units, "candidate", activation="tanh")(
        keras.layers.Concatenate(name="gated", dtype=dtype)([seen, gated_hidden])
    )
    step = keras.layers.Multiply(name="step", dtype=dtype)(
        [forget, keras.layers.Subtract(name="change", dtype=dtype)([fresh, hidden])]
    )
    new = keras.layers.Add(name="new", dtype=dtype)([hidden, step])
    shift = dense(classes * latent, "shift", kernel_initializer="zeros")(new)
    return keras.Model({"seen": seen, "hidden": hidden}, {"hidden": new, "shift": shift}, name="controller")
