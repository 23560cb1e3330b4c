"""A search at work: architectures are proposed as others end, evaluated on Ray, and every finished evaluation is kept."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tf_gtn import data, errors
from tf_gtn.nas import costs, farm, records
from tf_gtn.nas import space as spaces
from tf_gtn.runtime import loop
from tf_gtn.runtime import progress as progress_lib

if TYPE_CHECKING:  # it imports this module
    from tf_gtn.nas import experiment

_ATTEMPTS = 10_000  # at a slot's proposal


class Driver:
    """The evaluations of one run, with their progress and signals."""

    def __init__(
        self,
        seed: int,
        settings: "experiment.Search",
        dataset: data.Dataset,
        evaluated: records.Records,
        pool: farm.Farm,
        received: Sequence[int],
    ) -> None:
        """Begins nothing.

        Args:
          seed: of the proposals and of the first evaluations.
          settings: an `experiment.Search`.
          dataset: what networks learn.
          evaluated: the finished evaluations, to which new ones are added.
          pool: where evaluations run.
          received: a list that gets the numbers of signals.
        """
        self._seed, self._settings, self._dataset = seed, settings, dataset
        self._evaluated, self._pool, self._received = evaluated, pool, received

    def evaluate(
        self,
        jobs: Sequence[tuple],
        more: Callable[[], tuple | None] = lambda: None,
        total: int | None = None,
        space: spaces.Space | None = None,
        slots: Mapping[str, int] | None = None,
    ) -> None:
        """Runs the jobs that are not finished yet.

        Args:
          jobs: `(architecture, seed, evaluation)`.
          more: see `farm.Farm.rows`.
          total: how many evaluations there will be, those of `more` among them; None: as many as jobs.
          space: another than the pool's, or None.
          slots: `{architecture: its place in the search}`, for the rows; or None.
        """
        jobs = [job for job in jobs if not self._evaluated.finished(job)]
        total = len(jobs) if total is None else total
        if not total:
            return
        with progress_lib.Progress(total, 0, "evaluations", first="starting workers") as bar:
            ended = self._pool.rows(jobs, more, space, stop=lambda: bool(self._received))
            for done, ((architecture, *_), rows) in enumerate(ended, 1):
                self._evaluated.add([{**row, "slot": slots[architecture]} for row in rows] if slots is not None else rows)
                shown = "score" if "score" in rows[-1] and "accuracy" not in rows[-1] else "accuracy"
                bar.update(done, **{shown: rows[-1].get(shown, float("nan"))})
        self._stop_if_asked()

    def _stop_if_asked(self):
        if self._received:
            raise loop.Stopped(self._received[0], len(self._evaluated.rows))

    def first(self) -> list[str]:
        """Runs the first evaluation of every architecture; returns the architectures, sorted.

        Each architecture has a slot, and is proposed once the evaluations that its proposal goes by have ended.
        """
        budget, seed, count = self._settings.evaluations[0], self._seed, self._settings.architectures
        known = slots_of(self._evaluated.of(budget.names[0], seed), count)
        missing = [
            slot for slot in range(count) if slot not in known or not self._evaluated.finished((known[slot], seed, budget))
        ]
        slots: dict[str, int] = {}  # up to the newest

        def more():
            while (slot := len(slots)) < count:
                goes_by = [*slots][: slot + 1 - min(slot + 1, self._settings.proposer.concurrent)]
                rows = [self._evaluated.find(architecture, seed, budget.names[0]) for architecture in goes_by]
                if None in rows:
                    return None  # until they have ended
                architecture = known.get(slot) or self._propose(slot, rows, {*slots, *known.values()})
                slots[architecture] = slot
                if slot in missing:
                    return architecture, seed, budget
            return None

        self.evaluate([], more, len(missing), slots=slots)
        if not missing:
            more()
        return sorted(slots)

    def _propose(self, slot, rows, taken):
        settings = self._settings
        for attempt in range(_ATTEMPTS):
            self._stop_if_asked()
            index = slot + attempt * settings.architectures
            architecture = settings.proposer.propose(settings.space, rows, index, self._seed)
            if architecture not in taken and self._within_limits(architecture):
                return architecture
        raise errors.UserError("no further architecture is within nas.Search.limits, or the space has no more")

    def _within_limits(self, architecture):
        if not self._settings.limits:
            return True
        measured = network_costs(self._settings.space, architecture, self._dataset, "latency" in self._settings.limits)
        return all(measured[name] <= limit for name, limit in self._settings.limits.items())


def slots_of(rows: Sequence[Mapping[str, Any]], count: int) -> dict[int, str]:
    """`{slot: architecture}` of the first evaluation; rows without a slot, of earlier versions, take the free ones in order."""
    known = {row["slot"]: row["architecture"] for row in rows if "slot" in row}
    free = (slot for slot in range(count) if slot not in known)
    known |= dict(zip(free, dict.fromkeys(row["architecture"] for row in rows if "slot" not in row)))
    return known


def network_costs(space: spaces.Space, architecture: str, dataset: data.Dataset, latency: bool) -> dict[str, float]:
    """`{"parameters", "flops"}` of a network, and "latency" if asked for."""
    model = space.build(space.parse(architecture), dataset.image_shape, dataset.num_classes)
    measured = {"parameters": costs.parameters(model), "flops": costs.flops(model)}
    return measured | ({"latency": costs.latency(model)} if latency else {})
