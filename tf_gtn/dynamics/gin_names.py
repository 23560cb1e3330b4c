"""The gin names of learning dynamics, and the study of a configuration."""

import gin

from tf_gtn.config import registrations as _registrations  # noqa: F401 - optimizers and the schedule
from tf_gtn.dynamics import experiment, learners, lstm_parts, meta_learners, parts, problems

for _configurable in (
    problems.Linear,
    problems.Fourier,
    problems.Bandit,
    parts.Learner,
    parts.Bayes,
    parts.BanditLearner,
    parts.Taught,
    lstm_parts.MetaLearner,
    lstm_parts.BanditMetaLearner,
):
    gin.external_configurable(_configurable, module="dynamics")
perceptron = gin.external_configurable(learners.perceptron, "perceptron", module="dynamics", denylist=["inputs", "outputs"])
LSTM = gin.external_configurable(meta_learners.LSTM, module="dynamics", denylist=["inputs", "outputs"])
Experiment = gin.external_configurable(experiment.Study, "Experiment", module="dynamics")
