#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Adds a variable to the memory of a UEFI firmware of QEMU's.

usage: variable.py STORE NAME GUID DATA     (STORE and DATA are files)

Spec: EDK II, MdeModulePkg/Include/Guid/VariableFormat.h and MdePkg/Include/Pi. A firmware volume
holds a store, and that the variables, one after the other, each aligned to 4 bytes; what is free is
all ones.
"""

import struct
import sys
import uuid

AUTHENTICATED_STORE = uuid.UUID("aaf32c78-947b-439a-a180-2e144ec37792").bytes_le
HEADER = struct.Struct("<HBxIQ16xIII16s")
START, ADDED = 0x55AA, 0x3F
NON_VOLATILE, BOOT_SERVICE, RUNTIME = 1, 2, 4


def main(store, name, guid, data):
    with open(store, "rb") as file:
        memory = bytearray(file.read())
    with open(data, "rb") as file:
        data = file.read()
    at = memory.index(AUTHENTICATED_STORE)
    end = at + struct.unpack_from("<I", memory, at + 16)[0]
    at += 28
    while struct.unpack_from("<H", memory, at)[0] == START:
        name_size, data_size = struct.unpack_from("<II", memory, at + 36)
        at = (at + HEADER.size + name_size + data_size + 3) & ~3
    name = (name + "\0").encode("utf-16-le")
    attributes = NON_VOLATILE | BOOT_SERVICE | RUNTIME
    guid = uuid.UUID(guid).bytes_le
    record = HEADER.pack(START, ADDED, attributes, 0, 0, len(name), len(data), guid) + name + data
    if at + len(record) > end or memory[at : at + len(record)].strip(b"\xff"):
        sys.exit("variable.py: no room")
    memory[at : at + len(record)] = record
    with open(store, "wb") as file:
        file.write(memory)


if len(sys.argv) != 5:
    sys.exit(__doc__)
main(*sys.argv[1:])
