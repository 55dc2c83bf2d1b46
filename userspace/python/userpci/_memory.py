# SPDX-License-Identifier: MIT
"""Regions and DMA buffers: registers by their width, memory as bytes and memoryviews."""

from __future__ import annotations

import ctypes
import errno
import os
import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any, List, NamedTuple, Optional, Tuple, Type, Union

from . import _lib

if TYPE_CHECKING:
    from ._device import Device

Bytes = Union[bytes, bytearray, memoryview]


class Chunk(NamedTuple):
    """A piece of a buffer: its bytes from `offset` on are consecutive for the device, too."""

    offset: int
    iova: int
    size: int


def _bounds(index: slice, size: int) -> Tuple[int, int]:
    """Where a slice begins and how long it is."""
    if not isinstance(index, slice):
        raise TypeError("a slice is wanted; for a register: read32() and so on")
    start, stop, step = index.indices(size)
    if step != 1:
        raise ValueError("only slices without a step")
    return start, max(0, stop - start)


class _Mapped:
    """What is mapped, and by what it is given back. Its views keep the device open."""

    _device: Optional["Device"]
    _writable: bool

    def __init__(self, device: "Device", writable: bool) -> None:
        self._device = device
        self._writable = writable
        self._exporter: Optional[weakref.ref[Any]] = None

    def _open(self) -> "Device":
        if self._device is None or self._device.closed:
            raise ValueError("it is no longer mapped")
        return self._device

    def _export(self, va: Optional[int], size: int) -> memoryview:
        """The mapped bytes. All views of them share one exporter, which tells whether any lives."""
        self._open()
        if not va:
            raise ValueError("it is not mapped here: use slices, which copy")
        exporter = self._exporter() if self._exporter else None
        if exporter is None:
            kind: Any = type("Memory", ((ctypes.c_char * size),), {})
            exporter = kind.from_address(va)
            exporter.owner = self
            self._exporter = weakref.ref(exporter)
        view = memoryview(exporter).cast("B")
        return view if self._writable else view.toreadonly()

    def _check_unused(self) -> None:
        if self._exporter and self._exporter() is not None:
            raise BufferError("a view of it is still in use: delete it first")

    def _release(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Any:
        self._open()
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        try:
            self._release()
        except BufferError:
            if kind is None:  # else the traceback may hold the view; the device's end comes later
                raise


class Region(_Mapped):
    """A BAR. Registers: read32(offset), write32(offset, value). Memory: slices and `view`."""

    def __init__(self, device: "Device", raw: _lib.CRegion) -> None:
        super().__init__(device, not device.observe)
        self._raw = raw
        self.index: int = raw.index
        self.size: int = raw.size
        self.flags = _lib.RegionFlags(raw.flags)
        self.mapped = bool(raw.va)

    def __repr__(self) -> str:
        return f"<userpci.Region {self.index}: {self.size:#x} bytes, {self.flags!r}>"

    def __len__(self) -> int:
        return self.size

    def _place(self, offset: int, width: int) -> Any:
        self._open()
        if offset < 0 or offset + width > self.size:
            raise IndexError(f"{offset:#x}: outside of the region, of {self.size:#x} bytes")
        if offset % width:
            raise ValueError(f"{offset:#x}: not a multiple of {width}")
        if width == 8 and self.flags & _lib.RegionFlags.IO:
            raise ValueError("I/O space has accesses of 1, 2 and 4 bytes")
        return ctypes.byref(self._raw)

    def _read(self, offset: int, width: int) -> int:
        value = _lib.call("region_read", self._place(offset, width), offset, width)
        assert isinstance(value, int)
        return value & ((1 << 8 * width) - 1)

    def _write(self, offset: int, width: int, value: int) -> None:
        place = self._place(offset, width)
        self._check_writable()
        if not -(1 << 8 * width - 1) <= value < 1 << 8 * width:
            raise OverflowError(f"{value:#x}: more than {width} bytes")
        _lib.call("region_write", place, offset, width, value & ((1 << 8 * width) - 1))

    def _check_writable(self) -> None:
        if not self._writable:
            raise PermissionError(errno.EACCES, "an observer can change nothing")

    def read8(self, offset: int) -> int:
        """The byte at `offset`: one access."""
        return self._read(offset, 1)

    def read16(self, offset: int) -> int:
        """The 16 bits at `offset`: one access."""
        return self._read(offset, 2)

    def read32(self, offset: int) -> int:
        """The 32 bits at `offset`: one access."""
        return self._read(offset, 4)

    def read64(self, offset: int) -> int:
        """The 64 bits at `offset`: one access."""
        return self._read(offset, 8)

    def write8(self, offset: int, value: int) -> None:
        """Writes a byte: one access."""
        self._write(offset, 1, value)

    def write16(self, offset: int, value: int) -> None:
        """Writes 16 bits: one access."""
        self._write(offset, 2, value)

    def write32(self, offset: int, value: int) -> None:
        """Writes 32 bits: one access."""
        self._write(offset, 4, value)

    def write64(self, offset: int, value: int) -> None:
        """Writes 64 bits: one access."""
        self._write(offset, 8, value)

    def __getitem__(self, index: slice) -> bytes:
        """Copies memory of the device, in accesses of any width: not for registers."""
        start, size = _bounds(index, self.size)
        data = ctypes.create_string_buffer(size)
        what = self._open().address
        _lib.attempt(what, "region_read_block", ctypes.byref(self._raw), start, data, size)
        return data.raw

    def __setitem__(self, index: slice, data: Bytes) -> None:
        start, size = _bounds(index, self.size)
        copy = bytes(data)
        if len(copy) != size:
            raise ValueError(f"{len(copy)} bytes for {size}")
        what = self._open().address
        self._check_writable()
        _lib.attempt(what, "region_write_block", ctypes.byref(self._raw), start, copy, size)

    @property
    def view(self) -> memoryview:
        """The bytes in place, where the region is `mapped`: for memory, not for registers."""
        return self._export(self._raw.va, self.size)

    def unmap(self) -> None:
        """Gives the map back. BufferError while a view of it lives."""
        self._release()

    def _release(self) -> None:
        if self._device is None:
            return
        self._check_unused()
        if not self._device.closed:
            _lib.call("region_unmap", ctypes.byref(self._raw))
            self._device._forget(self)
        self._device = None


class Dma(_Mapped):
    """Memory that the process and the device share: `view` here, `iova` there."""

    def __init__(self, device: "Device", raw: _lib.CDma, name: str) -> None:
        super().__init__(device, not device.observe)
        self._raw = raw
        self.name = name
        self.size: int = raw.size
        self.iova: int = raw.iova
        self.handle: int = raw.handle
        self.kind = _lib.DmaKind(raw.kind)

    def __repr__(self) -> str:
        return f"<userpci.Dma {self.kind.name}: {self.size:#x} bytes at iova {self.iova:#x}>"

    def __len__(self) -> int:
        return self.size

    @property
    def chunks(self) -> List[Chunk]:
        """The pieces that it has for the device."""
        what, chunk, found = self._open().address, _lib.CDmaChunk(), []
        for i in range(self._raw.chunks):
            _lib.attempt(what, "dma_chunk", ctypes.byref(self._raw), i, ctypes.byref(chunk))
            found.append(Chunk(chunk.offset, chunk.iova, chunk.size))
        return found

    def iova_at(self, offset: int) -> int:
        """The device's address of the byte at `offset`."""
        for chunk in self.chunks:
            if 0 <= offset - chunk.offset < chunk.size:
                return chunk.iova + offset - chunk.offset
        raise IndexError(f"{offset:#x}: outside of the buffer, of {self.size:#x} bytes")

    @property
    def view(self) -> memoryview:
        """The bytes in place. `view.cast("I")` makes words of them, numpy.frombuffer() an array."""
        return self._export(self._raw.va, self.size)

    def __getitem__(self, index: slice) -> bytes:
        start, size = _bounds(index, self.size)
        return bytes(self.view[start : start + size])

    def __setitem__(self, index: slice, data: Bytes) -> None:
        start, size = _bounds(index, self.size)
        if not self._writable:
            raise PermissionError(errno.EACCES, "an observer can change nothing")
        self.view[start : start + size] = data

    def free(self) -> None:
        """Gives the memory back. The device must no longer use it. BufferError: a view lives."""
        self._release()

    def _release(self) -> None:
        if self._device is None:
            return
        self._check_unused()
        if not self._device.closed:
            end = "dma_detach" if self._raw.attached else "dma_free"
            _lib.call(end, ctypes.byref(self._raw))
            self._device._forget(self)
        self._device = None


def describe(memory: object) -> Tuple[Any, int, int]:
    """A writable buffer of the caller's: what keeps it in place, its address and its size."""
    exporter = (ctypes.c_char * memoryview(memory).nbytes).from_buffer(memory)  # type: ignore
    return exporter, ctypes.addressof(exporter), len(exporter)


def encode(name: Optional[str]) -> Optional[bytes]:
    return None if name is None else os.fsencode(name)
