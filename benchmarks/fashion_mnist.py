"""Fashion-MNIST from the Debian package, fetched once."""

import subprocess
from pathlib import Path

from sweeper.data.published import data_folder
from sweeper.data.vision import DEBIAN_FASHION_MNIST

PACKAGE = "dataset-fashion-mnist"


def fashion_mnist_folder() -> Path:
    """Return the folder of Fashion-MNIST's four files: the installed package's, or a copy in the data folder."""
    if DEBIAN_FASHION_MNIST.exists():
        return DEBIAN_FASHION_MNIST
    cache = data_folder(None) / "debian"
    folder = cache / DEBIAN_FASHION_MNIST.relative_to("/")
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "--quiet", PACKAGE], cwd=cache, check=True)
        (package,) = cache.glob(f"{PACKAGE}_*.deb")
        subprocess.run(["dpkg-deb", "--extract", package, cache], check=True)
    return folder
