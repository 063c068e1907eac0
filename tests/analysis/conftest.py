from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from planted import Sweep, table_of, write_run


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "demo")


@pytest.fixture(scope="session")
def demo_table() -> pd.DataFrame:
    return table_of(Sweep())


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the run of a sweep; fields of `Sweep` by name."""
    return lambda **fields: write_run(tmp_path / "run", Sweep(**fields))
