"""The inner loop: a fresh learner takes T optimiser steps on the batches of a treatment."""

from tf_gtn.core import supervised, unrolling


class InnerLoop:
    """One template of learners, taught by one treatment.

    The learner's BatchNorm statistics are part of the state, and so carried along differentiably.
    """

    def __init__(self, template, treatment, optimizer):
        self.template, self.treatment, self.optimizer = template, treatment, optimizer
        self.learner = template.functional

    def initial_state(self, seed, widths):
        """A fresh learner; `seed` integer [2], `widths` integer, one a free width of the template."""
        return supervised.initial_state(self.optimizer, *self.template.init(seed, widths))

    def run(self, state, hyper, seed, measure, measure_params=(), measure_xs=(), recompute_every=1):
        """Teaches; differentiable in the treatment's and the hyperparameters' variables.

        Args:
          state: from `initial_state`.
          hyper: `{name: [T]}`, the optimiser's hyperparameters.
          seed: integer tensor [2], for what the treatment samples.
          measure: `(state, measure_params, x) -> structure`, applied to the state after every step.
          measure_params, measure_xs: what `measure` gets at every step, and at each one (`[T, ...]`).
          recompute_every: `checkpoint_every` of `unroll`.

        Returns:
          `(state, {"inner_loss": [T], "measured": [T, ...]})`.
        """
        params = {"treatment": self.treatment.params(), "measure": measure_params}
        xs = {"treatment": self.treatment.xs(seed), "hyper": hyper, "measure": measure_xs}

        def step(params, state, x):
            images, labels = self.treatment.batch(params["treatment"], x["treatment"])
            state, loss = supervised.update(self.learner, self.optimizer, state, images, labels, x["hyper"])
            return state, {"inner_loss": loss, "measured": measure(state, params["measure"], x["measure"])}

        return unrolling.unroll(step, params, state, xs, checkpoint_every=recompute_every)

    def logits(self, state, images):
        """Logits in inference mode, with the BatchNorm statistics of the last batch it was taught on."""
        return self.learner(state["params"], state["model"], images, training=False)[0]
