# SPDX-License-Identifier: MIT
"""Chunks that are only in the store, for layout_reader.py: written from docs/manifest.md and the
section "Chunks that are only in the store" of docs/segment-layout.md.  Python's standard library,
no Untorn library, no LZ4.
"""
import os
import struct


class Gone(Exception):
    """The store does not have this state of the array (any more)."""


class Damaged(Exception):
    """A file of the store is not what a manifest says."""


def read(path):
    with open(path, "rb") as file:
        return file.read()


def padded(count):
    return (count + 7) // 8 * 8


# --- codec "lz4": byte shuffle and LZ4 in the container of Blosc 1 -------------------------------

def lz4_block(data, length):
    out, at = bytearray(), 0
    while True:
        token, at = data[at], at + 1
        count = token >> 4
        if count == 15:
            while True:
                byte, at = data[at], at + 1
                count += byte
                if byte != 255:
                    break
        out += data[at:at + count]
        at += count
        if at >= len(data):
            break
        back, at = data[at] | data[at + 1] << 8, at + 2
        count = (token & 15) + 4
        if token & 15 == 15:
            while True:
                byte, at = data[at], at + 1
                count += byte
                if byte != 255:
                    break
        for _ in range(count):
            out.append(out[-back])
    if len(out) != length:
        raise Damaged("LZ4 block")
    return bytes(out)


def blosc(data):
    _, _, flags, typesize, nbytes, blocksize, cbytes = struct.unpack_from("<BBBBIII", data, 0)
    if cbytes != len(data):
        raise Damaged("Blosc header")
    if flags & 2:
        return data[16:16 + nbytes]
    out, at = bytearray(), 16
    for begin in range(0, nbytes, blocksize):
        length = min(blocksize, nbytes - begin)
        start, = struct.unpack_from("<I", data, at)
        at += 4
        whole = length == blocksize and typesize <= 16 and length // typesize >= 128
        pieces = 1 if flags & 16 or not whole else typesize
        block = bytearray()
        for _ in range(pieces):
            size, = struct.unpack_from("<I", data, start)
            piece = data[start + 4:start + 4 + size]
            block += piece if size == length // pieces else lz4_block(piece, length // pieces)
            start += 4 + size
        if flags & 1 and typesize > 1:
            count = length // typesize
            plain = bytearray(block)
            for i in range(typesize):
                plain[i:count * typesize:typesize] = block[i * count:(i + 1) * count]
            block = plain
        out += block
    return bytes(out)


# --- manifests -----------------------------------------------------------------------------------

class Manifest:
    def __init__(self, path, kind, xxh3):
        self.data = data = read(path)
        if len(data) < 80 or data[:8] != b"UNTORNM\n":
            raise Damaged(path)
        version, _, found, required, self.head = struct.unpack_from("<5I", data, 8)
        self.count, length, magic, self.hash = struct.unpack_from("<4Q", data, len(data) - 32)
        if version != 1 or required or found != kind or length != len(data) or \
                magic != 0x0A454E524F544E55 or (xxh3 and xxh3(data[:-8]) != self.hash):
            raise Damaged(path)


class Snapshot(Manifest):
    def __init__(self, path, xxh3):
        super().__init__(path, 2, xxh3)
        self.arrays = {}
        self.commit, = struct.unpack_from("<Q", self.data, 48)
        self.nonce = struct.unpack_from("<QQ", self.data, 72)
        self.origin_nonce = struct.unpack_from("<QQ", self.data, 88)
        self.origin_commit, = struct.unpack_from("<Q", self.data, 104)
        at = self.head
        for _ in range(self.count):
            size, kind, uid = struct.unpack_from("<IIQ", self.data, at)
            data_commit, = struct.unpack_from("<Q", self.data, at + 32)
            length, check = struct.unpack_from("<2Q", self.data, at + 48)
            name, directory = struct.unpack_from("<2I", self.data, at + 64)
            text = self.data[at + 80:at + size]
            if kind == 3:
                self.arrays[text[:name].decode()] = (
                    uid, data_commit, text[name + 1:name + 1 + directory].decode(), length, check)
            at += size


class Array(Manifest):
    def __init__(self, directory, xxh3):
        super().__init__(directory + "/.manifest", 1, xxh3)
        self.directory = directory
        self.uid, = struct.unpack_from("<Q", self.data, 48)
        rank, record, definition, attributes = struct.unpack_from("<IIQQ", self.data, 88)
        self.shape = struct.unpack_from("<%dQ" % rank, self.data, 128)
        text = self.data[self.head:self.head + definition]
        self.codec = text[40:48].rstrip(b"\0").decode()
        at = self.head + padded(definition) + padded(attributes + 1)
        self.records = {}
        for _ in range(self.count):
            number, version, size, check = struct.unpack_from("<4Q", self.data, at)
            extent = struct.unpack_from("<%dQ" % rank, self.data, at + 32)
            self.records[number] = (version, size, check, extent)
            at += record


class History:
    """The segment's, out of its superblock."""

    def __init__(self, nonce0, nonce1, origin_commit, origin_nonce0, origin_nonce1, epoch):
        self.nonce, self.origin_nonce = (nonce0, nonce1), (origin_nonce0, origin_nonce1)
        self.origin_commit, self.epoch = origin_commit, epoch

    def commit_of(self, snapshot):
        """The commit that the snapshot counts as being of; 0: of none."""
        if snapshot.nonce == (0, 0):
            return snapshot.commit if snapshot.commit >> 48 <= self.epoch else 0
        if snapshot.nonce == self.nonce:
            return snapshot.commit
        if snapshot.nonce == self.origin_nonce and snapshot.commit <= self.origin_commit:
            return snapshot.commit
        return snapshot.origin_commit if snapshot.origin_nonce == self.nonce else 0


class Store:
    def __init__(self, path, xxh3, history):
        self.path, self.xxh3, self.history = os.fsdecode(path), xxh3, history
        self.snapshots, self.arrays = {}, {}

    def find(self, definition, data_commit, version):
        """The array in the newest snapshot, from commit `version` on, that has it at or before
        `data_commit`."""
        commits = [int(name) for name in os.listdir(self.path + "/snapshots") if name.isdigit()]
        for commit in sorted(commits, reverse=True):
            if commit < version:
                break
            if commit not in self.snapshots:
                base = "%s/snapshots/%d" % (self.path, commit)
                try:
                    self.snapshots[commit] = Snapshot(base + "/.manifest", self.xxh3)
                except FileNotFoundError:
                    raise Gone
            counts = self.history.commit_of(self.snapshots[commit])
            found = self.snapshots[commit].arrays.get(definition.name)
            if found is None or found[0] != definition.uid or found[1] > data_commit or \
                    counts < max(version, found[1], 1):
                continue
            directory = "%s/arrays/%s" % (self.path, found[2]) if found[2] else \
                "%s/snapshots/%d/%s" % (self.path, commit, definition.name)
            if directory not in self.arrays:
                try:
                    array = Array(directory, self.xxh3)
                except FileNotFoundError:
                    raise Gone
                if (array.uid, len(array.data), array.hash) != (found[0], found[3], found[4]):
                    raise Damaged(directory)
                self.arrays[directory] = array
            return self.arrays[directory]
        raise Gone

    def chunk(self, definition, data_commit, place, extent, version, subtree):
        """The bytes of a chunk, None if it is absent."""
        array = self.find(definition, data_commit, version)
        grid = [(n + c - 1) // c for n, c in zip(array.shape, definition.chunks)]
        number = 0
        for i, n in zip(place, grid):
            number = number * n + i
        record = array.records.get(number) if all(i < n for i, n in zip(place, grid)) else None
        if record is None:
            if subtree:
                return None
            raise Gone
        if not (record[0] <= version if subtree else record[0] == version) or \
                any(have < need for have, need in zip(record[3], extent)):
            raise Gone
        path = array.directory + "/" + (".".join(map(str, place)) or "0")
        try:
            data = read(path)
        except FileNotFoundError:
            if os.path.isdir(array.directory):
                raise Damaged(path)
            raise Gone
        if len(data) != record[1] or (self.xxh3 and self.xxh3(data) != record[2]):
            raise Damaged(path)
        return blosc(data) if array.codec == "lz4" else data
