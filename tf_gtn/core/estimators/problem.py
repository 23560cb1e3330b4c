"""What an estimator sees of an inner process and what it returns; the objective and its exact gradient."""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, Protocol, runtime_checkable

import tensorflow as tf

from tf_gtn import arguments

LOSSES = ("every", "last")
Loss = Annotated[str, arguments.OneOf(LOSSES, "loss")]


class Problem(Protocol):
    """An inner process of T steps under outer parameters `values`, a list of tensors.

    What is random is a function of `seed`, an int32 tensor [2], and of the step's absolute number, so that advancing in two
    parts is the same as in one.

    Attributes:
      length: T, an int.
    """

    length: int

    def begin(self, values: list[tf.Tensor], seed: tf.Tensor) -> Any:
        """A fresh inner state, before step 0: a nested structure of tensors with static shapes."""

    def advance(
        self, values: list[tf.Tensor], state: Any, seed: tf.Tensor, start: int | tf.Tensor, steps: int | tf.Tensor, judge: str
    ) -> tuple[Any, tf.Tensor, tf.Tensor]:
        """Takes `steps` inner steps from number `start` on; differentiable in `values` and `state`.

        Args:
          values: the outer parameters.
          state: of the inner process, from `begin` or `advance`.
          seed: the one that `begin` had.
          start, steps: an int or an int32 scalar tensor each.
          judge: "every" takes the meta-loss after each of these steps, "end" after the last of them, "none" not at all.

        Returns:
          `(state, losses, inner_losses)`: the state, the meta-losses `[steps]`, `[1]` or `[0]`, the inner losses `[steps]`.
        """


class Estimate(NamedTuple):
    """What `estimate` returns.

    Attributes:
      loss: scalar, the objective as it was seen, such as its mean over perturbed points.
      gradients: list of tensors like the outer parameters; zeros where the objective does not depend on one.
      inner_loss: scalar, the last inner loss, a mean over perturbed points likewise.
      state: to pass to the next call.
    """

    loss: tf.Tensor
    gradients: list[tf.Tensor]
    inner_loss: tf.Tensor
    state: Any


@runtime_checkable
class Estimator(Protocol):
    """What estimates an outer gradient; see the package's docstring.

    Attributes:
      name: for messages.
      backpropagates: whether the gradient is the chain rule's, at the given values themselves. Then what is made of the outer
        parameters may be given instead of them, and the gradient be led back to them. One that moves the values says False.
    """

    name: str
    backpropagates: bool

    def init(self, problem: Problem, values: list[tf.Tensor], seed: tf.Tensor) -> Any:
        """The state to hand to the first `estimate`."""
        ...

    def estimate(self, problem: Problem, values: list[tf.Tensor], seed: tf.Tensor, loss: str, state: Any) -> Estimate:
        """The gradient, and the state to hand to the next one."""
        ...


class Memoryless:
    """An estimator that keeps nothing between outer steps."""

    def init(self, problem: Problem, values: list[tf.Tensor], seed: tf.Tensor) -> Any:
        """`()`."""
        del problem, values, seed
        return ()


@arguments.checked("estimators")
def judge(loss: Loss) -> str:
    """Where a stretch of steps is judged: "every" step, or at the "end" for the loss "last".

    Raises:
      UserError: `loss` is neither "every" nor "last".
    """
    return "end" if loss == "last" else "every"


def objective(problem: Problem, values: list[tf.Tensor], seed: tf.Tensor, loss: str) -> tuple[tf.Tensor, tf.Tensor]:
    """A whole unroll; returns `(objective, inner_loss)`, scalars."""
    state = problem.begin(values, seed)
    _, losses, inner_losses = problem.advance(values, state, seed, 0, problem.length, judge(loss))
    return tf.reduce_mean(losses), inner_losses[-1]


def gradient(
    fn: Callable[[list[tf.Tensor]], tuple[tf.Tensor, tf.Tensor]], values: list[tf.Tensor]
) -> tuple[tf.Tensor, list[tf.Tensor], tf.Tensor]:
    """`fn(values) -> (loss, inner_loss)` differentiated; returns `(loss, gradients, inner_loss)`."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        loss, inner_loss = fn(values)
    return loss, dense_gradients(tape, loss, values), inner_loss


def dense_gradients(
    tape: tf.GradientTape, target: Any, values: list[tf.Tensor], output_gradients: list[tf.Tensor] | None = None
) -> list[tf.Tensor]:
    """`tape.gradient` by `values`: zeros where nothing is connected, and a tensor also where rows of a value were gathered."""
    zero = tf.UnconnectedGradients.ZERO
    found = tape.gradient(target, values, output_gradients=output_gradients, unconnected_gradients=zero)
    return [tf.convert_to_tensor(gradient) for gradient in found]
