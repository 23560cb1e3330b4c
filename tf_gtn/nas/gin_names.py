"""The spaces of architectures by gin, for searches and as learners of a GTN."""

import gin

from tf_gtn.nas import cells, plain, population

for _configurable in (cells.Cells, plain.Plain, population.Population):
    gin.external_configurable(_configurable, module="nas")
