"""The tiniest complete run of each program, for both harnesses: a few steps, one seed or two, every kind of file."""

import dataclasses
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]

_DIGITS = """
import tf_gtn.teaching.experiment
import tf_gtn.teaching.tuning
include 'gin/teaching/parts/small.gin'
OUTER_STEPS = 3
INNER_STEPS = 2
INNER_BATCH = 10
OUTER_BATCH = 8
CHECKPOINT_EVERY = 1
run.Schedule.log_every = 1
run.Schedule.validate_every = 2
models.Population.families = {'mlp': {'units': ((4, 8), (4, 8))}}
generators.conditional.units = 8
generators.conditional.channels = 4
generators.conditional.filters = 4
teaching.gtn.latent = 4
teaching.Evaluation.validation_learners = 2
teaching.Evaluation.test_learners = 2
teaching.Evaluation.held_out = ['mlp_plain']
teaching.Evaluation.curve_images = 20
"""
_CARTPOLE = """
CHECKPOINT_EVERY = 1
run.Schedule.log_every = 1
run.Schedule.validate_every = 2
rl.make_a2c.updates = 3
rl.make_a2c.restart_every = 2
rl.Evaluation.test = 2
rl.Evaluation.validation = 1
rl.Experiment.seeds = 1
"""
_GIN = {
    "train_gtn": _DIGITS,
    "evaluate_gtn": _DIGITS,
    "compare_treatments": _DIGITS
    + """
OUTER_STEPS = 2
teaching.Comparison.seeds = 2
teaching.Comparison.arms = ('gtn', 'k_means')
k_means/teaching.treatment.name = 'k_means'
teaching.Comparison.analyses = ('ensembles',)
teaching.Comparison.claims = (('gtn', 'above', 'k_means'),)
""",
    "tune_gtn": _DIGITS
    + """
OUTER_STEPS = 2
teaching.treatment.name = 'distilled'
plain/models.Population.weight_norm = False
teaching.Tuning.arms = ('weight_norm', 'plain')
teaching.Tuning.trials = 2
teaching.Tuning.sampler = 'random'
teaching.Tuning.claims = (('weight_norm', 'below', 'plain', 'figure 1b'),)
teaching.Tuning.space = {'teaching.Training.learning_rate': (0.001, 0.3, 'log'), 'optimizers.SGD.momentum': (0.0, 0.9)}
""",
    "search_architectures": """
data.load.name = 'digits'
nas.Search.space = @nas.Plain()
nas.Search.proposer = @nas.Evolution()
nas.Search.architectures = 3
nas.Search.evaluations = (@nas.GTN(), @nas.Real())
nas.GTN.steps = 1
nas.GTN.learning_rate_limit = 1.0
nas.Real.epochs = (0.1, 0.2)
nas.Search.reference = 'real_0.2'
nas.Search.compared = ('gtn', 'real_0.1')
nas.Search.final = @final/nas.Real()
final/nas.Real.name = 'final'
final/nas.Real.epochs = (0.1,)
nas.Search.final_seeds = 1
""",
    "train_unrolled_gan": """
include 'gin/gan/ring.gin'
OUTER_STEPS = 2
CHECKPOINT_EVERY = 1
run.Schedule.log_every = 1
run.Schedule.validate_every = 1
gan.UnrolledGAN.iterations = 1
gan.UnrolledGAN.parallel_seeds = 2
gan.UnrolledGAN.batch_size = 8
gans.ring_generator.noise = 4
gans.ring_generator.units = (4,)
k10/gan.Unrolled.steps = 1
gan.Experiment.samples = 50
gan.Experiment.settled = 1
""",
    "train_cartpole_gtn": "include 'gin/rl/cartpole_gtn.gin'"
    + _CARTPOLE
    + """
OUTER_STEPS = 2
INNER_BATCH = 8
rl.PolicyGTN.policies = 2
rl.Evaluation.steps = (1, 2)
rl.Evaluation.architectures = {'8 relu': {'units': (8,), 'activation': 'relu'}}
""",
    "train_a2c": "include 'gin/rl/cartpole_a2c.gin'"
    + _CARTPOLE
    + """
rl.Experiment.arms = ('a2c',)
rl.Experiment.claims = (('a2c', 'at_least', 195),)
""",
    "run_dynamics": """
import tf_gtn.dynamics.experiment
dynamics.Experiment.parts = {
    'learner': @dynamics.Learner(),
    'meta_learner': @dynamics.MetaLearner(),
    'bayes': @dynamics.Bayes(),
}
dynamics.Experiment.claims = (('bayes/ratio', 'at_most', 1.4, 'figure 6'),)
dynamics.Linear.spectrum = (2.5, 0.05)
dynamics.Learner.problem = @dynamics.Linear()
dynamics.Learner.network = @dynamics.perceptron
dynamics.Learner.optimizer = @optimizers.SGD()
optimizers.SGD.learning_rate = 0.001
optimizers.SGD.momentum = 0.0
dynamics.perceptron.units = (4,)
dynamics.perceptron.deviation = 0.1
dynamics.Learner.runs = 2
dynamics.Learner.steps = 8
dynamics.Learner.checks = 2
dynamics.MetaLearner.problem = @dynamics.Linear()
dynamics.MetaLearner.optimizer = @optimizers.Adam()
dynamics.MetaLearner.network = @dynamics.LSTM
dynamics.LSTM.units = 4
dynamics.MetaLearner.updates = 4
dynamics.MetaLearner.instances = 1
dynamics.MetaLearner.batch_size = 6
dynamics.MetaLearner.length = 3
dynamics.MetaLearner.stages = 2
dynamics.MetaLearner.episodes = 8
dynamics.Bayes.problem = @dynamics.Linear()
dynamics.Bayes.episodes = 4
""",
    "train_leap": """
include 'gin/leap/multi_cv_small.gin'
OUTER_STEPS = 2
INNER_STEPS = 1
INNER_BATCH = 4
CHECKPOINT_EVERY = 1
run.Schedule.log_every = 1
transfer.arm.meta_batch_size = 1
transfer.data_sets.sources = {'digits': ('digits', 'plain'), 'turned': ('digits', 'turned')}
transfer.data_sets.image_size = (16, 16)
transfer.Experiment.seeds = 1
transfer.Experiment.arms = ('leap', 'finetuning')
transfer.Experiment.in_turn = ('digits',)
transfer.Experiment.claims = (('error/finetuning_digits', 'above', 'error/leap_digits'),)
new/transfer.Inner.steps = 1
convolutional.four_modules.filters = 2
""",
}
PROGRAMS = (*_GIN, "train_learner", "make_report")
"""All programs that write a folder."""


@dataclasses.dataclass(frozen=True)
class Given:
    """What the programs need that read what another run made."""

    folder: pathlib.Path

    @property
    def run(self):
        """A finished run of train_gtn."""
        return self.folder / "given"

    @property
    def export(self):
        return self.run / "export"


def arguments(program, given, base_dir):
    """A program's arguments for a run in `base_dir`; its gin file is written beside the given run."""
    made = [f"--base_dir={base_dir}", "--threads_per_operation=1"]
    if program in _GIN:
        file = given.folder / f"{program}.gin"
        file.write_text(_GIN[program], encoding="utf-8")
        made.append(f"--gin_file={file}")
    if program in ("evaluate_gtn", "train_learner"):
        made.append(f"--export_dir={given.export}")
    if program == "train_learner":
        made.append("--model=mlp")
    if program == "make_report":
        made.append(f"--run={given.run}")
    if program == "search_architectures":
        made.append("--workers=1")
    return made
