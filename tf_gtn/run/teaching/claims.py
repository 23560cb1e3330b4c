"""What the teaching programs claim, computed from their metrics."""

from tf_gtn.run.findings import results


def compare(metrics, claimed_accuracy=None):
    """Claims of `compare_treatments` (GTN paper, section 3.3 and figure 2), and of the architectures never seen.

    Intervals are over fresh learners, of one outer run a treatment.
    """
    gtn = metrics["gtn"]
    claims = []
    for name, what in (("real", "real data"), ("distilled", "distilled pixels")):
        other = metrics[name]
        claims.append(
            results.claim(
                f"gtn_above_{name}",
                f"Fresh learners taught by this GTN are better than those taught by {what}, after as many SGD steps on batches "
                "of the same size, with learning rate and momentum learned for both (one outer run each)",
                "p < 0.01 (MNIST, figure 2, 5 runs)",
                gtn["test_accuracy"],
                gtn["ci95"],
                "ci95[0] > other_ci95[1]",
                other=other["test_accuracy"],
                other_ci95=other["ci95"],
            )
        )
    if claimed_accuracy is not None:
        claims.append(
            results.claim(
                "gtn_accuracy",
                f"Few-step test accuracy of fresh learners of the trained distribution is at least {claimed_accuracy}",
                None,
                gtn["test_accuracy"],
                gtn["ci95"],
                "measured >= claimed",
                claimed=claimed_accuracy,
            )
        )
    return claims + held_out(metrics)


def held_out(metrics):
    """One claim for each architecture that the GTN was not trained for ("agnostic", GTN paper, section 1)."""
    return [
        results.claim(
            f"held_out_{name}",
            f"The GTN teaches {name}, which it never saw, better than real data in the same steps, with the best of 36 "
            "settings of plain SGD by validation accuracy",
            None,
            found["gtn"]["test_accuracy"],
            found["gtn"]["ci95"],
            "ci95[0] > real_ci95[1]",
            real=found["real"]["test_accuracy"],
            real_ci95=found["real"]["ci95"],
        )
        for name, found in metrics.get("held_out", {}).items()
    ]
