"""Tests an exported GTN with many fresh learners, of the distribution it was trained for and of architectures it never saw.

python -m binaries.evaluate_gtn --base_dir=runs/evaluation --export_dir=runs/digits/export --gin_file=gin/teaching/digits.gin

Each learner that was tested stays so (finished.jsonl): the same command again resumes.
"""

from absl import flags

from tf_gtn.experiment import command_line, program
from tf_gtn.reporting import report, results, statistics
from tf_gtn.teaching import analyses, evaluation, experiment, figures, gin_names, loading, memory, saved_models


def add_flags() -> None:
    flags.DEFINE_string("export_dir", None, "An exported GTN: .../export or .../export/<version>.")


def main(run: program.Run) -> None:
    gtn = loading.load(command_line.required(run.flags, "export_dir"))
    dataset, settings = gin_names.dataset(run), gin_names.Evaluation()
    evaluator = gin_names.export_evaluator(gtn, dataset, settings.held_out)
    if not run.ready():
        return
    recall = memory.Memory(run.base_dir, of=saved_models.digest(gtn.path))
    print(f"testing {settings.test_learners} fresh learners", flush=True)
    curve = evaluator.accuracies(dataset.test, settings.test_learners, evaluation.TEST_SEED, evaluator.every_step, recall)
    print(f"testing architectures that it never saw: {', '.join(settings.held_out)}", flush=True)
    unseen = analyses.REGISTRY["held_out"]
    how = {"dataset": dataset, "settings": settings, "recall": recall, "seed": run.seed, "folder": run.base_dir}
    context = experiment.Context(trainings={}, evaluators={}, exports={"gtn": gtn.path}, **how)
    table = {quantity: [values] for quantity, values in unseen.measure(context).items()}
    figures.draw_inner_steps(run.base_dir, {"gtn": [curve]})
    unseen.draw(run.base_dir, table)
    summary = statistics.summary([curve[:, -1]], statistics.SHARE)
    metrics = {
        "gtn": {"test_accuracy": summary.pop("mean"), **summary},
        "held_out": {quantity: statistics.summary(values, unseen.bounds(quantity)) for quantity, values in table.items()},
    }
    results.write(run.base_dir, "teaching", "evaluate_gtn", run.seed, metrics, unseen.claims(table), run.seconds())
    print(f"few-step test accuracy of {len(curve)} fresh learners: {metrics['gtn']['test_accuracy']:.4f}")
    print(report.summary(results.read(run.base_dir)))


def run() -> None:
    program.run(main, add_flags)


if __name__ == "__main__":
    run()
