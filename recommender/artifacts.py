"""Model files: arrays by name in one .npz, written atomically, memory-mapped when read.

A file holds works and never a patron. Members are stored uncompressed, each beginning
at a multiple of 64 bytes, so that `open_arrays` can map them where they lie: however
many processes serve, the vectors are in memory once. The same arrays give the same
bytes, so the hash of a file tells whether two trainings agree.
"""

import hashlib
import math
import mmap
import os
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from library.errors import NotFound

Array = npt.NDArray[Any]

_ALIGNMENT = 64
_PADDING = 0xD935
"""Marks an extra field that only pads; readers pass over ids they do not know."""
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def save_arrays(path: Path, arrays: Mapping[str, Array]) -> str:
    """Write the arrays under their names; return the file's SHA-256.

    Whoever reads at the same time sees the old file or the new one, never a half.

    Raises:
        ValueError: An array holds Python objects, which would need pickle.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            _write(file, arrays)
            file.flush()
            os.fsync(file.fileno())
        digest = sha256_of(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return digest


def open_arrays(path: Path) -> dict[str, Array]:
    """Return the arrays of a file by name, read-only and mapped from disk.

    Raises:
        NotFound: The file is not there, or is no model file.
    """
    try:
        # One handle throughout: the name may point to a newer file by the next line.
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            body = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            return {
                member.filename.removesuffix(".npy"): _mapped(body, file, member)
                for member in archive.infolist()
            }
    except FileNotFoundError as error:
        raise NotFound(f"{path}: the model file is gone; train again") from error
    except (zipfile.BadZipFile, ValueError) as error:
        raise NotFound(f"{path}: not a model file; train again") from error


def sha256_of(path: Path) -> str:
    """Return the file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pack_words(words: Sequence[str]) -> Array:
    """Turn words into an array of bytes: no fixed width, no Python object."""
    return np.frombuffer("\0".join(words).encode(), np.uint8)


def unpack_words(packed: Array) -> tuple[str, ...]:
    """Return the words that `pack_words` packed; no word may be empty."""
    text = packed.tobytes().decode()
    return tuple(text.split("\0")) if text else ()


def _write(file: BinaryIO, arrays: Mapping[str, Array]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            member = zipfile.ZipInfo(f"{name}.npy", _LONG_AGO)
            member.extra = _padding(file.tell(), member.filename)
            with archive.open(member, "w", force_zip64=True) as target:
                np.lib.format.write_array(
                    target, np.ascontiguousarray(arrays[name]), allow_pickle=False
                )


def _padding(at: int, filename: str) -> bytes:
    # 30 bytes of local header, the name, 20 of the 64-bit sizes, 4 of our own field.
    begins = at + 30 + len(filename.encode()) + 20 + 4
    return struct.pack("<HH", _PADDING, -begins % _ALIGNMENT) + bytes(
        -begins % _ALIGNMENT
    )


def _mapped(body: mmap.mmap, file: BinaryIO, member: zipfile.ZipInfo) -> Array:
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{member.filename} is compressed")
    file.seek(member.header_offset + 26)
    name, extra = struct.unpack("<HH", file.read(4))
    file.seek(member.header_offset + 30 + name + extra)
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise ValueError(f"{member.filename} holds Python objects")
    flat = np.frombuffer(body, dtype, math.prod(shape), file.tell())
    return flat.reshape(shape, order="F" if fortran else "C")
