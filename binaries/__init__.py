"""Programs, one verb each: `python -m binaries.NAME`, or `gtn-NAME` once installed."""

from tf_gtn.runtime import surroundings

surroundings.enter()  # before anything else imports TensorFlow
