# SPDX-License-Identifier: BSD-3-Clause
"""What all tests share: programs of the build folder, started with limits and ended by their id."""
import pytest

import lab
import traffic


@pytest.fixture
def run(tmp_path):
    """Starts programs for one test and ends them after it; SCHEME_ROOT and the like are its own."""
    with lab.Lab(tmp_path) as it:
        yield it


@pytest.fixture(scope="session")
def real_traffic(tmp_path_factory):
    """The path of a capture of real traffic: some thousand frames, none longer than 1514 bytes."""
    return traffic.record(tmp_path_factory.mktemp("traffic") / "real.pcap")
