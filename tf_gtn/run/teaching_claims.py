"""What the teaching programs claim, computed from their metrics."""

from tf_gtn.run import results


def compare(metrics):
    """Claims of `compare_treatments` (seed 001, section 3.3 and figure 2), and of the architectures never seen."""
    gtn, distilled, real = (metrics[name] for name in ("gtn", "distilled", "real"))
    return [
        results.claim(
            "gtn_above_real",
            "After the same number of SGD steps on batches of the same size, fresh learners taught by "
            "the GTN are better than those taught by real data, both with learned learning rate and momentum",
            "p < 0.01 (MNIST, figure 2)",
            gtn["test_accuracy"],
            gtn["ci95"],
            "ci95[0] > real_ci95[1]",
            real=real["test_accuracy"],
            real_ci95=real["ci95"],
        ),
        results.claim(
            "gtn_above_distilled",
            "The GTN teaches better than distilled pixels",
            "p < 0.01 (MNIST, figure 2)",
            gtn["test_accuracy"],
            gtn["ci95"],
            "ci95[0] > distilled_ci95[1]",
            distilled=distilled["test_accuracy"],
            distilled_ci95=distilled["ci95"],
        ),
        results.claim(
            "gtn_accuracy",
            "Few-step test accuracy of fresh learners of the trained distribution is at least 0.93",
            None,
            gtn["test_accuracy"],
            gtn["ci95"],
            "measured >= 0.93",
        ),
        *held_out(metrics),
    ]


def held_out(metrics):
    """One claim for each architecture that the GTN was not trained for ("also agnostic", seed 001, section 1)."""
    return [
        results.claim(
            f"held_out_{name}",
            f"The GTN teaches {name}, which it never saw, better than real data with the best of 8 "
            "settings chosen on validation data, in the same steps",
            None,
            found["gtn"]["test_accuracy"],
            found["gtn"]["ci95"],
            "ci95[0] > real_ci95[1]",
            real=found["real"]["test_accuracy"],
            real_ci95=found["real"]["ci95"],
        )
        for name, found in metrics.get("held_out", {}).items()
    ]
