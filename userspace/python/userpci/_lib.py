# SPDX-License-Identifier: MIT
"""libuserpci by ctypes: structures, prototypes, and errors as OSError.

tests/unit/python.sh compares the structures and constants with the headers.
"""

from __future__ import annotations

import ctypes
import enum
import errno
import os
import pathlib
from ctypes import POINTER, c_char, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint
from ctypes import c_uint16, c_uint32, c_uint64, c_void_p

NAME_BYTES = 32
NUM_EVENTS = 64
OPEN_OBSERVE = 1


class InfoFlags(enum.IntFlag):
    """What holds for the function."""

    IOMMU = 1
    RESET = 2


class RegionFlags(enum.IntFlag):
    """What a region is."""

    MMAP = 1
    CALLS = 2
    IO = 4
    WIDE = 8  # USERPCI_REGION_64
    PREFETCH = 16
    MSIX = 32
    WC = 64


class DmaKind(enum.IntEnum):
    """Where a buffer's memory comes from."""

    CONTIGUOUS = 0
    CHUNKED = 1
    SHARED = 2
    PINNED = 3


class IrqKind(enum.IntEnum):
    """How interrupts come."""

    INTX = 0
    MSI = 1
    MSIX = 2
    BEST = 255


class EventType(enum.IntEnum):
    """What happened to a device."""

    REMOVE = 1
    GONE = 2
    ERROR = 3
    RESET = 4
    SUSPEND = 5
    RESUME = 6
    STORM = 7


class CInfo(ctypes.Structure):
    _fields_ = [
        ("address", c_char * 16),
        ("backend", c_char_p),
        ("vendor_id", c_uint16),
        ("device_id", c_uint16),
        ("subsystem_vendor_id", c_uint16),
        ("subsystem_id", c_uint16),
        ("class_code", c_uint32),
        ("flags", c_uint32),
        ("num_regions", c_uint32),
        ("num_intx", c_uint32),
        ("num_msi", c_uint32),
        ("num_msix", c_uint32),
        ("numa_node", c_int32),
    ]


class CRegion(ctypes.Structure):
    _fields_ = [
        ("va", c_void_p),
        ("size", c_uint64),
        ("index", c_uint32),
        ("flags", c_uint32),
        ("device", c_void_p),
    ]


class CDma(ctypes.Structure):
    _fields_ = [
        ("va", c_void_p),
        ("iova", c_uint64),
        ("size", c_uint64),
        ("handle", c_uint64),
        ("device", c_void_p),
        ("kind", c_uint32),
        ("chunks", c_uint32),
        ("attached", c_uint32),
        ("pieces", c_void_p),
    ]


class CDmaChunk(ctypes.Structure):
    _fields_ = [("offset", c_uint64), ("iova", c_uint64), ("size", c_uint64)]


class CDmaOptions(ctypes.Structure):
    _fields_ = [
        ("kind", c_uint32),
        ("size", c_uint64),
        ("name", c_char_p),
        ("address", c_void_p),
    ]


class CDmaInfo(ctypes.Structure):
    _fields_ = [
        ("name", c_char * NAME_BYTES),
        ("size", c_uint64),
        ("iova", c_uint64),
        ("handle", c_uint32),
        ("kind", c_uint32),
        ("chunks", c_uint32),
        ("references", c_uint32),
    ]


class CEvent(ctypes.Structure):
    _fields_ = [
        ("type", c_uint32),
        ("value", c_uint32),
        ("time_ns", c_uint64),
        ("lost", c_uint32),
    ]


class CFaults(ctypes.Structure):
    _fields_ = [
        ("gone_after", c_uint64),
        ("lose_irq", c_uint64),
        ("spurious_irq", c_uint64),
        ("delay_dma_us", c_uint64),
        ("fail_alloc", c_uint64),
    ]


class CUapiEvent(ctypes.Structure):
    _fields_ = [
        ("type", c_uint32),
        ("value", c_uint32),
        ("time_ns", c_uint64),
    ]


class CStats(ctypes.Structure):
    _fields_ = [
        ("size", c_uint32),
        ("state", c_uint32),
        ("owner", c_int32),
        ("irq_kind", c_uint32),
        ("irq_count", c_uint32),
        ("maps", c_uint32),
        ("dma_bytes", c_uint64),
        ("vectors_offset", c_uint32),
        ("num_vectors", c_uint32),
        ("reserved", c_uint32),
        ("num_events", c_uint32),
        ("events", CUapiEvent * NUM_EVENTS),
    ]


# Name: result and arguments. A result of `c_int` is 0 or more, or a negative errno.
_DEVICE, _REGION, _DMA = c_void_p, POINTER(CRegion), POINTER(CDma)
_PROTOTYPES = {
    "version": (c_char_p,),
    "open": (c_int, c_char_p, c_uint, POINTER(_DEVICE)),
    "close": (None, _DEVICE),
    "explain": (c_char_p, c_char_p, c_int, c_char_p, c_size_t),
    "info": (POINTER(CInfo), _DEVICE),
    "wire_fd": (c_int, _DEVICE),
    "reset": (c_int, _DEVICE),
    "bus_master_enable": (c_int, _DEVICE),
    "bus_master_disable": (c_int, _DEVICE),
    "region_map": (c_int, _DEVICE, c_uint, _REGION),
    "region_map_wc": (c_int, _DEVICE, c_uint, _REGION),
    "region_unmap": (None, _REGION),
    "region_read": (c_uint64, _REGION, c_uint64, c_uint),
    "region_write": (None, _REGION, c_uint64, c_uint, c_uint64),
    "region_read_block": (c_int, _REGION, c_uint64, c_void_p, c_size_t),
    "region_write_block": (c_int, _REGION, c_uint64, c_void_p, c_size_t),
    "dma_set_mask": (c_int, _DEVICE, c_uint),
    "dma_create": (c_int, _DEVICE, POINTER(CDmaOptions), _DMA),
    "dma_free": (None, _DMA),
    "dma_chunk": (c_int, _DMA, c_uint, POINTER(CDmaChunk)),
    "dma_attach": (c_int, _DEVICE, c_char_p, _DMA),
    "dma_detach": (None, _DMA),
    "dma_next": (c_int, _DEVICE, POINTER(c_uint32), POINTER(CDmaInfo)),
    "irq_enable": (c_int, _DEVICE, c_uint, c_uint),
    "irq_disable": (None, _DEVICE),
    "irq_kind": (c_int, _DEVICE),
    "irq_wait": (c_int, _DEVICE, c_uint, c_int64, POINTER(c_uint64)),
    "irq_fd": (c_int, _DEVICE, c_uint),
    "irq_mask": (c_int, _DEVICE, c_uint),
    "irq_unmask": (c_int, _DEVICE, c_uint),
    "irq_limit": (c_int, _DEVICE, c_uint, c_uint32),
    "stats": (POINTER(CStats), _DEVICE),
    "stats_interrupts": (c_uint64, POINTER(CStats), c_uint),
    "stats_storms": (c_uint32, POINTER(CStats), c_uint),
    "event_wait": (c_int, _DEVICE, c_int64, POINTER(CEvent)),
    "event_fd": (c_int, _DEVICE),
    "config_read": (c_int, _DEVICE, c_uint, c_uint, POINTER(c_uint32)),
    "config_write": (c_int, _DEVICE, c_uint, c_uint, c_uint32),
    "config_find": (c_int, _DEVICE, c_uint, POINTER(c_uint)),
    "trace_start": (c_int, _DEVICE, c_char_p),
    "trace_stop": (c_int, _DEVICE),
    "fault_set": (c_int, _DEVICE, POINTER(CFaults)),
}


def _library() -> str:
    """The file of the library: $USERPCI_LIBRARY, that of this source tree, or the system's."""
    named = os.environ.get("USERPCI_LIBRARY")
    if named:
        return named
    tree = pathlib.Path(__file__).resolve().parents[3]
    if (tree / "userspace/lib/userpci.map").exists():
        built = tree / os.environ.get("O", "build") / "lib/libuserpci.so.0"
        if built.exists():
            return str(built)
    return "libuserpci.so.0"


_lib = ctypes.CDLL(_library())
for _name, (_result, *_arguments) in _PROTOTYPES.items():
    _function = getattr(_lib, "userpci_" + _name)
    _function.restype = _result
    _function.argtypes = _arguments


def call(name: str, *arguments: object) -> object:
    """userpci_NAME(arguments), which cannot fail."""
    return getattr(_lib, "userpci_" + name)(*arguments)


def attempt(what: str, name: str, *arguments: object) -> int:
    """userpci_NAME(arguments); a negative result is raised, with `what` it was done to."""
    result: int = getattr(_lib, "userpci_" + name)(*arguments)
    if result < 0:
        raise OSError(-result, f"{name}: {os.strerror(-result)}", what)
    return result


def open_device(address: str, flags: int) -> c_void_p:
    """userpci_open(); an error has the library's explanation."""
    handle = c_void_p()
    text = ctypes.create_string_buffer(512)
    name = os.fsencode(address)
    result = _lib.userpci_open(name, flags, ctypes.byref(handle))
    if result < 0:
        _lib.userpci_explain(name, result, text, len(text))
        raise OSError(-result, os.fsdecode(text.value) or os.strerror(-result))
    return handle
