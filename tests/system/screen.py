#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What QEMU's display shows.

usage: screen.py dump SOCKET FILE [FORMAT]   QEMU, whose QMP is at SOCKET, writes it (ppm or png)
       screen.py decode FILE.png FILE.ppm    the pixels of a PNG of 8 bits a color, without more
"""

import json
import os
import socket
import struct
import sys
import zlib


def dump(path, file, kind="ppm"):
    commands = [
        {"execute": "qmp_capabilities"},
        {"execute": "screendump", "arguments": {"filename": os.path.abspath(file), "format": kind}},
    ]
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(60)
        line.connect(path)
        stream = line.makefile("rw")
        stream.readline()
        for command in commands:
            print(json.dumps(command), file=stream, flush=True)
            answer = {}
            while not answer.keys() & {"return", "error"}:
                answer = json.loads(stream.readline())
            if "error" in answer:
                sys.exit(f"screen.py: QEMU: {answer['error']['desc']}")


def paeth(a, b, c):
    return min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]


def unfilter(data, width, height):
    """PNG specification, section 9: a byte may be a difference to those beside and above."""
    stride, above, lines = 3 * width, bytearray(3 * width), []
    guess = (lambda a, b, c: 0, lambda a, b, c: a, lambda a, b, c: b, lambda a, b, c: (a + b) // 2,
             paeth)  # fmt: skip
    for y in range(height):
        kind, *line = data[y * (stride + 1) : (y + 1) * (stride + 1)]
        for i in range(stride):
            a, c = (line[i - 3], above[i - 3]) if i >= 3 else (0, 0)
            line[i] = (line[i] + guess[kind](a, above[i], c)) & 0xFF
        lines.append(bytes(line))
        above = line
    return b"".join(lines)


def decode(source, target):
    with open(source, "rb") as file:
        data = file.read()
    at, packed, width, height = 8, b"", 0, 0
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + size]
        if name == b"IHDR":
            width, height, *form = struct.unpack(">IIBBBBB", body)
            if form != [8, 2, 0, 0, 0]:
                sys.exit(f"screen.py: {source}: not 8 bits of red, green and blue: {form}")
        elif name == b"IDAT":
            packed += body
        at += 12 + size
    with open(target, "wb") as file:
        file.write(b"P6\n%d %d\n255\n" % (width, height))
        file.write(unfilter(zlib.decompress(packed), width, height))


{"dump": dump, "decode": decode}[sys.argv[1]](*sys.argv[2:])
