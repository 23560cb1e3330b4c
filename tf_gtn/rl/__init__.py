"""Reinforcement learning: environments, A2C, the GTN whose one batch teaches a policy, synthetic environments.

The one room that knows tf-agents: importing it sets `TF_USE_LEGACY_KERAS=1` in this process.
"""

from tf_gtn import legacy_keras

legacy_keras.use("rl")
