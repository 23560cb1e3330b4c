"""The wheel: `tf_gtn`, with `binaries/` inside it as `tf_gtn.binaries` and `gin/` as data in `tf_gtn/gin/`.

Both folders lie at the top of the repository so that commands and run files are short; inside the wheel they can
neither shadow `import gin` nor take a top-level name of somebody else's.
"""

import pathlib
import re

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent
BINARIES = sorted(path.stem for path in (ROOT / "binaries").glob("*.py") if path.stem != "__init__")
DATA = [
    str(path.relative_to(ROOT / "tf_gtn"))
    for path in (ROOT / "tf_gtn").rglob("*")
    if path.is_file() and path.suffix not in (".py", ".pyc")
]

RL = [
    "tf_keras>=2.21,<2.22",
    "tf-agents==0.19.0",
    "gymnasium>=1.3,<2",
    "tensorflow-probability>=0.23,<0.24",
    "ale-py>=0.12.1",
]
GAN = ["tensorflow-probability>=0.23,<0.24", "tf_keras>=2.21,<2.22"]
NAS = ["ray>=2.60", "optuna>=5"]
TUNE = ["optuna>=5", "torch>=2.6"]  # torch: Optuna's Gaussian-process sampler is written in it

setup(
    name="tf_gtn",
    version=re.search(r'^__version__ = "(.+)"', (ROOT / "tf_gtn/version.py").read_text(), re.MULTILINE)[1],
    description="Generative Teaching Networks and the systems around them, for TensorFlow and Keras.",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The tf_gtn authors",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10,<3.12",
    packages=[*find_packages(include=["tf_gtn", "tf_gtn.*"]), "tf_gtn.binaries", "tf_gtn.gin"],
    package_dir={"tf_gtn.binaries": "binaries", "tf_gtn.gin": "gin"},
    package_data={"tf_gtn": DATA, "tf_gtn.gin": ["**/*.gin"]},
    entry_points={"console_scripts": [f"gtn-{name.replace('_', '-')} = tf_gtn.binaries.{name}:run" for name in BINARIES]},
    install_requires=[
        "tensorflow>=2.21,<2.22",
        "keras>=3.12,<4",
        "numpy>=2,<2.4",
        "tensorflow-datasets>=4.9.10,<5",
        "importlib_resources",  # tensorflow-datasets 4.9.10 imports it without saying so
        "gin-config>=0.5,<0.6",
        "absl-py",
        "scikit-learn",
        "scipy",
        "matplotlib",
        "pillow",
        "pyarrow",
        "tqdm",
        "jinja2",
        "tensorboard",
    ],
    extras_require={
        "dev": [
            "pytest",
            "pytest-xdist",
            "pytest-timeout",
            "ruff",
            "build",
            "setuptools",
            "wheel",
            "optuna>=5",
            *RL,
            *NAS,
            *GAN,
        ],
        "rl": RL,
        "gan": GAN,
        "nas": NAS,
        "tune": TUNE,
        "all": RL + NAS + GAN,  # without `tune`: PyTorch wants a newer typing-extensions than tf-agents allows
    },
    # Not build/: where file names have no case it would be the same name as the file BUILD.
    options={"build": {"build_base": "dist/build"}},
)
