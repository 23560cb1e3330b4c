"""The main program of every Bazel test: runs pytest on the file that it is given.

Programs that a test starts get the same module path.
"""

import os
import sys

import pytest

if __name__ == "__main__":
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    sys.exit(pytest.main(["-n0", "-p", "no:cacheprovider", *sys.argv[1:]]))
