import pytest
from unit_samples import random_rows, write_units


@pytest.fixture
def units(tmp_path):
    return write_units(tmp_path / "units", random_rows())
