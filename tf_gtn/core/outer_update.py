"""The outer optimiser's step: Adam with cosine decay, which leaves everything alone where the gradient is not finite."""

from collections.abc import Iterable, Sequence

import keras
import tensorflow as tf

MAX_SKIPPED = 20  # non-finite outer steps in a row


def apply_if_finite(
    optimizer: keras.optimizers.Optimizer, loss: tf.Tensor, gradients: list, variables: Sequence[keras.Variable]
) -> tf.Tensor:
    """A Keras optimiser's step, unless the loss or a gradient is not finite; returns whether it was taken."""

    def take():
        optimizer.apply(gradients, variables)
        return tf.constant(True)

    finite = tf.math.is_finite(loss) & tf.math.is_finite(tf.linalg.global_norm(gradients))
    return tf.cond(finite, take, lambda: tf.constant(False))


class _Adam(keras.optimizers.Adam):
    """Keras's, by one operation per variable where Keras takes 25; tracing those was a sixth of a small outer step's trace."""

    def apply(self, grads, trainable_variables):
        taken, learning_rate = tf.cast(self.iterations, "float64") + 1, self.learning_rate
        powers = self.beta_1**taken, self.beta_2**taken
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            index = self._get_variable_index(variable)
            beta_1_power, beta_2_power, rate = (tf.cast(x, variable.dtype) for x in (*powers, learning_rate))
            tf.raw_ops.ResourceApplyAdam(
                var=variable.value.handle,
                m=self._momentums[index].value.handle,
                v=self._velocities[index].value.handle,
                beta1_power=beta_1_power,
                beta2_power=beta_2_power,
                lr=rate,
                beta1=self.beta_1,
                beta2=self.beta_2,
                epsilon=self.epsilon,
                grad=gradient,
            )
        self.iterations.assign_add(1)


class OuterUpdate:
    """Applies meta-gradients to outer parameters.

    A step whose loss or gradient is not finite changes nothing but the counts; after `MAX_SKIPPED` of them in a row nothing
    changes any more.

    Attributes:
      skipped: how many steps were skipped.
      consecutively_skipped: how many of them since the last one that was not.
    """

    def __init__(
        self,
        parameters: Iterable[keras.Variable],
        steps: int,
        learning_rate: float = 0.02,
        final_learning_rate: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        normalize: bool = False,
    ) -> None:
        """Makes the variables.

        Args:
          parameters: list of Keras variables.
          steps: length of the cosine decay.
          learning_rate: at the first step.
          final_learning_rate: where the decay ends, as a fraction of `learning_rate`.
          beta_1, beta_2, epsilon: Adam's.
          normalize: whether Adam gets each gradient divided by its global norm.
        """
        self.parameters, self._normalize = list(parameters), normalize
        schedule = keras.optimizers.schedules.CosineDecay(learning_rate, max(steps, 1), alpha=final_learning_rate)
        self._optimizer = _Adam(schedule, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, name="adam")
        self._optimizer.build(self.parameters)
        self.skipped = keras.Variable(0, dtype="int32", trainable=False, name="skipped")
        self.consecutively_skipped = keras.Variable(0, dtype="int32", trainable=False, name="consecutively_skipped")

    @property
    def variables(self) -> list[keras.Variable]:
        """Adam's state and the counts; the parameters are not among them."""
        return [*self._optimizer.variables, self.skipped, self.consecutively_skipped]

    @property
    def stuck(self) -> tf.Tensor:
        """Whether it gave up: boolean scalar tensor."""
        return tf.convert_to_tensor(self.consecutively_skipped) >= MAX_SKIPPED

    def apply(self, loss: tf.Tensor, gradients: list) -> tf.Tensor:
        """Takes the step if it is finite; returns the global norm of the gradients as they were given.

        Args:
          loss: scalar, which must be finite too.
          gradients: one a parameter.
        """
        norm = tf.linalg.global_norm(gradients)

        def take():
            given = [tf.math.divide_no_nan(g, tf.cast(norm, g.dtype)) for g in gradients] if self._normalize else gradients
            self._optimizer.apply(given, self.parameters)
            self.consecutively_skipped.assign(0)
            return tf.constant(True)

        def skip():
            self.skipped.assign(self.skipped + 1)
            self.consecutively_skipped.assign(self.consecutively_skipped + 1)
            return tf.constant(False)

        def go_on():
            return tf.cond(tf.math.is_finite(loss) & tf.math.is_finite(norm), take, skip)

        tf.cond(self.stuck, lambda: tf.constant(False), go_on)
        return norm
