# SPDX-License-Identifier: BSD-3-Clause
"""bench/run figure2 in its short form: each driver both ways over all sizes, with table, JSON and plots. The rates are for
a machine that does nothing else."""
import json
import subprocess
import sys

import lab

sys.path.insert(0, str(lab.ROOT / "bench"))
import figure2  # noqa: E402
import rig  # noqa: E402


def test_rates_by_size(tmp_path):
    done = subprocess.run([lab.ROOT / "bench" / "run", "figure2", "--json", "--build", lab.BUILD, "--repeat", "1",
                           "--seconds", "0.05", "--to", tmp_path], capture_output=True, text=True, timeout=20 * lab.PATIENCE,
                          check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result["fps"]) == {daemon + way for daemon in figure2.DRIVERS for way in figure2.WAYS}
    for rates in result["fps"].values():
        assert [int(size) for size in rates] == list(figure2.SIZES) and all(rate > 0 for rate in rates.values())
    lines = figure2.text(result).splitlines()
    assert all(any(line.startswith(f"{name}  ") for line in lines) for name in result["fps"])
    assert any("90 to 150" in line for line in lines)
    svg = (tmp_path / "figure2.svg").read_text()
    assert "ixgbed, blocking" in svg and "e1000d, blocking" in svg and "ixgbe (paper)" in svg
    assert (tmp_path / "figure2.png").read_bytes().startswith(b"\x89PNG")
    assert result["line_rate_fps"]["ixgbed"]["60"] == 14880952 and result["line_rate_fps"]["e1000d"]["1500"] == 82021


def test_options_reach_the_driver(tmp_path):
    """The configuration that pcid gets has them, in the entry of that daemon alone."""
    it = rig.Rig(tmp_path, daemon="e1000d", driver=("--blocking-tx", "--poll"))
    assert 'command = ["e1000d", "--blocking-tx", "--poll", "$NAME"' in it.config()
    assert 'command = ["ixgbed", "$NAME"' in it.config()
    assert it.url(0) == "network:card0_e1000"
