"""Tests an exported GTN with many fresh learners, of the distribution it was trained for and of architectures it never saw.

python -m binaries.evaluate_gtn --base_dir=runs/evaluation --export_dir=runs/digits/export --gin_file=gin/teaching/digits.gin
"""

from absl import flags

from tf_gtn.run import app
from tf_gtn.run.findings import report, results
from tf_gtn.run.teaching import build as teaching
from tf_gtn.run.teaching import claims as teaching_claims
from tf_gtn.run.teaching import figures as figures
from tf_gtn.teaching import held_out, loading


def add_flags():
    flags.DEFINE_string("export_dir", None, "An exported GTN: .../export or .../export/<version>.")


def main(run):
    gtn = loading.load(app.required(run.flags, "export_dir"))
    dataset = teaching.dataset(run)
    settings = teaching.Evaluation()
    evaluator = teaching.export_evaluator(gtn, dataset, settings.held_out)
    if not run.ready():
        return
    count = settings.test_learners
    curves = {"gtn": evaluator.accuracies(dataset.test, count, teaching.TEST_SEED, curve=True)}
    unseen = {name: held_out.compare(gtn, dataset, name, count, run.seed) for name in settings.held_out}
    figures.draw_evaluation(run.base_dir, curves, unseen)
    metrics = teaching.metrics(curves, unseen)
    claims = teaching_claims.held_out(metrics)
    results.write(run.base_dir, "teaching", "evaluate_gtn", run.seed, metrics, claims, run.seconds())
    found = metrics["gtn"]
    print(f"few-step test accuracy of {found['learners']} fresh learners: {found['test_accuracy']:.4f}")
    print(report.summary(results.read(run.base_dir)))


def run():
    app.run(main, add_flags)


if __name__ == "__main__":
    run()
