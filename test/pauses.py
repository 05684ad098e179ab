# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of flow control of nicsim's cards share."""
import struct

from lab import wait_for
from x540 import B, raw

GROUP = "01:80:c2:00:00:01"


def pause(quanta, to=GROUP, opcode=1, source=B):
    return raw(to) + raw(source) + struct.pack(">HHH", 0x8808, opcode, quanta) + bytes(42)


def seen(read, counter, least=1):
    """Waits for a counter, which reading clears."""
    total = 0

    def enough():
        nonlocal total
        total += read(counter)
        return total >= least
    wait_for(enough, f"counter {counter:#x}")
    return total
