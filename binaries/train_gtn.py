"""Trains a GTN, tests it with fresh learners, and exports it.

    python -m binaries.train_gtn --base_dir=runs/gtn --gin_file=gin/teaching/digits.gin
    python -m binaries.train_gtn --base_dir=runs/short --gin_file=gin/teaching/digits.gin --gin_bindings='OUTER_STEPS = 20'

The same command again resumes.
"""

from tf_gtn.run import app
from tf_gtn.run.config import registrations
from tf_gtn.run.findings import results
from tf_gtn.run.teaching import build as teaching
from tf_gtn.run.teaching import figures as figures
from tf_gtn.teaching import export


def main(run):
    dataset = teaching.dataset(run)
    trainings = teaching.make(["gtn"], dataset, run.seed)
    schedule, settings = registrations.Schedule(), teaching.Evaluation()
    if not run.ready():
        return
    evaluator = teaching.train(trainings, run.base_dir, schedule, settings)["gtn"]
    curves = {"gtn": evaluator.accuracies(dataset.test, settings.test_learners, teaching.TEST_SEED, curve=True)}
    path = "nowhere: only a schedule of SGD can be"
    if export.exportable(trainings["gtn"]):
        path = teaching.export_gtn(trainings["gtn"], run.base_dir, curves["gtn"][:, -1])
    figures.draw(run.base_dir, trainings, curves)
    metrics = teaching.metrics(curves)
    results.write(run.base_dir, "teaching", "train_gtn", run.seed, metrics, [], run.seconds())
    found = metrics["gtn"]
    print(f"few-step test accuracy of {found['learners']} fresh learners: {found['test_accuracy']:.4f}, exported to {path}")


def run():
    app.run(main)


if __name__ == "__main__":
    run()
