"""An experiment of Leap on games: an encoder learned over some, from which agents learn games held out (Leap, appendix H).

Each seed's folder (`repeats`) has checkpoints and metrics.jsonl of the outer training, those of the games held out in
`held_out/`, and

    outcome.json    {"return": {"<game>_<arm>": [returns]}, "learning": {"<game>_<arm>": n}, "outer_steps": n,
                     "environment_steps": n}, null where the agent diverged
"""

import dataclasses
import functools

import gin
import numpy as np

from tf_gtn import errors
from tf_gtn.config import registrations
from tf_gtn.core import SGD
from tf_gtn.reporting import claims, report, statistics
from tf_gtn.rl import atari, figures
from tf_gtn.rl import gin_names as build
from tf_gtn.rl import leap as games_leap
from tf_gtn.runtime import base_dir as base_dirs
from tf_gtn.runtime import files, loop, repeats
from tf_gtn.runtime import metrics as metrics_lib
from tf_gtn.transfer import leap as paths

_TEST, _FRESH = 2_000_003, 31
ARMS = ("leap", "no_pretraining")
_OUTCOME = ("return", "learning", "outer_steps", "environment_steps")


@gin.configurable(module="rl")
@dataclasses.dataclass(frozen=True)
class Leap:
    """What is learned and claimed.

    Attributes:
      outer_steps: meta-gradient steps (appendix H: 100).
      updates: of an agent on a game of pretraining (5 million steps).
      batch: games an outer step (16).
      games: to pretrain on; none: all with at most `most_actions` but those held out.
      most_actions: 10.
      held_out: games that are learned from the encoder, and from a fresh one.
      learning: updates of an agent on those.
      optimizer: the outer one, of `optimizers`.
      manifold: `@transfer.Manifold()`.
      seeds: runs, from the run's seed on.
      claims: see `findings.claims.compare`; quantities are `return/<game>_<arm>`, of tests, and `learning/<game>_<arm>`, the
        mean score while it was learned; arms are leap and no_pretraining.
    """

    outer_steps: int
    updates: int
    learning: int
    batch: int = 16
    games: tuple[str, ...] = ()
    most_actions: int = 10
    held_out: tuple[str, ...] = ("breakout", "space_invaders")
    optimizer: object = SGD(0.1, 0.0)
    manifold: object = paths.Manifold()
    seeds: int = 1
    claims: tuple = ()

    def __post_init__(self):
        registrations.at_least(1, "rl.Leap", self)
        for game in (*self.games, *self.held_out):
            if game not in atari.games():
                raise errors.unknown("game", game, atari.games())
        if both := set(self.games) & set(self.held_out):
            raise errors.UserError(f"{sorted(both)[0]} is in rl.Leap.games and held out: a game is one or the other")
        if not self.held_out:
            raise errors.UserError("rl.Leap.held_out names a game at least: what is learned from the encoder?")
        if self.games:
            registrations.check_effect("rl.Leap", self, ("most_actions",), "where rl.Leap.games names them")
        claims.check("rl.Leap.claims", self.claims)

    @property
    def pretraining(self):
        """Names of the games to pretrain on."""
        return self.games or [game for game in atari.games(self.most_actions) if game not in self.held_out]


@gin.configurable(module="rl")
def leap_games(run, program):
    """Everything from building to report.html; for `transfer.program.experiment`. Returns the metrics, or None in a dry run."""
    settings, schedule, evaluation = Leap(), registrations.Schedule(), build.Evaluation()
    unused = ("solved", "architectures", "steps")
    registrations.check_effect("rl.Evaluation", evaluation, unused, "on Leap's games")
    sizes = {"return": evaluation.test, "learning": 0}
    sizes = {f"{table}/{game}_{arm}": n for table, n in sizes.items() for game in settings.held_out for arm in ARMS}
    claims.rehearse(settings.claims, claims.stand_ins(sizes, settings.seeds))

    def make(seed):
        def agent(game, updates=settings.updates):
            made = functools.partial(games_leap.Agent, manifold=settings.manifold)
            environment = functools.partial(build.task(), game=game)
            return build.make_a2c(seed, updates, make_environment=environment, agent=made)

        learned = games_leap.Leap(
            settings.pretraining, agent, seed, settings.outer_steps, settings.updates, settings.batch, settings.optimizer
        )
        return {"leap": learned, **{game: agent(game, settings.learning) for game in settings.held_out}}

    made = make(run.seed)
    if not run.ready(allowed=("rl.Leap.claims", "rl.Leap.seeds")):
        return None

    def one(folder, seed, made):
        files.folder(folder)
        return _outcome(folder, seed, made, settings, schedule, evaluation)

    outcomes = repeats.outcomes(run, settings.seeds, made, make, one, _OUTCOME)
    return _conclude(run, program, settings, outcomes)


def _outcome(folder, seed, made, settings, schedule, evaluation):
    """Learns the encoder, then every held-out game from it and from a fresh one, one after the other."""
    learned = made["leap"]
    loop.train({"leap": learned}, folder, log_every=1, validate_every=settings.outer_steps, checkpoint_every=1)
    outcome = {"return": {}, "learning": {}, "outer_steps": learned.outer_steps}
    outcome["environment_steps"] = int(learned.environment_steps.numpy())
    for game in settings.held_out:
        run = made[game]
        for arm in ARMS:
            name, own = f"{game}_{arm}", f"{folder}/held_out/{game}_{arm}"
            files.folder(own)
            run.begin(seed + _FRESH, learned.encoder if arm == "leap" else None)  # but for the encoder both begin alike
            try:
                loop.train({name: run}, own, **dataclasses.asdict(schedule))
            except loop.Diverged as diverged:
                print(diverged, flush=True)
                outcome["return"][name] = outcome["learning"][name] = None
                continue
            tested = run.returns(evaluation.test, 1, _TEST + seed, greedy=evaluation.greedy)[:, 0]
            outcome["return"][name] = [float(v) for v in tested]
            _, scores = figures.columns(metrics_lib.read(own), name)
            outcome["learning"][name] = float(np.nanmean(scores)) if np.isfinite(scores).any() else None
    return outcome


def _conclude(run, program, settings, outcomes):
    quantities = {f"return/{name}": [o["return"][name] for o in outcomes] for name in outcomes[0]["return"]}
    quantities |= {f"learning/{name}": [o["learning"][name] for o in outcomes] for name in outcomes[0]["learning"]}
    metrics = {name: statistics.summary(values, each="episodes") for name, values in quantities.items()}
    metrics |= {key: outcomes[0][key] for key in ("outer_steps", "environment_steps")}
    measured = {name: claims.Quantity(values) for name, values in quantities.items()}
    made = claims.compare(settings.claims, measured, "episodes of one run")
    folders = [base_dirs.repeat(run.base_dir, k) for k in range(len(outcomes))]
    for game in settings.held_out:
        arms = [f"{game}_{arm}" for arm in ARMS]
        rows = [{name: metrics_lib.read(f"{folder}/held_out/{name}") for name in arms} for folder in folders]
        figures.learning(run.base_dir, game, arms, rows)
    report.conclude(run, "transfer", program, metrics, made)
    return metrics
