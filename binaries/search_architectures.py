"""Searches architectures, evaluating them with a GTN or on real data, on Ray.

    python -m binaries.search_architectures --base_dir=runs/nas --gin_file=gin/nas/small.gin
    python -m binaries.search_architectures --base_dir=runs/nas --gin_file=gin/nas/small.gin --ray_address=10.0.0.1:6379

Ranks evaluations against one another, tries the best again, saves the networks of a Pareto front. The same command resumes.
"""

from absl import flags

from tf_gtn.experiment import experiment, program
from tf_gtn.nas import gin_names


def add_flags() -> None:
    flags.DEFINE_string("ray_address", None, "A Ray cluster to join; by default one starts on this machine.")
    flags.DEFINE_integer("workers", None, "Evaluations at a time; by default one a core.", lower_bound=1)


def main(run: program.Run) -> None:
    metrics = experiment.run(run, "search_architectures", gin_names.search_of(run))
    if metrics is None:
        return
    print(f"{metrics['evaluated']} of {metrics['architectures']} architectures were evaluated to the end")
    for row in metrics.get("front", ()):
        print(f"{row['accuracy']:.4f} with {row['parameters']} parameters: {run.base_dir}/{row['file']}")
    print(f"report: {run.base_dir}/report.html")


def run() -> None:
    program.run(main, add_flags, where=("ray_address", "workers"), experiments=("nas.Search",))


if __name__ == "__main__":
    run()
