"""Programs, one verb each: `python -m binaries.NAME`, or `gtn-NAME` once installed."""

from tf_gtn.run import quiet

quiet.import_tensorflow()  # before anything else imports it
