"""The inner loop: a fresh learner takes T optimiser steps on the batches of a treatment."""

from collections.abc import Callable
from typing import Any, Literal

import tensorflow as tf

from tf_gtn.core import optimizers, supervised, unrolling
from tf_gtn.models import population
from tf_gtn.teaching import batches as batches_lib
from tf_gtn.teaching import protocols


class InnerLoop:
    """One template of learners, taught by one treatment.

    The state is `{"params", "slots", "model"}`: the learner's BatchNorm statistics are part of it, and so carried along
    differentiably. A treatment that watches the learner adds its `memory`.

    Attributes:
      learner: as a `Functional`.
      teaches_ahead: whether batches are made before the loop: something is learned by the treatment, which does not watch.
    """

    def __init__(self, template: population.Template, treatment: protocols.Treatment, optimizer: optimizers.Optimizer) -> None:
        self.template, self.treatment, self.optimizer = template, treatment, optimizer
        self.learner = template.functional
        self._watching = treatment if isinstance(treatment, protocols.Watching) else None
        self.teaches_ahead = not self._watching and bool(treatment.trainable_variables)

    def initial_state(self, seed: tf.Tensor, widths: tf.Tensor) -> dict:
        """A fresh learner; `seed` integer [2], `widths` integer, one per free width of the template."""
        state = supervised.initial_state(self.optimizer, *self.template.init(seed, widths))
        return {**state, "memory": self._watching.initial_memory()} if self._watching else state

    def xs(self, hyper: dict, seed: tf.Tensor) -> dict:
        """What the steps take, `[T, ...]`; `hyper` is `{name: [T]}`, `seed` (integer [2]) is for what the treatment samples."""
        return {"treatment": self.treatment.xs(seed), "hyper": hyper}

    def with_batches(self, xs: dict, memory: float = batches_lib.MEMORY) -> dict:
        """`xs` with the batches themselves, `[T, B, ...]`, in place of what they are made from.

        They are made before the loop, of all steps together, where there is something to learn in making them, and where they
        don't depend on the learner; elsewhere, and if they are there already, `xs` is returned as it is. The generator's
        activations are kept where they take at most `memory` bytes.
        """
        if "batches" in xs or not self.teaches_ahead:
            return xs
        batches = batches_lib.make(self.treatment, xs["treatment"], memory)
        return {"batches": batches, **{name: x for name, x in xs.items() if name != "treatment"}}

    def run(
        self,
        state: dict,
        xs: dict,
        measure: Callable[[dict, Any, Any], Any] | None = None,
        measure_params: Any = (),
        measure_xs: Any = (),
        augment: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
        recompute_every: int | Literal["auto"] = 1,
    ) -> tuple[dict, dict[str, Any]]:
        """Teaches; differentiable in the state, `xs` and the treatment's variables.

        Args:
          state: from `initial_state`, or of an earlier call.
          xs: from `xs` or `with_batches`, or a slice of it.
          measure: `(state, measure_params, x) -> structure`, applied to the state after every step; None for nothing.
          measure_params, measure_xs: what `measure` gets at every step, and at each one (`[T, ...]`).
          augment: `(images, seed) -> images`, of each batch; `xs` then has seeds [T, 2] under "augment".
          recompute_every: `checkpoint_every` of `unroll`.

        Returns:
          `(state, {"inner_loss": [T], "measured": [T, ...]})`.
        """
        xs = self.with_batches(xs)
        params = {"treatment": self.treatment.params() if "treatment" in xs else (), "measure": measure_params}

        def step(params, state, x):
            teaching = params["treatment"]
            memory = (state["memory"],) if self._watching else ()
            images, labels = x["batches"] if "batches" in x else self.treatment.batch(teaching, x["treatment"], *memory)
            if augment is not None:
                images = augment(images, x["augment"])
            learner = {key: state[key] for key in ("params", "slots", "model")}
            learner, loss, outputs = supervised.update(self.learner, self.optimizer, learner, images, labels, x["hyper"])
            if self._watching:
                learner["memory"] = self._watching.observe(teaching, state["memory"], labels, outputs)
            measured = measure(learner, params["measure"], x["measure"]) if measure else ()
            return learner, {"inner_loss": loss, "measured": measured}

        return unrolling.unroll(step, params, state, {**xs, "measure": measure_xs}, checkpoint_every=recompute_every)

    def logits(self, state: dict, images: tf.Tensor) -> tf.Tensor:
        """Logits in inference mode, with the BatchNorm statistics of the last batch it was taught on."""
        return self.learner(state["params"], state["model"], images, training=False)[0]

    def probabilities(self, state: dict, images: tf.Tensor, chunk: int = 1000) -> tf.Tensor:
        """Class probabilities `[n, classes]` of normalised images `[n, H, W, C]`, a chunk at a time; graph-safe."""
        parts = [images[i : i + chunk] for i in range(0, images.shape[0], chunk)]
        return tf.concat([tf.nn.softmax(self.logits(state, part)) for part in parts], 0)
