"""An experiment of Leap on games: an encoder learned over some, from which agents learn games held out (Leap, appendix H).

Beside what every experiment leaves in a seed's folder (`experiment.experiment`), that of the outer training: those of the games
held out in `held_out/`, and

    outcome.json    {"return": {"<game>_<arm>": [returns]}, "learning": {"<game>_<arm>": n}, "environment_steps": n}, null where
                    the agent diverged
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from tf_gtn import arguments, errors
from tf_gtn.core import SGD, optimizers
from tf_gtn.experiment import experiment, runs
from tf_gtn.reporting import claims
from tf_gtn.rl import atari, figures
from tf_gtn.rl import leap as games_leap
from tf_gtn.rl.experiment import Evaluation
from tf_gtn.runtime import base_dir as base_dirs
from tf_gtn.runtime import files, loop
from tf_gtn.runtime import metrics as metrics_lib
from tf_gtn.transfer import leap as paths

_TEST, _FRESH = 2_000_003, 31
ARMS = ("leap", "no_pretraining")
_OPTIMIZER, _MANIFOLD = SGD(0.1, 0.0), paths.Manifold()


@dataclasses.dataclass(kw_only=True)
@arguments.checked("rl.Leap")
class Leap(experiment.Experiment):
    """What is learned and claimed.

    Attributes:
      outer_steps: meta-gradient steps (appendix H: 100).
      updates: of an agent on a game of pretraining (5 million steps).
      meta_batch_size: games per outer step (16).
      games: to pretrain on; `()`: all with at most `most_actions` but those held out.
      most_actions: how many actions a game of pretraining has at most (10).
      held_out: games that are learned from the encoder, and from a fresh one.
      learning: updates of an agent on those.
      optimizer: the outer one, of `optimizers`; by default SGD with 0.1.
      manifold: `@transfer.Manifold()`.
      seeds: runs, from the run's seed on.
      claims: see `findings.claims.compare`; quantities are `return/<game>_<arm>`, of tests, and `learning/<game>_<arm>`, the
        mean score while it was learned; arms are leap and no_pretraining.
    """

    outer_steps: arguments.Count
    updates: arguments.Count
    learning: arguments.Count
    meta_batch_size: arguments.Count = 16
    games: tuple[str, ...] = ()
    most_actions: arguments.Count = 10
    held_out: tuple[str, ...] = ("breakout", "space_invaders")
    optimizer: optimizers.Optimizer = _OPTIMIZER
    manifold: paths.Manifold | None = _MANIFOLD

    SYSTEM: ClassVar[str] = "transfer"
    NAME: ClassVar[str] = "rl.Leap"
    SCOPES: ClassVar[tuple[str, ...]] = ()
    UNITS: ClassVar[str] = "episodes of one run"
    EACH: ClassVar[str] = "episodes"
    TABLES: ClassVar[tuple[str, ...]] = ("return", "learning")
    NUMBERS: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for game in (*self.games, *self.held_out):
            if game not in atari.games():
                raise errors.unknown("game", game, atari.games())
        if in_both := set(self.games) & set(self.held_out):
            raise errors.UserError(f"{sorted(in_both)[0]} is in rl.Leap.games and held out: a game is one or the other")
        if not self.held_out:
            raise errors.UserError("rl.Leap.held_out names a game at least: what is learned from the encoder?")
        if self.games:
            arguments.no_effect(self.NAME, self, ("most_actions",), "where rl.Leap.games names them")

    def check_arms(self) -> None:
        if self.arms:
            raise errors.UserError(f"rl.Leap.arms has no effect: they are {' and '.join(ARMS)}")

    def given(self, settings: Evaluation, agent: Callable[..., Any]) -> "Leap":
        """How agents are tested, and `(seed, updates, game, class of agent) -> training`; returns itself."""
        arguments.no_effect("rl.Evaluation", settings, ("solved", "architectures", "steps"), "on Leap's games")
        self.settings = settings  # pyrefly: ignore[read-only]  # the class has a default of it
        self._agent = agent
        return self

    @property
    def pretraining(self) -> tuple[str, ...] | list[str]:
        """Names of the games to pretrain on."""
        return self.games or [game for game in atari.games(self.most_actions) if game not in self.held_out]

    def trainings(self, arm: str | None, seed: int) -> dict[str, Any]:
        def agent(game, updates=self.updates):
            return self._agent(seed, updates, game, functools.partial(games_leap.Agent, manifold=self.manifold))

        sizes = self.outer_steps, self.updates, self.meta_batch_size
        learned = games_leap.Leap(self.pretraining, agent, seed, *sizes, self.optimizer)
        return {"leap": learned, **{game: agent(game, self.learning) for game in self.held_out}}

    def expected(self, trainings: Mapping[str, Any]) -> dict[str, claims.Quantity]:
        sizes = {"return": self.settings.test, "learning": 0}
        names = [f"{game}_{arm}" for game in self.held_out for arm in ARMS]
        return claims.stand_ins({f"{table}/{name}": n for table, n in sizes.items() for name in names}, self.seeds)

    def train(self, run: runs.SeedRun) -> dict[str, float]:
        """Trains the encoder alone; games held out are learned from it in `measure`."""
        leap, callbacks = {"leap": run.trainings["leap"]}, self.listeners(run)
        rhythm = {"log_every": 1, "validate_every": self.outer_steps, "checkpoint_every": 1}
        return loop.train(leap, run.folder, **rhythm, callbacks=callbacks)

    def measure(self, run: runs.SeedRun) -> dict[str, Any]:
        """Learns every held-out game from the encoder and from a fresh one, one after the other."""
        learned = run.trainings["leap"]
        outcome: dict[str, Any] = {"return": {}, "learning": {}, "outer_steps": learned.outer_steps}
        outcome["environment_steps"] = int(learned.environment_steps.numpy())
        for game in self.held_out:
            played = run.trainings[game]
            for arm in ARMS:
                name, folder = f"{game}_{arm}", f"{run.folder}/held_out/{game}_{arm}"
                files.folder(folder)
                # But for the encoder both begin alike.
                played.begin(run.seed + _FRESH, learned.encoder if arm == "leap" else None)
                try:
                    loop.train({name: played}, folder, **dataclasses.asdict(run.schedule))
                except loop.Diverged as diverged:
                    print(diverged, flush=True)
                    outcome["return"][name] = outcome["learning"][name] = None
                    continue
                tested = played.returns(self.settings.test, 1, _TEST + run.seed, greedy=self.settings.greedy)[:, 0]
                outcome["return"][name] = [float(v) for v in tested]
                _, scores = figures.columns(metrics_lib.read(folder), name)
                outcome["learning"][name] = float(np.nanmean(scores)) if np.isfinite(scores).any() else None
        return outcome

    def metrics(self, quantities: Mapping[str, claims.Quantity], outcomes: Sequence[Mapping]) -> dict[str, Any]:
        return super().metrics(quantities, outcomes) | {k: outcomes[0][k] for k in ("outer_steps", "environment_steps")}

    def draw(self, base_dir: str, outcomes: Sequence[Mapping], metrics: Mapping[str, Any]) -> None:
        folders = [base_dirs.repeat(base_dir, k) for k in range(len(outcomes))]
        for game in self.held_out:
            arms = [f"{game}_{arm}" for arm in ARMS]
            rows = [{name: metrics_lib.read(f"{folder}/held_out/{name}") for name in arms} for folder in folders]
            figures.learning(base_dir, game, arms, rows)
