"""Optuna studies in a run's folder: a fixed number of trials each, which several processes share and a kill gives back.

    <base_dir>/tuning.db      SQLite, one study per name; for Optuna's own tools too
    <base_dir>/.claims        locked by whoever claims a trial
    <base_dir>/.workers/<id>  locked by a process for as long as it lives

A study has slots 0, 1, ..., in the end with one finished trial each. A process claims a slot, under a lock, so that there is
never a trial too many. A trial whose process is gone is marked as failed, and its slot is free again: the next trial there has
the same seeds and, if the other trials are the same, the same parameters. So one process ends with the same trials however
often it was killed.
"""

import contextlib
import fcntl
import importlib.util
import json
import math
import os
import socket
import sqlite3
import uuid
import warnings
import zlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NamedTuple

import numpy as np

from tf_gtn import arguments, errors
from tf_gtn.runtime import files, holding

SAMPLERS = ("gp", "tpe", "random")
Sampler = Annotated[str, arguments.OneOf(SAMPLERS, "sampler")]
_CHECKSUM, _REMEDY = "crc32", "put it back, or remove it to make its trials again"
_EXTRA = "pip install 'tf_gtn[tune]'"


class Claim(NamedTuple):
    """A trial to be made: of which study, in which slot, with which parameters; `trial` is Optuna's."""

    name: str
    slot: int
    parameters: dict
    trial: Any


def check_sampler(name: str) -> None:
    """Raises `UserError` unless what one of the `SAMPLERS` needs is installed."""
    if importlib.util.find_spec("optuna") is None:
        raise errors.UserError(f"tuning needs Optuna, which is not installed: {_EXTRA}")
    if name == "gp" and importlib.util.find_spec("torch") is None:
        raise errors.UserError(
            "Optuna's Gaussian-process sampler needs PyTorch, which is not installed: pip install torch, "
            "or choose teaching.Tuning.sampler = 'tpe' or 'random'"
        )


def check_range(name: str, entry: Any) -> None:
    """Raises `UserError` unless an entry of a search space is (low, high) or (low, high, 'log')."""
    message = f"the range of {name} is (low, high) or (low, high, 'log'); got {entry!r}"
    if not isinstance(entry, list | tuple) or len(entry) not in (2, 3):
        raise errors.UserError(message)
    low, high, *scale = entry
    if any(isinstance(end, bool) or not isinstance(end, int | float) or not math.isfinite(end) for end in (low, high)):
        raise errors.UserError(message)
    if scale not in ([], ["log"]):
        raise errors.UserError(message)
    if not low < high:
        raise errors.UserError(f"the range of {name} is empty: {low} to {high}")
    if scale and not low > 0:
        raise errors.UserError(f"the range of {name} starts at {low}: a logarithmic one starts above 0")


class Studies:
    """The studies of one run, as one process sees them; a context manager, which is this process' sign of life."""

    @arguments.checked("teaching.Tuning")
    def __init__(
        self,
        base_dir: str,
        names: Iterable[str],
        trials: arguments.Count,
        space: Mapping[str, tuple],
        sampler: Sampler = "gp",
        seed: int = 0,
    ) -> None:
        """Opens the storage and makes what is missing.

        Args:
          base_dir: the run's folder.
          names: of the studies.
          trials: slots of each.
          space: `{parameter: (low, high) or (low, high, 'log')}`; integers where both ends are.
          sampler: of `SAMPLERS`.
          seed: of what the sampler draws, together with the study's name and the slot.

        Raises:
          UserError: the folder is on a remote file system, or the storage can't be read.
        """
        if files.is_remote(base_dir):
            raise errors.UserError(f"base_dir {base_dir} is remote: the trials' SQLite storage needs a local folder")
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._samplers, self._states = optuna.samplers, optuna.trial.TrialState
        self._sampler, self._seed, self._trials = sampler, seed, trials
        self._space = {name: _distribution(optuna, *entry) for name, entry in space.items()}
        self._folder = base_dir
        self._worker = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._life: Any = None  # the descriptor of this process' locked file in .workers
        self._path = path = os.path.join(os.path.abspath(base_dir), "tuning.db")
        begun = os.path.exists(os.path.join(base_dir, ".claims"))
        with self._claiming_alone(), self._storage():
            if begun and not (os.path.exists(path) and os.path.getsize(path)):
                print(f"{path} holds no trials: they are made again", flush=True)
            elif begun:
                with contextlib.closing(sqlite3.connect(path, timeout=100)) as connection:
                    connection.execute("PRAGMA integrity_check").fetchall()
            storage = optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 100}})
            options = {"storage": storage, "direction": "minimize", "load_if_exists": True}
            self._studies = {name: optuna.create_study(study_name=name, **options) for name in names}

    def __enter__(self) -> "Studies":
        files.folder(os.path.join(self._folder, ".workers"))
        self._life = _lock(self._life_path(self._worker))
        holding.keep(self._life, self._life_path(self._worker), self._folder)
        return self

    def __exit__(self, *_: Any) -> None:
        with contextlib.suppress(OSError):
            os.remove(self._life_path(self._worker))
        holding.release(self._life)

    def claim(self) -> Claim | None:
        """A `Claim` on the first open slot, the studies in turn; None if every slot is finished or in work."""
        holding.check()
        with self._claiming_alone(), self._storage():
            open_slots = []
            for place, (name, study) in enumerate(self._studies.items()):
                taken = set()
                for trial in study.get_trials(deepcopy=False):
                    if trial.state.is_finished():
                        taken |= {trial.user_attrs["slot"]} if self._counts(trial) else set()
                    elif self._lives(trial.user_attrs.get("worker")):
                        taken.add(trial.user_attrs["slot"])
                    else:
                        study.tell(trial.number, state=self._states.FAIL)
                open_slots += [(slot, place, name) for slot in range(self._trials) if slot not in taken]
            if not open_slots:
                return None
            slot, _, name = min(open_slots)
            study = self._studies[name]
            study.sampler = self._fresh_sampler(name, slot)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that a value is infinite
                trial = study.ask(self._space)
            trial.set_user_attr("slot", slot)
            trial.set_user_attr("worker", self._worker)
            return Claim(name, slot, dict(trial.params), trial)

    def finish(self, claim: Claim, value: float, **attributes: Any) -> None:
        """Stores a trial's value, infinity if it diverged, and what else is known of it (numbers and texts)."""
        holding.check()
        with self._storage():
            for name, attribute in attributes.items():
                claim.trial.set_user_attr(name, attribute)
            claim.trial.set_user_attr(_CHECKSUM, _checksum(value, claim.trial.params, claim.trial.user_attrs))
            self._studies[claim.name].tell(claim.trial, float(value))

    def give_back(self, claim: Claim) -> None:
        """The trial was broken off; its slot is open again."""
        with self._storage():
            self._studies[claim.name].tell(claim.trial, state=self._states.FAIL)

    def finished(self) -> dict[str, dict[int, Any]]:
        """`{name: {slot: trial}}` of the finished trials: Optuna's frozen ones, with `value`, `params` and `user_attrs`."""
        with self._storage():
            by_study = {
                name: {
                    t.user_attrs["slot"]: t
                    for t in sorted(study.get_trials(deepcopy=False), key=lambda t: t.number)
                    if t.state.is_finished() and self._counts(t)
                }
                for name, study in self._studies.items()
            }
        for name, slots in by_study.items():
            for t in slots.values():
                if t.user_attrs.get(_CHECKSUM) not in (None, _checksum(t.value, t.params, t.user_attrs)):
                    raise files.Damaged(self._path, f"was changed after it was written: trial {t.number} of {name} is another")
        return by_study

    @contextlib.contextmanager
    def _storage(self):
        """Whatever is wrong with the database ends in one line."""
        try:
            with files.space(self._path):
                yield
        except (errors.UserError, files.NoSpace):
            raise
        except Exception as error:  # SQLAlchemy's, Optuna's, SQLite's, and those of what is missing in a row
            reason = (str(error).splitlines() or ["?"])[0][:200]
            raise files.Damaged(self._path, f"can't be used ({reason})", _REMEDY) from error

    def _counts(self, trial):
        return trial.state == self._states.COMPLETE

    def _fresh_sampler(self, name, slot):
        """One that knows only the study and these seeds, so that a resumed process draws as one that was not stopped."""
        sequence = np.random.SeedSequence([self._seed, zlib.crc32(name.encode()), slot])
        kind = {"gp": "GPSampler", "tpe": "TPESampler", "random": "RandomSampler"}[self._sampler]
        return getattr(self._samplers, kind)(seed=int(sequence.generate_state(1)[0]))

    @contextlib.contextmanager
    def _claiming_alone(self):
        """No other process claims meanwhile."""
        file = _lock(os.path.join(self._folder, ".claims"))
        try:
            yield
        finally:
            os.close(file)

    def _life_path(self, worker):
        return os.path.join(self._folder, ".workers", worker)

    def _lives(self, worker):
        """Whether a process still holds its file; the file of one that does not is removed."""
        if worker is None:  # killed between two writes of `claim`, under the lock that is ours now
            return False
        if worker == self._worker:
            return True
        path = self._life_path(worker)
        try:
            file = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.remove(path)
            return False
        except BlockingIOError:
            return True
        finally:
            os.close(file)


def _checksum(value, params, attributes):
    """Of a finished trial; Optuna's ids and times are left out."""
    attributes = {name: attribute for name, attribute in attributes.items() if name != _CHECKSUM}
    return zlib.crc32(json.dumps([float(value), params, attributes], sort_keys=True).encode())


def _distribution(optuna, low, high, scale=None):
    whole = isinstance(low, int) and isinstance(high, int)
    kind = optuna.distributions.IntDistribution if whole else optuna.distributions.FloatDistribution
    return kind(low, high, log=scale == "log")


def _lock(path):
    """The descriptor of a file that this process now holds locked; waits for it."""
    with files.writing(path):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        os.close(file)
        raise errors.UserError(f"{path} can't be locked: {error.strerror}") from None
    return file
