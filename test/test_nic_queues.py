# SPDX-License-Identifier: BSD-3-Clause
"""Several queues of one card, each another thread's: nic_threads over nicsim."""
import json

import pytest

import lab
from test_nic import at_ease, card

NIC_THREADS = str(lab.BUILD / "test" / "nic_threads")


@pytest.mark.parametrize("queues, frames, how", [(2, 20000, "poll"), (2, 20000, "irq"), (16, 1000, "irq")])
def test_threads_with_a_queue_each(run, queues, frames, how):
    sim, address = card(run, "loop")
    code, text = run.call(NIC_THREADS, address, queues, frames, how, limit=4 * lab.PATIENCE)
    assert code == 0, text
    result = json.loads(text.splitlines()[-1])
    total = queues * frames
    assert (result["rx_frames"], result["tx_frames"]) == (total, total)
    assert (result["rx_dropped"], result["bad"]) == (0, 0)
    for queue in result["queues"]:
        assert queue["sent"] == frames and queue["received"] > 0 and queue["lost"] == 0
        # What its thread sent and got is what the card counted for it, to the frame. (Mapped, the queues' counters
        # are not cleared by reading: doc/nicsim.md.)
        if lab.DOORBELLS == "trapped":
            assert queue["tx_frames"] == frames and queue["tx_bytes"] == 64 * frames
            assert queue["rx_frames"] == queue["received"] and queue["rx_bytes"] == 60 * queue["received"]
    assert sum(queue["received"] for queue in result["queues"]) == total
    at_ease(sim)
