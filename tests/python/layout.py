#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whether the Python module's structures and constants are those of the headers.

usage: tests/python/layout.py [CC]

Prints a C program's view of each beside Python's where they differ, and exits 1 when one did.
"""

import ctypes
import subprocess
import sys
import tempfile

from userpci import _lib

STRUCTURES = {
    _lib.CInfo: "userpci_info",
    _lib.CRegion: "userpci_region",
    _lib.CDma: "userpci_dma",
    _lib.CDmaChunk: "userpci_dma_chunk",
    _lib.CDmaOptions: "userpci_dma_options",
    _lib.CDmaInfo: "userpci_dma_info",
    _lib.CEvent: "userpci_event",
    _lib.CFaults: "userpci_faults",
    _lib.CUapiEvent: "userpci_uapi_event",
    _lib.CStats: "userpci_uapi_stats",
}
PREFIXES = {
    _lib.InfoFlags: "INFO",
    _lib.RegionFlags: "REGION",
    _lib.DmaKind: "DMA",
    _lib.IrqKind: "IRQ",
    _lib.EventType: "EVENT",
}


def expectations():
    """Pairs of a C expression and what Python takes it for."""
    for kind, name in STRUCTURES.items():
        yield f"sizeof(struct {name})", ctypes.sizeof(kind)
        for field, _ in kind._fields_:
            place = getattr(kind, field)
            yield f"offsetof(struct {name}, {field})", place.offset
            yield f"sizeof(((struct {name} *)0)->{field})", place.size
    for kind, prefix in PREFIXES.items():
        for member in kind:
            name = "64" if member is _lib.RegionFlags.WIDE else member.name
            yield f"USERPCI_{prefix}_{name}", member.value
    yield "USERPCI_NAME_BYTES", _lib.NAME_BYTES
    yield "USERPCI_NUM_EVENTS", _lib.NUM_EVENTS
    yield "USERPCI_OPEN_OBSERVE", _lib.OPEN_OBSERVE


def main():
    wanted = list(expectations())
    with tempfile.TemporaryDirectory() as folder:
        source, program = folder + "/layout.c", folder + "/layout"
        with open(source, "w", encoding="utf-8") as file:
            print("#include <stdio.h>\n#include <userpci/userpci.h>\nint main(void)\n{", file=file)
            for expression, _ in wanted:
                print(f'\tprintf("%llu\\n", (unsigned long long)({expression}));', file=file)
            print("\treturn 0;\n}", file=file)
        compiler = (sys.argv[1:] or ["gcc"])[0]
        subprocess.run([compiler, "-Iinclude", "-o", program, source], check=True)
        found = subprocess.run([program], check=True, stdout=subprocess.PIPE, text=True)
    differ = [
        f"{expression}: C {c}, Python {python}"
        for (expression, python), c in zip(wanted, found.stdout.split())
        if int(c) != python
    ]
    print("\n".join(differ) or f"{len(wanted)} agree")
    return 1 if differ else 0


sys.exit(main())
