"""Programs, one verb each: `python -m binaries.NAME`, or `gtn-NAME` once installed."""
