# SPDX-License-Identifier: MIT
"""A PCI function: opening, interrupts, configuration space, events."""

from __future__ import annotations

import ctypes
import errno
import math
import os
import socket
import time
import weakref
from types import TracebackType
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Type, Union

from . import _lib
from ._lib import DmaKind, EventType, InfoFlags, IrqKind
from ._memory import Dma, Region, describe, encode


class Info(NamedTuple):
    """What a function is."""

    address: str
    backend: str
    vendor_id: int
    device_id: int
    subsystem_vendor_id: int
    subsystem_id: int
    class_code: int
    flags: InfoFlags
    num_regions: int
    num_intx: int
    num_msi: int
    num_msix: int
    numa_node: int


class DmaInfo(NamedTuple):
    """What a DMA buffer of the device is, whoever created it."""

    name: str
    size: int
    iova: int
    handle: int
    kind: DmaKind
    chunks: int
    references: int


class Event(NamedTuple):
    """Something that happened to the device."""

    type: int  # of EventType
    value: int
    time_ns: int
    lost: int


class Stats(NamedTuple):
    """What the kernel had counted at that time."""

    owner: int
    maps: int
    dma_bytes: int
    interrupts: List[int]
    storms: List[int]


def _wait(what: str, name: str, timeout: Optional[float], step: Callable[[int], int]) -> None:
    """Calls step(microseconds) until it is not interrupted by a signal, or the time is over."""
    end = math.inf if timeout is None else time.monotonic() + timeout
    while True:
        left = -1 if timeout is None else max(0, math.ceil((end - time.monotonic()) * 1e6))
        result = step(left)
        if result == 0:
            return
        if result != -errno.EINTR:  # else Python has run the signal's handler meanwhile
            raise OSError(-result, f"{name}: {os.strerror(-result)}", what)


def _close(handle: ctypes.c_void_p, opener: int) -> None:
    """In a child after a fork the device is the parent's: to close it would stop it for both."""
    if os.getpid() == opener:
        _lib.call("close", handle)


def _event_type(number: int) -> int:
    """A later kernel may tell of more than this module knows."""
    return EventType(number) if number in list(EventType) else number


class Interrupt:
    """A vector. It has a fileno(), so select and asyncio wait for several."""

    def __init__(self, device: "Device", vector: int) -> None:
        self._device = device
        self.vector = vector

    def __repr__(self) -> str:
        return f"<userpci.Interrupt {self.vector}>"

    def _do(self, name: str, *arguments: object) -> int:
        device = self._device
        return _lib.attempt(device.address, name, device._handle, self.vector, *arguments)

    def fileno(self) -> int:
        """The eventfd of the vector: readable when interrupts came; wait(0) takes them."""
        return self._do("irq_fd")

    def wait(self, timeout: Optional[float] = None) -> int:
        """How many interrupts came, waiting for the first. TimeoutError: none in that time (s)."""
        count, device = ctypes.c_uint64(), self._device
        where = ctypes.byref(count)

        def step(time_us: int) -> int:
            result = _lib.call("irq_wait", device._handle, self.vector, time_us, where)
            assert isinstance(result, int)
            return result

        _wait(device.address, "irq_wait", timeout, step)
        return count.value

    def mask(self) -> None:
        """Holds the interrupts of the vector back."""
        self._do("irq_mask")

    def unmask(self) -> None:
        """Lets them in; after each INTx, when its cause is served."""
        self._do("irq_unmask")

    def limit(self, per_second: int) -> None:
        """Masks the vector when more arrive in a second; 0: never."""
        self._do("irq_limit", per_second)


class Device:
    """A PCI function that this process owns, or observes. Made by open()."""

    def __init__(self, address: str, observe: bool = False) -> None:
        handle = _lib.open_device(address, _lib.OPEN_OBSERVE if observe else 0)
        self._open: Optional[ctypes.c_void_p] = handle
        # Those that still have names. What has none the library keeps until the close; of pinned
        # memory, the caller's object is kept here.
        self._parts: weakref.WeakSet[Union[Region, Dma]] = weakref.WeakSet()
        self._pinned: Dict[int, object] = {}
        # At the interpreter's end the kernel gives the device back, which needs no order.
        self._end = weakref.finalize(self, _close, handle, os.getpid())
        self._end.atexit = False
        self.observe = observe
        raw: Any = _lib.call("info", handle)
        values = {field: getattr(raw.contents, field) for field in Info._fields}
        values["address"] = os.fsdecode(values["address"])
        values["backend"] = os.fsdecode(values["backend"])
        values["flags"] = InfoFlags(values["flags"])
        self.info = Info(**values)
        self.address = self.info.address

    def __repr__(self) -> str:
        i, end = self.info, " (closed)" if self.closed else ""
        return f"<userpci.Device {i.address} {i.vendor_id:04x}:{i.device_id:04x} {i.backend}{end}>"

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._open is None

    @property
    def _handle(self) -> ctypes.c_void_p:
        if self._open is None:
            raise ValueError("the device is closed")
        return self._open

    def _do(self, name: str, *arguments: object) -> int:
        return _lib.attempt(self.address, name, self._handle, *arguments)

    def _forget(self, part: Union[Region, Dma]) -> None:
        self._parts.discard(part)
        if isinstance(part, Dma):
            self._pinned.pop(part.handle, None)

    def close(self) -> None:
        """Gives the function back, its maps and buffers with it. BufferError while a view lives."""
        for part in self._parts:
            part._check_unused()
        self._open = None
        self._end()
        self._parts.clear()
        self._pinned.clear()

    def __enter__(self) -> "Device":
        _ = self._handle
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        try:
            self.close()
        except BufferError:
            if kind is None:  # else the traceback may hold the view; its end closes the device
                raise

    def reset(self) -> None:
        """Resets the function; bus mastering is off afterwards, all else stays."""
        self._do("reset")

    def bus_master_enable(self) -> None:
        """Lets the function start transactions: DMA, and MSI and MSI-X messages."""
        self._do("bus_master_enable")

    def bus_master_disable(self) -> None:
        """Forbids it."""
        self._do("bus_master_disable")

    # Regions and DMA memory

    def region_map(self, index: int, wc: bool = False) -> Region:
        """Makes BAR `index` accessible; `wc`: write-combining, for memory of the device."""
        raw = _lib.CRegion()
        self._do("region_map_wc" if wc else "region_map", index, ctypes.byref(raw))
        region = Region(self, raw)
        self._parts.add(region)
        return region

    def dma_set_mask(self, bits: int) -> None:
        """Says how many address bits the device drives; 32 after opening."""
        self._do("dma_set_mask", bits)

    def _dma_create(self, options: _lib.CDmaOptions, name: str) -> Dma:
        raw = _lib.CDma()
        self._do("dma_create", ctypes.byref(options), ctypes.byref(raw))
        dma = Dma(self, raw, name)
        self._parts.add(dma)
        return dma

    def dma_alloc(
        self, size: int, kind: DmaKind = DmaKind.CONTIGUOUS, name: Optional[str] = None
    ) -> Dma:
        """A zeroed buffer of at least `size` bytes; with a name other processes can attach it."""
        options = _lib.CDmaOptions(kind=kind, size=size, name=encode(name))
        return self._dma_create(options, name or "")

    def dma_pin(self, memory: object, name: Optional[str] = None) -> Dma:
        """A writable buffer of the caller's, whole pages (mmap.mmap(-1, size)), for the device."""
        keep, address, size = describe(memory)
        options = _lib.CDmaOptions(DmaKind.PINNED, size, encode(name), address)
        dma = self._dma_create(options, name or "")
        self._pinned[dma.handle] = keep
        return dma

    def dma_attach(self, name: str) -> Dma:
        """A buffer of another process, by its name; read-only for an observer."""
        raw = _lib.CDma()
        self._do("dma_attach", encode(name), ctypes.byref(raw))
        dma = Dma(self, raw, name)
        self._parts.add(dma)
        return dma

    def dma_list(self) -> Iterator[DmaInfo]:
        """The device's buffers, whoever created them."""
        cursor, raw = ctypes.c_uint32(0), _lib.CDmaInfo()
        while True:
            try:
                self._do("dma_next", ctypes.byref(cursor), ctypes.byref(raw))
            except FileNotFoundError:
                return
            name, kind = os.fsdecode(raw.name), DmaKind(raw.kind)
            yield DmaInfo(
                name, raw.size, raw.iova, raw.handle, kind, raw.chunks, raw.references
            )

    # Interrupts, events, statistics

    def irq_enable(self, kind: IrqKind = IrqKind.BEST, count: int = 1) -> List[Interrupt]:
        """Enables vectors 0 to `count` - 1; BEST: MSI-X, else MSI, else INTx."""
        self._do("irq_enable", kind, count)
        return [Interrupt(self, vector) for vector in range(count)]

    def irq_disable(self) -> None:
        """Disables them."""
        _lib.call("irq_disable", self._handle)

    @property
    def irq_kind(self) -> Optional[IrqKind]:
        """The kind that is enabled; None: none is."""
        kind = _lib.call("irq_kind", self._handle)
        assert isinstance(kind, int)
        return IrqKind(kind) if kind >= 0 else None

    def event_wait(self, timeout: Optional[float] = None) -> Event:
        """The next thing that happens to the device. TimeoutError: nothing in that time (s)."""
        raw, handle = _lib.CEvent(), self._handle

        def step(time_us: int) -> int:
            result = _lib.call("event_wait", handle, time_us, ctypes.byref(raw))
            assert isinstance(result, int)
            return result

        _wait(self.address, "event_wait", timeout, step)
        return Event(_event_type(raw.type), raw.value, raw.time_ns, raw.lost)

    def event_fd(self) -> int:
        """A descriptor that is readable when event_wait(0) has something."""
        return self._do("event_fd")

    def stats(self) -> Optional[Stats]:
        """What the kernel counts for the device; None: this backend's does not."""
        raw: Any = _lib.call("stats", self._handle)
        if not raw:
            return None
        counts: List[List[Any]] = [
            [_lib.call(name, raw, vector) for vector in range(raw.contents.num_vectors)]
            for name in ("stats_interrupts", "stats_storms")
        ]
        now = raw.contents
        return Stats(now.owner, now.maps, now.dma_bytes, *counts)

    # Configuration space

    def config_read(self, offset: int, width: int = 4) -> int:
        """1, 2 or 4 bytes of configuration space."""
        value = ctypes.c_uint32()
        self._do("config_read", offset, width, ctypes.byref(value))
        return value.value

    def config_write(self, offset: int, value: int, width: int = 4) -> None:
        """Writes where a process may; PermissionError elsewhere."""
        self._do("config_write", offset, width, value)

    def config_find(self, capability: int, after: int = 0) -> Optional[int]:
        """The offset of the first capability with that ID behind `after`; None: there is none."""
        offset = ctypes.c_uint(after)
        try:
            self._do("config_find", capability, ctypes.byref(offset))
        except FileNotFoundError:
            return None
        return offset.value

    # Where QEMU is the hardware; traces and faults

    def wire(self) -> socket.socket:
        """The other end of a network device's cable: send() and recv() of frames."""
        return socket.socket(fileno=os.dup(self._do("wire_fd")))

    def trace_start(self, path: Union[str, "os.PathLike[str]"]) -> None:
        """Records what is done to the device; to be called right after opening."""
        self._do("trace_start", os.fsencode(path))

    def trace_stop(self) -> None:
        """Ends the record."""
        self._do("trace_stop")

    def fault_set(self, **faults: int) -> None:
        """What goes wrong from now on: gone_after, lose_irq... as in struct userpci_faults."""
        self._do("fault_set", ctypes.byref(_lib.CFaults(**faults)))


def open(address: str, observe: bool = False) -> Device:
    """Opens a function by its address, "00:04.0", "vfio:00:04.0", "qemu:edu" or "replay:FILE".

    An error is an OSError with the library's explanation.
    """
    return Device(address, observe)


def version() -> str:
    """The library's version."""
    text = _lib.call("version")
    assert isinstance(text, bytes)
    return text.decode()
