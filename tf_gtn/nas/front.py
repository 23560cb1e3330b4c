"""The networks of a search that no other beats in accuracy and cost, trained and saved."""

import json
import os
from typing import TYPE_CHECKING, Any

from tf_gtn import watching
from tf_gtn.nas import driver, evaluation, records, search
from tf_gtn.runtime import files, json_values

if TYPE_CHECKING:  # it imports this module
    from tf_gtn.nas import experiment


def save(
    base_dir: str, seed: int, settings: "experiment.Search", evaluated: records.Records, proposed: list[str]
) -> list[dict[str, Any]]:
    """Trains and saves the Pareto front's networks by the first evaluation; returns their rows."""
    budget, rows = settings.evaluations[0], []
    for architecture in proposed:
        found = (evaluated.find(architecture, seed, name) or {} for name in (settings.budgets[-1], budget.names[0]))
        if row := next((row for row in found if "accuracy" in row), None):
            measured = driver.network_costs(settings.space, architecture, settings.dataset, "latency" in settings.front)
            rows.append({"architecture": architecture, "accuracy": row["accuracy"], **measured})
    equal = {(row["accuracy"], *(row[name] for name in settings.front)): row for row in reversed(rows)}  # one of each
    front = sorted(search.pareto([*equal.values()], settings.front), key=lambda row: row[settings.front[0]])
    folder = os.path.join(base_dir, "networks")
    files.folder(folder)
    for k, row in enumerate(watching.each(front, "networks of the front")):
        for _, model, seconds in evaluation.trained(settings.space, row["architecture"], seed, budget, settings.dataset):
            row |= {"file": f"networks/{k}.keras", "training_seconds": seconds}
            with files.writing(path := os.path.join(folder, f"{k}.keras")):
                model.save(path)
    files.write(os.path.join(folder, "front.json"), json.dumps(json_values.plain(front, "the front"), indent=2))
    return front
