"""Changes what a stopped node's store carries, by RocksDB's own C interface: its format, or its bodies.

The identity record, see raft/storage/store_records.h: format of the record (1 byte), format of the store (4, little
endian), node and cluster, CRC-32C of all that.
"""

import contextlib
import ctypes
import ctypes.util

META_FAMILY = "meta"
BODY_FAMILY = "body"
IDENTITY_KEY = b"\x01I"


class StampFailed(Exception):
    """RocksDB's own words."""


def crc32c(octets):
    crc = 0xFFFFFFFF
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def with_format(record, number):
    """The identity record with another store format; the one that it had."""
    if int.from_bytes(record[-4:], "little") != crc32c(record[:-4]):
        raise StampFailed(f"not an identity record: {record!r}")
    sealed = record[:1] + number.to_bytes(4, "little") + record[5:-4]
    return sealed + crc32c(sealed).to_bytes(4, "little"), int.from_bytes(record[1:5], "little")


class _Library:
    def __init__(self):
        self._library = ctypes.CDLL(ctypes.util.find_library("rocksdb") or "librocksdb.so.7.8")

    def call(self, name, *arguments):
        """A function that returns a pointer or nothing, and reports errors by its last argument."""
        error = ctypes.c_char_p()
        function = getattr(self._library, name)
        function.restype = ctypes.c_void_p
        result = function(*arguments, ctypes.byref(error))
        if error.value:
            raise StampFailed(f"{name}: {error.value.decode()}")
        return result

    def make(self, name, *arguments):
        function = getattr(self._library, name)
        function.restype = ctypes.c_void_p
        return ctypes.c_void_p(function(*arguments))

    def is_true(self, name, *arguments):
        function = getattr(self._library, name)
        function.restype = ctypes.c_ubyte
        return function(*arguments) != 0

    def text(self, name, *arguments):
        """The octets of a function that returns a pointer and writes the length behind its last argument."""
        length = ctypes.c_size_t()
        function = getattr(self._library, name)
        function.restype = ctypes.c_void_p
        return ctypes.string_at(function(*arguments, ctypes.byref(length)), length.value)


@contextlib.contextmanager
def _opened(directory, family_name):
    """(library, database, family) of the store in `directory`."""
    rocksdb = _Library()
    options = rocksdb.make("rocksdb_options_create")
    path = str(directory).encode()
    count = ctypes.c_size_t()
    listed = ctypes.c_void_p(rocksdb.call("rocksdb_list_column_families", options, path, ctypes.byref(count)))
    names = [name for name in ctypes.cast(listed, ctypes.POINTER(ctypes.c_char_p))[:count.value]]
    handles = (ctypes.c_void_p * len(names))()
    database = ctypes.c_void_p(rocksdb.call(
        "rocksdb_open_column_families", options, path, len(names), (ctypes.c_char_p * len(names))(*names),
        (ctypes.c_void_p * len(names))(*[options] * len(names)), handles))
    try:
        yield rocksdb, database, ctypes.c_void_p(handles[names.index(family_name.encode())])
        rocksdb.call("rocksdb_flush_wal", database, ctypes.c_ubyte(1))
    finally:
        for handle in handles:
            rocksdb.make("rocksdb_column_family_handle_destroy", ctypes.c_void_p(handle))
        rocksdb.make("rocksdb_close", database)


def _put(rocksdb, database, family, key, record):
    rocksdb.call("rocksdb_put_cf", database, rocksdb.make("rocksdb_writeoptions_create"), family, key,
                 ctypes.c_size_t(len(key)), record, ctypes.c_size_t(len(record)))


def set_store_format(directory, number):
    """Writes `number` as the format of the store in `directory`; returns the former one."""
    with _opened(directory, META_FAMILY) as (rocksdb, database, family):
        length = ctypes.c_size_t()
        found = rocksdb.call("rocksdb_get_cf", database, rocksdb.make("rocksdb_readoptions_create"), family,
                             IDENTITY_KEY, ctypes.c_size_t(len(IDENTITY_KEY)), ctypes.byref(length))
        if not found:
            raise StampFailed("the store has no identity record")
        record, former = with_format(ctypes.string_at(found, length.value), number)
        _put(rocksdb, database, family, IDENTITY_KEY, record)
        return former


def damage_bodies(directory):
    """Flips a bit in the last byte of every body; returns how many there were."""
    with _opened(directory, BODY_FAMILY) as (rocksdb, database, family):
        damaged = {}
        place = rocksdb.make("rocksdb_create_iterator_cf", database, rocksdb.make("rocksdb_readoptions_create"),
                             family)
        rocksdb.make("rocksdb_iter_seek_to_first", place)
        while rocksdb.is_true("rocksdb_iter_valid", place):
            key, record = (rocksdb.text(f"rocksdb_iter_{part}", place) for part in ("key", "value"))
            damaged[key] = record[:-1] + bytes([record[-1] ^ 1])
            rocksdb.make("rocksdb_iter_next", place)
        rocksdb.make("rocksdb_iter_destroy", place)
        for key, record in damaged.items():
            _put(rocksdb, database, family, key, record)
        return len(damaged)
