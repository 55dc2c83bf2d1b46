# SPDX-License-Identifier: MIT
"""PCI devices driven from Python, by libuserpci.

    >>> import userpci
    >>> edu = userpci.open("qemu:edu")
    >>> regs = edu.region_map(0)
    >>> hex(regs.read32(0))
    '0x10000ed'
    >>> edu.close()

Names and behaviour are those of <userpci/userpci.h>, without the prefix; each error is an OSError.
doc/python.md is the guide.
"""

from ._device import Device, DmaInfo, Event, Info, Interrupt, Stats, open, version
from ._lib import DmaKind, EventType, InfoFlags, IrqKind, RegionFlags
from ._memory import Chunk, Dma, Region

__all__ = [
    "Chunk",
    "Device",
    "Dma",
    "DmaInfo",
    "DmaKind",
    "Event",
    "EventType",
    "Info",
    "InfoFlags",
    "Interrupt",
    "IrqKind",
    "Region",
    "RegionFlags",
    "Stats",
    "open",
    "version",
]
