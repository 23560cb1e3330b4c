"""The gin names of architecture search: spaces, also as learners of a GTN, budgets, proposers, and the search."""

import gin

from tf_gtn.config import registrations
from tf_gtn.experiment import program
from tf_gtn.nas import bench201, cells, evaluation, experiment, macro, plain, population, search, table

for _configurable in (
    cells.Cells,
    plain.Plain,
    macro.Macro,
    bench201.Bench201,
    population.Population,
    evaluation.GTN,
    evaluation.Real,
    evaluation.Proxy,
    table.Table,
    table.Listed,
    search.Random,
    search.Evolution,
    search.TPE,
):
    gin.external_configurable(_configurable, module="nas")
Search = gin.external_configurable(experiment.Search, module="nas")


def search_of(run: program.Run) -> experiment.Search:
    """The search of the configuration; the flags --ray_address and --workers say where it runs."""
    return Search().given(registrations.load_data(run), run.flags.ray_address, run.flags.workers)
