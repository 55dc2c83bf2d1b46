#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The other end of a cable, for tests of unic: QEMU's `-netdev dgram`, two sockets with names.

usage: tests/unit/wire.py make FILE COUNT [LENGTH [GAP]]
       tests/unit/wire.py send FILE MINE THEIRS
       tests/unit/wire.py take FILE COUNT MINE
       tests/unit/wire.py same [--padded] [--tail] WANTED FILE...
       tests/unit/wire.py pcapng FILE NAME SNAPLEN RECEIVED FRAMES

make: a pcap file of COUNT frames of all lengths and several protocols, or all of LENGTH; 1 ms
      apart, or GAP ms.
send: the frames of a pcap file to the socket THEIRS, as soon as it is there.
take: COUNT frames that come to the socket MINE, into a pcap file.
same: whether the FILEs together hold the frames of WANTED, in order; --padded: padded to 60 bytes;
      --tail: its last ones, the file that begins first being the first.
pcapng: whether FILE is one to the letter, of an interface NAME, with so many frames in it, and a
        count of RECEIVED ones at its end.
"""

import itertools
import socket
import struct
import sys
import time

MAC, OTHER = bytes.fromhex("525400123456"), bytes.fromhex("020000000001")
HEAD = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)


def make(path, count, length=0, gap=1):
    with open(path, "wb") as file:
        file.write(HEAD)
        for i in range(int(count)):
            target, frame = MAC, b""
            if i % 4 == 1:
                target = b"\xff" * 6
            if i % 4 == 3:
                target = bytes.fromhex("020000000099")
            # A sequence number, and a payload that depends on it.
            body = struct.pack("!I", i) + bytes((i * 7 + n * 13) & 255 for n in range(1600))
            kind, size = i % 3, int(length) or 60 + i * 37 % 1455
            if kind == 0:
                frame = target + OTHER + b"\x88\xb5" + body
            else:  # UDP to port 53 or 5300
                port = 53 if kind == 1 else 5300
                ip = struct.pack("!BBHHHBBH", 0x45, 0, max(size - 14, 28), i, 0, 64, 17, 0)
                ip += bytes((10, 0, 0, 1, 10, 0, 0, 2))
                udp = struct.pack("!HHHH", 1000, port, max(size - 34, 8), 0)
                frame = target + OTHER + b"\x08\0" + ip + udp + body
            frame = frame[:size]
            time_us = i * int(gap) * 1000
            stamp = time_us // 1000000, time_us % 1000000
            file.write(struct.pack("<IIII", *stamp, len(frame), len(frame)))
            file.write(frame)


def frames(path):
    with open(path, "rb") as file:
        data = file.read()
    if data[:4] not in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"):
        raise ValueError(f"{path}: not a pcap file")
    at, found = 24, []
    while at < len(data):
        kept, length = struct.unpack_from("<II", data, at + 8)
        if kept != length:
            raise ValueError(f"{path}: a frame was cut short")
        found.append(data[at + 16 : at + 16 + kept])
        at += 16 + kept
    return found


def send(path, mine, theirs):
    wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    wire.bind(mine)
    end = time.monotonic() + 60
    for frame in frames(path):
        while True:
            try:
                wire.sendto(frame, theirs)
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)


def take(path, count, mine):
    wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    wire.bind(mine)
    wire.settimeout(60)
    with open(path, "wb") as file:
        file.write(HEAD)
        for _ in range(int(count)):
            frame = wire.recv(65536)
            file.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)


def same(*words):
    options = {word for word in words if word.startswith("--")}
    wanted, *parts = [frames(word) for word in words if word not in options]
    if "--padded" in options:
        wanted = [frame.ljust(60, b"\0") for frame in wanted]
    if "--tail" in options:
        parts.sort(key=lambda part: wanted.index(part[0]))
        wanted = wanted[-sum(len(part) for part in parts) :]
    got = list(itertools.chain(*parts))
    if len(got) != len(wanted):
        sys.exit(f"{len(got)} frames, not {len(wanted)}")
    for i, (a, b) in enumerate(zip(wanted, got)):
        if a != b:
            sys.exit(f"frame {i} is another: {b[:40].hex()}, not {a[:40].hex()}")


def options_of(body):
    """The options of a block: code -> value; they must end with code 0."""
    found, at = {}, 0
    while True:
        code, size = struct.unpack_from("<HH", body, at)
        if code == 0:
            assert size == 0 and at + 4 == len(body), "the options do not end well"
            return found
        found[code] = body[at + 4 : at + 4 + size]
        at += 4 + (size + 3) // 4 * 4


def pcapng(path, name, snaplen, received, count):
    with open(path, "rb") as file:
        data = file.read()
    blocks, at = [], 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        assert size % 4 == 0 and struct.unpack_from("<I", data, at + size - 4)[0] == size, "lengths"
        blocks.append((kind, data[at + 8 : at + size - 4]))
        at += size
    assert [kind for kind, _ in blocks] == [0x0A0D0D0A, 1] + [6] * int(count) + [5], "blocks"
    assert struct.unpack_from("<IHHq", blocks[0][1]) == (0x1A2B3C4D, 1, 0, -1), "section"
    assert options_of(blocks[0][1][16:])[4].startswith(b"unic "), "section options"
    assert struct.unpack_from("<HHI", blocks[1][1]) == (1, 0, int(snaplen)), "interface"
    options = options_of(blocks[1][1][8:])
    assert options[2].decode() == name and options[6] == MAC and options[9] == b"\x09", options
    assert struct.unpack("<Q", options[8])[0] == 1000000000, "speed"
    now, last = time.time_ns(), 0
    for _, body in blocks[2:-1]:
        interface, high, low, kept, length = struct.unpack_from("<IIIII", body)
        stamp = high << 32 | low
        assert interface == 0 and last <= stamp <= now and now - stamp < 600e9, "time"
        assert kept == min(length, int(snaplen)) and len(body) == 20 + (kept + 3) // 4 * 4, "frame"
        last = stamp
    options = options_of(blocks[-1][1][12:])
    assert struct.unpack("<Q", options[4])[0] == int(received), "received"
    assert struct.unpack("<Q", options[5])[0] == 0, "dropped"
    assert struct.unpack("<Q", options[6])[0] >= int(count), "accepted"
    assert len(options[2]) == len(options[3]) == 8, "times"


def main():
    commands = {f.__name__: f for f in (make, send, take, same, pcapng)}
    if len(sys.argv) < 3 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])


main()
