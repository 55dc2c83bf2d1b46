#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What was on the wire while tests/nic/nic and tests/nic/peer ran: an independent witness.

usage: tests/nic/pcap.py FILE [LEAST]

FILE is QEMU's capture (`qemu/run --capture`). Each frame of the two must be what its run and
sequence number say (see tests/nic/frame.h); in runs that may lose nothing, none may be missing,
doubled or out of order; and each way at least one run must have LEAST frames (default: 10000). The
interface under test is the one that said hello.
"""

import struct
import sys

TYPE, HEADER, MIN, MAX, SHORT_MIN = 0x88B5, 22, 60, 1514, 26
KINDS = {ord("D"): "data", ord("F"): "flood", ord("S"): "short"}


def noise():
    state, out = 1, bytearray()
    for _ in range(65536):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out.append(state >> 24)
    return bytes(out) + bytes(out[:MAX])


def packets(path):
    """The frames of a pcap file, of either byte order."""
    with open(path, "rb") as file:
        data = file.read()
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">"}.get(data[:4])
    if not order:
        raise ValueError("not a pcap file")
    if struct.unpack_from(order + "I", data, 20)[0] != 1:
        raise ValueError("not of an Ethernet")
    at = 24
    while at + 16 <= len(data):
        kept, length = struct.unpack_from(order + "II", data, at + 8)
        if kept != length:
            raise ValueError("frames were cut short")
        yield data[at + 16 : at + 16 + kept]
        at += 16 + kept


def length_of(kind, sequence):
    if KINDS[kind] == "short":
        return SHORT_MIN + sequence % (MIN - SHORT_MIN)
    return MIN + sequence * 379 % (MAX - MIN + 1)


class Witness:
    def __init__(self):
        self.noise = noise()
        self.nic = None
        self.last = {}  # (from the NIC, run) -> the sequence number to come
        self.longest = {True: 0, False: 0}
        self.frames = {True: 0, False: 0}
        self.faults = []

    def fault(self, number, text):
        self.faults.append(f"frame {number} of the file {text}")

    def look(self, number, frame):
        if frame[6:12] == self.nic and not MIN <= len(frame) <= MAX:
            self.fault(number, f"left the interface with {len(frame)} bytes")
        if len(frame) < HEADER or frame[12:14] != TYPE.to_bytes(2, "big"):
            return
        kind, run, length, sequence = struct.unpack_from(">BBHI", frame, 14)
        if kind == ord("H"):
            self.nic = frame[6:12]
        if kind in KINDS:
            self.data(number, frame, (kind, run, length, sequence))

    def data(self, number, frame, header):
        kind, run, length, sequence = header
        sent = frame[6:12] == self.nic
        begin = (sequence * 257 + run * 4099) & 0xFFFF
        want = self.noise[begin : begin + length - HEADER]
        want += bytes(max(0, MIN - length))
        self.frames[sent] += 1
        if length != length_of(kind, sequence) or frame[HEADER:] != want:
            self.fault(number, f"is not what frame {sequence} of run {run} must be")
        if KINDS[kind] == "flood":
            return
        # A number is used again by a later test, whose run begins with 0 again.
        expected = self.last.get((sent, run), 0)
        if sequence not in (expected, 0):
            self.fault(number, f"is frame {sequence} of run {run}, but {expected} was to come")
        self.last[sent, run] = sequence + 1
        self.longest[sent] = max(self.longest[sent], sequence + 1)


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    least = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    witness = Witness()
    try:
        for number, frame in enumerate(packets(sys.argv[1]), 1):
            witness.look(number, frame)
    except (OSError, ValueError) as error:
        print(f"not ok pcap_file: {error}")
        return 1
    for sent, name in ((True, "pcap_sent"), (False, "pcap_received")):
        if witness.longest[sent] < least:
            print(f"not ok {name}: the longest run had {witness.longest[sent]} frames")
        else:
            print(f"ok {name}")
    if witness.faults:
        print(f"not ok pcap_frames: {len(witness.faults)} faults; {witness.faults[0]}")
    else:
        print("ok pcap_frames")
    print(f"{witness.frames[True]} data frames sent, {witness.frames[False]} received")
    return 1 if witness.faults or min(witness.longest.values()) < least else 0


sys.exit(main())
