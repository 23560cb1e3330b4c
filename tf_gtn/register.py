"""Decorators by which a module of a user's own adds to what can be named: in gin files, in the programs, from Python.

    @tf_gtn.register.learner("tiny")
    def tiny(image_shape, classes):
        return keras.Sequential([keras.Input(image_shape), keras.layers.Flatten(), keras.layers.Dense(classes)])

A gin file names the module, `import my_module`, and then the thing: `models.Population.families = {'tiny': {}}`. The programs
find modules in the current folder. Each decorator refuses a name that another thing has (`UserError`).
"""

import importlib
from collections.abc import Callable
from typing import Any

__all__ = ["analysis", "callback", "claim_relation", "curriculum", "dataset", "generator", "learner", "treatment"]


def learner(name: str) -> Callable:
    """A function `(image_shape, classes, **options) -> keras.Model` of images `[n, H, W, C]` -> logits `[n, classes]`.

    Every learner draws its weights anew, by the initialisers of the model's own layers. A function that gives a
    `models.learners.Family` has free widths.
    """
    return _registry("tf_gtn.models.learners").register(name)


def dataset(name: str) -> Callable:
    """A function of keywords -> `data.Source`, labelled images with the splits that they have: see `data.register`."""
    return importlib.import_module("tf_gtn.data.registry").register(name)


def generator(name: str) -> Callable:
    """A function `(image_shape, classes, latent, **options) -> keras.Model` of `{"noise", "label"}` -> images: see
    `models.generators`. gin knows it as `@generators.<name>`."""
    return _registry("tf_gtn.models.generators").register(name)


def treatment(name: str) -> Callable:
    """A function `(dataset, inner_steps, batch_size, seed) -> protocols.Treatment`: where the inner loop's batches come from.

    `seed` is a list of two integers. The name `gtn` is the package's own.
    """
    return _registry("tf_gtn.teaching.treatments").register(name)


def curriculum(name: str) -> Callable:
    """A function `(batches, seed) -> batches`, the order of a curriculum: a permutation of a tensor `[N, B, ...]`.

    It is called for codes and labels alike, with the same integer tensor [2] as seed, and must permute both alike.
    """
    return _registry("tf_gtn.teaching.curricula", "ORDERS").register(name)


def analysis(name: str) -> Callable:
    """A subclass of `run.teaching.analyses.Analysis`: what is done with the trained arms of an experiment."""
    return importlib.import_module("tf_gtn.experiment.analyses").register(name)


def callback(name: str) -> Callable:
    """A function or class, called without arguments for each seed, that gives a `runtime.callbacks.Callback`."""
    return _registry("tf_gtn.runtime.callbacks").register(name)


def claim_relation(name: str, *takes: str, **options: Any) -> Callable:
    """A function `(claimed) -> claim`: how two quantities can stand to one another, see `run.findings.claims.relation`."""
    return importlib.import_module("tf_gtn.reporting.claims").relation(name, *takes, **options)


def _registry(module, name="REGISTRY"):
    return getattr(importlib.import_module(module), name)
