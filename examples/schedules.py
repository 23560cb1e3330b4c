"""A system of one's own: learning rates of a few gradient steps, learned by the gradient through all of these steps.

python schedules.py --base_dir=run --gin_file=schedules.gin
"""

import dataclasses
from typing import Any, ClassVar

from tf_gtn.runtime import surroundings

surroundings.enter()  # imports TensorFlow without its start-up messages

import gin  # noqa: E402
import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from tf_gtn import arguments  # noqa: E402
from tf_gtn.core import outer_update, unroll  # noqa: E402
from tf_gtn.experiment import experiment, program, runs  # noqa: E402
from tf_gtn.reporting import claims, statistics  # noqa: E402


class Schedule:
    """What is trained: the logarithms of learning rates. Its attributes are those of `runtime.loop.Trainable`."""

    def __init__(self, seed: int, outer_steps: int, inner_steps: int, per_step: bool) -> None:
        self.outer_steps, self._seed, self._inner_steps = outer_steps, seed, inner_steps
        self.log_rates = keras.Variable(tf.linspace(-3.0, 0.0, inner_steps if per_step else 1))
        update = self._update = outer_update.OuterUpdate([self.log_rates], outer_steps, learning_rate=0.1)
        self.variables = [self.log_rates, *update.variables]
        self.skipped, self.consecutively_skipped = update.skipped, update.consecutively_skipped

    def step(self, index: int) -> dict[str, tf.Tensor]:
        return self._step(tf.constant([self._seed, index]))

    @tf.function
    def _step(self, seed):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(self.losses(seed, 256))
        self._update.apply(loss, tape.gradient(loss, [self.log_rates.value]))
        return {"loss": loss}

    def losses(self, seed: tf.Tensor, count: int) -> tf.Tensor:
        """The losses `[count]` of random quadratics after the inner steps."""
        curvatures = tf.exp(tf.random.stateless_uniform([count, 10], seed, -3.0, 1.0))
        start = tf.random.stateless_normal([count, 10], seed)
        rates = tf.exp(tf.broadcast_to(self.log_rates, [self._inner_steps]))
        end, _ = unroll(lambda curvature, x, rate: (x - rate * curvature * x, ()), curvatures, start, rates)
        return 0.5 * tf.reduce_sum(curvatures * end**2, 1)


@gin.configurable(module="schedules")
def schedule(seed, outer_steps: arguments.Count = 200, inner_steps: arguments.Count = 8, per_step: bool = True) -> Schedule:
    return Schedule(seed, outer_steps, inner_steps, per_step)


@gin.configurable(module="schedules")
@dataclasses.dataclass(kw_only=True)
class Schedules(experiment.Experiment):
    test: arguments.Count = 1000  # quadratics that nobody trained on
    NAME: ClassVar[str] = "schedules.Schedules"
    SYSTEM, UNITS, EACH, TABLES = "schedules", "quadratics of one run", "quadratics", ("loss",)

    def arm(self, seed: int) -> Schedule:
        return schedule(seed)

    def expected(self, trainings: Any) -> dict[str, claims.Quantity]:
        return claims.stand_ins({f"loss/{arm}": self.test for arm in trainings}, self.seeds)

    def measure(self, run: runs.SeedRun) -> dict[str, Any]:
        losses = {arm: trained.losses(tf.constant([run.seed, -1]), self.test) for arm, trained in run.healthy.items()}
        return {"loss": {arm: losses.get(arm) for arm in run.trainings}}

    def bounds(self, quantity: str) -> tuple[float, float]:
        return statistics.NOT_NEGATIVE


if __name__ == "__main__":
    program.run(lambda run: experiment.run(run, "schedules", Schedules()))
