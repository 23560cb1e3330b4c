"""Ensembles of learners of one teacher, and how far they are from being the same function (GTN paper, appendix G).

`probabilities` is `[learners, N, classes]` everywhere, `labels` integer `[N]`.
"""

import itertools

import numpy as np


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Share of N that the learners' mean probabilities classify right."""
    return float((np.mean(probabilities, 0).argmax(-1) == labels).mean())


def individual_accuracies(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Accuracy of each learner by itself: `[learners]`."""
    return (np.argmax(probabilities, -1) == labels).mean(1)


def disagreement(probabilities: np.ndarray) -> float:
    """Share of N on which two learners differ, a mean over all pairs; 0 for a single learner."""
    predicted = np.argmax(probabilities, -1)
    pairs = [(a != b).mean() for a, b in itertools.combinations(predicted, 2)]
    return float(np.mean(pairs)) if pairs else 0.0


def sizes(learners: int) -> list[int]:
    """1, 2, 4, ... and all of them."""
    return sorted({2**k for k in range(learners.bit_length()) if 2**k < learners} | {learners})


def accuracy_by_size(probabilities: np.ndarray, labels: np.ndarray, subsets: int = 20, seed: int = 0) -> np.ndarray:
    """Mean accuracy of random ensembles of each of the `sizes`: `[sizes]`.

    Args:
      probabilities, labels: see above.
      subsets: random choices of a size, each without replacement; for size 1 it is the mean over all learners.
      seed: integer.
    """
    rng, count, accuracies = np.random.default_rng(seed), len(probabilities), []
    for size in sizes(count):
        if size == 1:
            accuracies.append(individual_accuracies(probabilities, labels).mean())
        elif size == count:
            accuracies.append(accuracy(probabilities, labels))
        else:
            chosen = [rng.choice(count, size, replace=False) for _ in range(subsets)]
            accuracies.append(np.mean([accuracy(probabilities[index], labels) for index in chosen]))
    return np.array(accuracies)
