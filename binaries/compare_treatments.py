"""Compares three sources of training data at the same budget: GTN, distilled pixels, real data.

    python -m binaries.compare_treatments --base_dir=runs/digits --gin_file=gin/teaching/digits.gin

Trains the three side by side, tests each with fresh learners, lets the GTN teach architectures that it never saw, exports it,
and writes results.json and report.html. The same command again resumes.
"""

from tf_gtn.run import app
from tf_gtn.run.config import registrations
from tf_gtn.run.findings import report, results
from tf_gtn.run.teaching import build as teaching
from tf_gtn.run.teaching import claims as teaching_claims
from tf_gtn.run.teaching import figures as figures
from tf_gtn.teaching import export, held_out, loading


def main(run):
    dataset = teaching.dataset(run)
    schedule, settings = registrations.Schedule(), teaching.Evaluation()
    trainings = teaching.make(teaching.TREATMENTS, dataset, run.seed, settings.held_out)
    export.check_exportable(trainings["gtn"])
    if not run.ready():
        return
    evaluators = teaching.train(trainings, run.base_dir, schedule, settings)
    count = settings.test_learners
    curves = {name: e.accuracies(dataset.test, count, teaching.TEST_SEED, curve=True) for name, e in evaluators.items()}
    path = teaching.export_gtn(trainings["gtn"], run.base_dir, curves["gtn"][:, -1])
    gtn = loading.load(path)
    unseen = {name: held_out.compare(gtn, dataset, name, count, run.seed) for name in settings.held_out}
    figures.draw(run.base_dir, trainings, curves, unseen)
    metrics = teaching.metrics(curves, unseen)
    claims = teaching_claims.compare(metrics, settings.claimed_accuracy)
    results.write(run.base_dir, "teaching", "compare_treatments", run.seed, metrics, claims, run.seconds())
    report.write(f"{run.base_dir}/report.html", [run.base_dir])
    print(report.summary(results.read(run.base_dir)))
    print(f"report: {run.base_dir}/report.html   export: {path}")


def run():
    app.run(main)


if __name__ == "__main__":
    run()
