#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Python module on a device.

usage: tests/python/test.py qemu       on devices of a private QEMU
       tests/python/test.py stub ADDRESS   on an edu that is bound to the module, as root

Prints a line `ok NAME` or `not ok NAME: WHY` a test.
"""

import contextlib
import errno
import gc
import mmap
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback

import userpci
from userpci import DmaKind, EventType, IrqKind, RegionFlags

SHARED = "-object memory-backend-ram,id=shm,size=1M,share=on"
EDU = "qemu:edu"
tests = {"qemu": [], "stub": []}


def on(*places):
    def add(function):
        for place in places:
            tests[place].append(function)
        return function

    return add


def fails(kind, function, *arguments, **options):
    """The exception of that kind which the call must raise."""
    try:
        function(*arguments, **options)
    except kind as error:
        return error
    raise AssertionError(f"{function.__name__}{arguments} did not raise {kind.__name__}")


def equal(found, wanted):
    assert found == wanted, f"{found!r}, not {wanted!r}"


def has(text, part):
    assert part in text, f"no {part!r} in {text!r}"


@contextlib.contextmanager
def environment(name, value):
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


# --- Opening and closing ---


@on("qemu", "stub")
def info():
    with userpci.open(EDU) as edu:
        equal((edu.info.vendor_id, edu.info.device_id), (0x1234, 0x11E8))
        equal(edu.info.num_msi, 1)
        has(repr(edu), "1234:11e8")
        assert not edu.closed
    assert edu.closed
    equal(fails(ValueError, edu.reset).args[0], "the device is closed")
    edu.close()
    equal(len(userpci.version().split(".")), 3)


@on("qemu")
def open_errors():
    error = fails(OSError, userpci.open, "qemu:nonsense")
    equal(error.errno, errno.EINVAL)
    has(str(error), "'nonsense' is not a valid device model name")
    has(str(fails(OSError, userpci.open, "nowhere")), "not a PCI address")
    fails(OSError, userpci.open, "0000:ff:1f.7")


@on("qemu")
def no_qemu():
    with environment("USERPCI_QEMU", "/nonexistent"):
        has(str(fails(FileNotFoundError, userpci.open, EDU)), "install qemu-system-x86")


@on("qemu", "stub")
def forgotten_device_is_closed():
    descriptors = len(os.listdir("/proc/self/fd"))
    edu = userpci.open(EDU)
    edu.dma_alloc(4096)
    del edu
    gc.collect()
    equal(len(os.listdir("/proc/self/fd")), descriptors)


@on("qemu", "stub")
def child_leaves_the_device_alone():
    with userpci.open(EDU) as edu:
        regs = edu.region_map(0)
        child = os.fork()
        if not child:
            edu.close()
            os._exit(0)
        os.waitpid(child, 0)
        edu.bus_master_enable()
        (irq,) = edu.irq_enable()
        regs.write32(0x60, 1)
        equal(irq.wait(5), 1)


# --- Regions ---


@on("qemu", "stub")
def registers():
    with userpci.open(EDU) as edu, edu.region_map(0) as regs:
        equal(regs.read32(0) & 0xFF, 0xED)
        regs.write32(4, 0x12345678)
        equal(regs.read32(4), 0xEDCBA987)
        regs.write32(4, -1)
        equal(regs.read32(4), 0)
        regs.write64(0x80, 0x123456789ABCDEF0)
        equal(regs.read64(0x80), 0x123456789ABCDEF0)
        equal(len(regs), 1 << 20)
        fails(IndexError, regs.read32, 1 << 20)
        fails(IndexError, regs.write32, -4, 0)
        fails(ValueError, regs.read32, 2)
        fails(OverflowError, regs.write32, 4, 1 << 32)
        fails(OverflowError, regs.write8, 4, -129)
        has(str(fails(TypeError, lambda: regs[4])), "read32")
        has(str(fails(OSError, edu.region_map, 7)), "region_map: Invalid argument")
        fails(FileNotFoundError, edu.region_map, 1)
    fails(ValueError, regs.read32, 0)


@on("qemu")
def io_region():
    with userpci.open("qemu:pci-testdev") as device:
        io = device.region_map(1)
        assert io.flags & RegionFlags.IO
        io.write8(0, 0)
        equal(io.read8(1), 1)
        fails(ValueError, io.read64, 0)
        fails(OSError, lambda: io[0:4])


@on("qemu")
def slices():
    with environment("USERPCI_QEMU_ARGS", SHARED):
        device = userpci.open("qemu:ivshmem-plain,memdev=shm")
    with device:
        memory = device.region_map(2, wc=True)
        data = bytes(range(256)) * 20
        memory[3 : 3 + len(data)] = data
        equal(memory[3 : 3 + len(data)], data)
        equal(memory.read8(4), 1)
        memory[-4:] = memoryview(b"\1\2\3\4")
        equal(memory.read32(len(memory) - 4), 0x04030201)
        equal(memory[5:5], b"")
        fails(ValueError, memory.__setitem__, slice(0, 4), b"12345")
        fails(ValueError, lambda: memory[0:8:2])
        assert not memory.mapped
        has(str(fails(ValueError, lambda: memory.view)), "slices")
        memory.unmap()
        memory.unmap()
        fails(ValueError, lambda: memory[0:4])


@on("stub")
def view_of_a_region():
    edu = userpci.open(EDU)
    regs = edu.region_map(0)
    assert regs.mapped
    words = regs.view.cast("I")
    equal(words[0] & 0xFF, 0xED)
    words[1] = 0x12345678
    equal(regs.read32(4), 0xEDCBA987)
    fails(BufferError, regs.unmap)
    fails(BufferError, edu.close)
    del words
    regs.unmap()
    edu.close()


# --- DMA ---


@on("qemu", "stub")
def dma_there_and_back():
    with userpci.open(EDU) as edu:
        regs = edu.region_map(0)
        edu.dma_set_mask(28)
        buffer = edu.dma_alloc(8192)
        (irq,) = edu.irq_enable()
        edu.bus_master_enable()
        buffer[0:2048] = bytes(i * 7 & 0xFF for i in range(2048))
        for source, target, command in (
            (buffer.iova, 0x40000, 5),
            (0x40000, buffer.iova_at(4096), 7),
        ):
            regs.write64(0x80, source)
            regs.write64(0x88, target)
            regs.write64(0x90, 2048)
            regs.write64(0x98, command)
            equal(irq.wait(5), 1)
            regs.write32(0x64, regs.read32(0x24))
            irq.unmask()
        equal(buffer[4096:6144], buffer[0:2048])
        assert buffer.iova + 8192 <= 1 << 28


@on("qemu", "stub")
def dma_views_hold_the_buffer():
    edu = userpci.open(EDU)
    buffer = edu.dma_alloc(10000, name="mine")
    equal((len(buffer), buffer.name), (12288, "mine"))
    part = buffer.view[4096:8192].cast("H")
    part[0] = 0xABCD
    equal(buffer[4096:4098], b"\xcd\xab")
    has(str(fails(BufferError, buffer.free)), "view")
    fails(BufferError, edu.close)
    assert not edu.closed
    part.release()
    buffer.free()
    fails(ValueError, lambda: buffer.view)
    fails(ValueError, lambda: buffer.chunks)
    edu.close()


@on("qemu", "stub")
def view_outlives_its_names():
    view = userpci.open(EDU).dma_alloc(4096).view
    gc.collect()
    view[:] = b"\x5a" * 4096
    equal(view[4095], 0x5A)


@on("qemu", "stub")
def error_with_a_view():
    def body():
        with userpci.open(EDU) as edu, edu.dma_alloc(4096) as buffer:
            view = buffer.view
            raise KeyError(view[0])

    fails(KeyError, body)
    gc.collect()
    userpci.open(EDU).close()


@on("qemu", "stub")
def dma_kinds():
    with userpci.open(EDU) as edu:
        for kind in (DmaKind.CONTIGUOUS, DmaKind.CHUNKED, DmaKind.SHARED):
            buffer = edu.dma_alloc(100000, kind, name=kind.name)
            equal(buffer.kind, kind)
            equal(sum(chunk.size for chunk in buffer.chunks), len(buffer))
            equal(buffer.iova_at(len(buffer) - 1) & 0xFFF, 0xFFF)
            fails(IndexError, buffer.iova_at, len(buffer))
            fails(FileExistsError, edu.dma_alloc, 1, name=kind.name)
        found = {buffer.name: buffer for buffer in edu.dma_list()}
        equal(sorted(found), ["CHUNKED", "CONTIGUOUS", "SHARED"])
        equal(found["SHARED"].kind, DmaKind.SHARED)
        fails(OSError, edu.dma_alloc, 0)
        fails(OSError, edu.dma_set_mask, 28)
        fails(FileNotFoundError, edu.dma_attach, "nobody's")
        again = edu.dma_attach("SHARED")
        again[0:2] = b"hi"
        again.free()


@on("stub")
def pinned():
    with userpci.open(EDU) as edu, mmap.mmap(-1, 8192) as memory:
        buffer = edu.dma_pin(memory)
        fails(BufferError, memory.close)  # while the device has it
        buffer[4096:4099] = b"abc"
        equal(memory[4096:4099], b"abc")
        equal(buffer.kind, DmaKind.PINNED)
        buffer.free()
    fails(TypeError, edu.dma_pin, b"read-only")


# --- Interrupts and events ---


@on("qemu", "stub")
def interrupts_by_select():
    with userpci.open(EDU) as edu:
        regs = edu.region_map(0)
        edu.bus_master_enable()
        equal(edu.irq_kind, None)
        for kind in (IrqKind.MSI, IrqKind.INTX):
            (irq,) = edu.irq_enable(kind)
            equal(edu.irq_kind, kind)
            equal(select.select([irq], [], [], 0)[0], [])
            for _ in range(3):
                regs.write32(0x60, 1)
                equal(select.select([irq], [], [], 5)[0], [irq])
                equal(irq.wait(0), 1)
                regs.write32(0x64, 1)
                irq.unmask()
            fails(TimeoutError, irq.wait, 0)
            fails(TimeoutError, irq.wait, 0.02)
        edu.irq_disable()
        fails(OSError, irq.fileno)
        fails(OSError, edu.irq_enable, IrqKind.MSIX)


@on("qemu", "stub")
def mask():
    with userpci.open(EDU) as edu:
        regs = edu.region_map(0)
        edu.bus_master_enable()
        (irq,) = edu.irq_enable(IrqKind.MSI)
        irq.mask()
        regs.write32(0x60, 1)
        fails(TimeoutError, irq.wait, 0.05)
        irq.unmask()
        equal(irq.wait(5), 1)


@on("qemu", "stub")
def other_threads_run_while_one_waits():
    with userpci.open(EDU) as edu:
        regs = edu.region_map(0)
        edu.bus_master_enable()
        (irq,) = edu.irq_enable()
        thread = threading.Timer(0.1, regs.write32, (0x60, 1))
        thread.start()
        equal(irq.wait(5), 1)
        thread.join()


@on("qemu", "stub")
def signal_handlers_run_while_one_waits():
    class Alarm(Exception):
        pass

    def handler(number, frame):
        del number, frame
        raise Alarm

    with userpci.open(EDU) as edu:
        (irq,) = edu.irq_enable()
        before = signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        fails(Alarm, irq.wait)
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        start = time.monotonic()
        fails(TimeoutError, irq.wait, 0.1)
        assert time.monotonic() - start > 0.09
        signal.signal(signal.SIGALRM, before)


@on("stub")
def events_and_statistics():
    with userpci.open(EDU) as edu, userpci.open(EDU, observe=True) as observer:
        regs = edu.region_map(0)
        edu.bus_master_enable()
        fails(TimeoutError, edu.event_wait, 0)
        (irq,) = edu.irq_enable()
        before = observer.stats()
        regs.write32(0x60, 1)
        irq.wait(5)
        now = observer.stats()
        equal(now.interrupts[0] - before.interrupts[0], 1)
        equal(now.owner, os.getpid())
        irq.limit(1)
        for _ in range(2):
            regs.write32(0x64, 1)
            regs.write32(0x60, 1)
            irq.wait(5)
        equal(select.select([edu.event_fd()], [], [], 5)[0], [edu.event_fd()])
        equal(edu.event_wait(5)[:2], (EventType.STORM, 0))
        equal(observer.stats().storms[0], 1)


@on("stub")
def observers():
    with userpci.open(EDU) as edu, userpci.open(EDU, observe=True) as observer:
        buffer = edu.dma_alloc(4096, DmaKind.SHARED, name="seen")
        buffer[0:5] = b"hello"
        attached = observer.dma_attach("seen")
        equal(attached[0:5], b"hello")
        fails(PermissionError, attached.__setitem__, slice(0, 1), b"j")
        assert attached.view.readonly
        regs = observer.region_map(0)
        fails(PermissionError, regs.write32, 4, 1)
        fails(PermissionError, regs.__setitem__, slice(4, 8), b"1234")
        assert regs.view.readonly
        fails(PermissionError, observer.bus_master_enable)
        fails(OSError, userpci.open, EDU)  # it has an owner


@on("qemu")
def no_events_here():
    with userpci.open(EDU) as edu:
        equal(edu.stats(), None)
        equal(fails(OSError, edu.event_wait, 0).errno, errno.EOPNOTSUPP)
        equal(fails(OSError, edu.reset).errno, errno.EOPNOTSUPP)


# --- The rest ---


@on("qemu", "stub")
def configuration_space():
    with userpci.open(EDU) as edu:
        equal(edu.config_read(0), 0x11E81234)
        equal(edu.config_read(2, 2), 0x11E8)
        msi = edu.config_find(5)
        equal(edu.config_read(msi, 1), 5)
        equal(edu.config_find(5, msi), None)
        edu.config_write(0x0C, 0x10, 1)
        equal(edu.config_read(0x0C, 1), 0x10)
        fails(PermissionError, edu.config_write, 0x10, 0)
        fails(OSError, edu.config_read, 1)


@on("qemu")
def reset():
    with userpci.open("qemu:nvme,serial=0") as nvme:
        regs = nvme.region_map(0)
        regs.write32(0x14, 0x60000)
        nvme.reset()
        equal(regs.read32(0x14), 0)


@on("qemu")
def wire():
    with userpci.open("qemu:rtl8139") as nic, nic.wire() as cable:
        assert isinstance(cable, socket.socket)
        regs, buffer = nic.region_map(1), nic.dma_alloc(4096)
        nic.bus_master_enable()
        regs.write8(0x37, 0x04)  # transmitter on
        buffer[0:60] = bytes(range(60))
        regs.write32(0x20, buffer.iova)
        regs.write32(0x10, 60)
        cable.settimeout(5)
        equal(cable.recv(2000)[:60], bytes(range(60)))


@on("qemu")
def trace_and_faults():
    path = f"{os.environ['PYTHON_WORK']}/edu.trace"
    with userpci.open(EDU) as edu:
        edu.trace_start(path)
        regs = edu.region_map(0)
        value = regs.read32(0)
        edu.trace_stop()
    with userpci.open("replay:" + path) as edu:
        equal(edu.region_map(0).read32(0), value)
    with userpci.open(EDU) as edu:
        edu.fault_set(fail_alloc=1)
        equal(fails(OSError, edu.dma_alloc, 4096).errno, errno.ENOMEM)


def main():
    global EDU
    place = sys.argv[1]
    EDU = (sys.argv[2:] or [EDU])[0]
    failed = 0
    for test in tests[place]:
        signal.alarm(60)  # one that hangs ends them all
        try:
            test()
            print(f"ok python_{test.__name__}", flush=True)
        except Exception as error:
            failed = 1
            line = traceback.extract_tb(error.__traceback__)[1].lineno
            print(f"not ok python_{test.__name__}: line {line}: {error!r}", flush=True)
    return failed


sys.exit(main())
