"""Teaches a fresh Keras model with an exported GTN, tests it on real data and saves it.

    python -m binaries.train_learner --base_dir=runs/learner --export_dir=runs/digits/export --model=depthwise
    python -m binaries.train_learner --base_dir=runs/mine --export_dir=runs/digits/export --model=my_model.keras

`--model` is a saved .keras file or a name of `tf_gtn.models.learners`. If the file holds layers of the user's own,
`--custom_objects=my_module` imports the module, from the current folder too, that registers them with
`keras.saving.register_keras_serializable`. The taught model lands in `<base_dir>/learner.keras`.
"""

from absl import flags

from tf_gtn import data
from tf_gtn.experiment import command_line, program
from tf_gtn.reporting import results
from tf_gtn.runtime import files
from tf_gtn.teaching import compatibility, loading


def add_flags() -> None:
    flags.DEFINE_string("export_dir", None, "An exported GTN: .../export or .../export/<version>.")
    flags.DEFINE_string("model", "conv2", "A saved .keras file, or the name of an architecture.")
    flags.DEFINE_list("custom_objects", [], "Modules that register what the .keras file holds beside Keras' own layers.")
    flags.DEFINE_bool("from_logits", None, "Whether the model gives logits, or probabilities; by default what comes out tells.")
    flags.DEFINE_integer("steps", None, "SGD steps; by default as many as the GTN was trained with.", lower_bound=1)
    flags.DEFINE_bool("test", True, "Whether to test on the data set's test split.")


def main(run: program.Run) -> None:
    gtn = loading.load(command_line.required(run.flags, "export_dir"))
    model = compatibility.load_model(run.flags.model, gtn, run.flags.custom_objects)
    dataset = None
    if run.flags.test:
        size = tuple(gtn.metadata["image_shape"][:2])
        dataset = data.load(gtn.metadata["dataset"], tfds_data_dir=run.tfds_data_dir, image_size=size)
        run.uses(dataset.name, dataset.fingerprint)
        compatibility.check_fits(gtn, dataset)
    if not run.ready():
        return
    print(f"teaching {run.flags.model}", flush=True)
    history = gtn.train(model, run.flags.steps, from_logits=run.flags.from_logits)
    metrics = {
        "synthetic_loss": history["loss"][-1],
        "learning_rate_scale": history["learning_rate_scale"],
        "steps": len(history["loss"]),
        **{name: history[name] for name in ("synthetic_accuracy",) if name in history},
    }
    if dataset is not None:
        metrics["test_accuracy"] = gtn.evaluate(model, dataset.test)
    with files.writing(f"{run.base_dir}/learner.keras"):
        model.save(f"{run.base_dir}/learner.keras")
    results.write(run.base_dir, "teaching", "train_learner", run.seed, metrics, [], run.seconds())
    tested = f", test accuracy {metrics['test_accuracy']:.4f}" if dataset is not None else ""
    print(f"taught {run.flags.model} in {metrics['steps']} steps{tested}; saved to {run.base_dir}/learner.keras")


def run() -> None:
    program.run(main, add_flags, needs_gin=False)


if __name__ == "__main__":
    run()
