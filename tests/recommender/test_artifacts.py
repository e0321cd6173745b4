import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from library.errors import NotFound
from recommender.artifacts import (
    Array,
    open_arrays,
    pack_words,
    save_arrays,
    sha256_of,
    unpack_words,
)

ARRAYS: dict[str, Array] = {
    "works/factors": np.arange(12, dtype=np.float32).reshape(4, 3),
    "ids": np.array([5, 7, 9], np.int64),
    "nothing": np.empty((0, 3), np.float32),
    "flags": np.array([True, False]),
}


def test_gives_back_what_was_saved(tmp_path: Path) -> None:
    save_arrays(tmp_path / "model.npz", ARRAYS)

    found = open_arrays(tmp_path / "model.npz")

    assert set(found) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_maps_aligned_and_read_only(tmp_path: Path) -> None:
    save_arrays(tmp_path / "model.npz", ARRAYS)

    factors = open_arrays(tmp_path / "model.npz")["works/factors"]

    assert not factors.flags.owndata
    assert factors.ctypes.data % 64 == 0
    with pytest.raises(ValueError, match="read-only"):
        factors[0, 0] = 1


def test_numpy_reads_the_file_too(tmp_path: Path) -> None:
    save_arrays(tmp_path / "model.npz", ARRAYS)

    with np.load(tmp_path / "model.npz", allow_pickle=False) as plain:
        np.testing.assert_array_equal(plain["ids"], ARRAYS["ids"])


def test_same_arrays_same_bytes(tmp_path: Path) -> None:
    one = save_arrays(tmp_path / "one.npz", ARRAYS)
    two = save_arrays(tmp_path / "two.npz", dict(reversed(ARRAYS.items())))

    assert one == two == sha256_of(tmp_path / "two.npz")


def test_refuses_python_objects(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bject"):
        save_arrays(tmp_path / "model.npz", {"x": np.array([{}], object)})

    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    save_arrays(tmp_path / "model.npz", ARRAYS)

    with pytest.raises(ValueError, match="bject"):
        save_arrays(tmp_path / "model.npz", {"x": np.array([{}], object)})

    assert "ids" in open_arrays(tmp_path / "model.npz")


@pytest.mark.parametrize("body", [b"", b"not a zip", b"PK\x03\x04"])
def test_junk_is_not_found_and_no_traceback(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "model.npz").write_bytes(body)

    with pytest.raises(NotFound, match="train again"):
        open_arrays(tmp_path / "model.npz")


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="train again"):
        open_arrays(tmp_path / "gone.npz")


@pytest.mark.parametrize("words", [(), ("کتاب", "library"), ("a",)])
def test_words_go_there_and_back(words: tuple[str, ...]) -> None:
    assert unpack_words(pack_words(words)) == words


def _save_many(path: Path, value: int) -> None:
    for _ in range(20):
        save_arrays(path, {"x": np.full(20_000, value, np.float32)})


def test_a_reader_never_sees_a_half_written_file(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    save_arrays(path, {"x": np.zeros(20_000, np.float32)})
    writer = multiprocessing.get_context("spawn").Process(
        target=_save_many, args=(path, 1)
    )
    writer.start()
    while writer.is_alive():
        assert len(np.unique(open_arrays(path)["x"])) == 1
    writer.join()
