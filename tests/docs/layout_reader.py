# SPDX-License-Identifier: MIT
"""A reader written from docs/segment-layout.md alone: Python's standard library, no Untorn library.

    layout_reader.py compare SEGMENT UNTORN     every array against what `UNTORN get` prints
    layout_reader.py stored SEGMENT UNTORN      the same, and some chunk has to come from the store
    layout_reader.py uniform SEGMENT ARRAY N    N reads of an array whose elements are all equal
    layout_reader.py signature                  the layout signature

It exists to show that the document suffices.  Letters in brackets are the document's steps.  Chunks
that are only in the store are read by store_reader.py.

Memory order: Python has no fences.  On x86-64 none are needed: loads are not reordered with loads,
and every load here is a call that the interpreter cannot move.  Elsewhere this program refuses to
run (exit status 77).  Exit status 0: all agreed; 1: something did not.
"""
import ast
import ctypes
import ctypes.util
import io
import itertools
import mmap
import os
import platform
import struct
import subprocess
import sys
import time

import store_reader

M64 = 2**64 - 1
MAGIC, VERSION = 0x0A314E524F544E55, 3
PAGE, UNIT, LINES, DIRECTORY, PER_PAGE, CELLS = 4096, 64, 256, 4096, 32, 32
MIN_SIZE, MAX_SIZE, MAX_RANK, MAX_DEPTH = 1 << 18, 1 << 43, 16, 13
DIRECTORY_OFFSET, STORE, HEAP = 20480, 53248, 57344
EVICTED, SUBTREE = 1 << 41, 1 << 42
RESTORING = 3
ATTRIBUTES = 200
CATALOGUE, GROUP, ARRAY, DELETED = 1, 2, 3, 0x100


class Overtaken(Exception):
    """What was read may have been reused: read again."""


class Corrupt(Exception):
    """What was read cannot be right, and was not overtaken."""


# --- hashing -----------------------------------------------------------------

def load_xxh3():
    """XXH3 with 64 bits and seed 0, or None: checks are left out then."""
    for name in ("libxxhash.so.0", ctypes.util.find_library("xxhash")):
        try:
            function = ctypes.CDLL(name).XXH3_64bits if name else None
        except (OSError, AttributeError):
            continue
        if function:
            function.restype = ctypes.c_uint64
            function.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
            return lambda data: function(bytes(data), len(data))
    return None


xxh3 = load_xxh3()


def signature():
    words = (VERSION, PAGE, UNIT, LINES, DIRECTORY, PER_PAGE, CELLS, MAX_DEPTH, MAX_RANK,
             2048, 2048, 256, 128, 128, 4096, HEAP, 0x0102030405060708)
    return xxh3(struct.pack("<17Q", *words))


def cell_check(ref, version, uid, level):
    x = (ref & (2**48 - 1)) * 0x9E3779B97F4A7C15 & M64
    x ^= (version + (uid << 8) + level + 1 & M64) * 0xC2B2AE3D27D4EB4F & M64
    x ^= x >> 29
    x = x * 0x165667B19E3779F9 & M64
    return x >> 48


# --- descriptors -------------------------------------------------------------

class Descriptor:
    def __init__(self, words):
        (self.stamp, self.check, self.next, self.uid, self.commit, self.data_commit, self.time,
         self.until, self.kind, self.root_ref, self.root_version, self.attributes_ref,
         self.attributes_version, self.slot_bytes, self.cells, self.changed) = words[:16]
        self.rank = self.kind >> 32 & 0xFF
        self.depth = self.kind >> 40 & 0xFF
        self.shape = tuple(words[16:16 + min(self.rank, MAX_RANK)])
        body = struct.pack("<%dQ" % (13 + len(self.shape)), *words[3:16 + len(self.shape)])
        self.good = (self.rank <= MAX_RANK and self.depth <= MAX_DEPTH and
                     (xxh3 is None or
                      xxh3(body) ^ (self.stamp * 0x9E3779B97F4A7C15 & M64) == self.check))


class Segment:
    # [A] attach
    def __init__(self, name):
        directory = os.environ.get("UNTORN_SHM_DIR") or "/dev/shm"
        self.fd = os.open("%s/untorn.%s" % (directory, name), os.O_RDONLY)
        length = os.fstat(self.fd).st_size
        if length < MIN_SIZE:
            raise Corrupt("truncated")
        first = os.pread(self.fd, 2048, 0)
        magic, version, lines, made = struct.unpack_from("<QIIQ", first, 0)
        size, = struct.unpack_from("<Q", first, 56)
        check, = struct.unpack_from("<Q", first, 88)
        if magic != MAGIC:
            raise Corrupt("no Untorn segment")
        if version != VERSION:
            raise Corrupt("format version %d" % version)
        if xxh3 and made != signature():
            raise Corrupt("layout signature %016x, not %016x" % (made, signature()))
        if xxh3 and check != xxh3(first[:88]):
            raise Corrupt("superblock")
        if not MIN_SIZE <= size <= MAX_SIZE or size % PAGE or lines != LINES:
            raise Corrupt("superblock limits")
        self.size = size
        self.map = None
        self.attach(length)
        if self.word(648) & 0xFFFFFFFF == RESTORING:
            raise Corrupt("it is being made from its store")
        self.store = None
        self.fetched = 0 # chunks read from the store

    def attach(self, length):
        """Map what is there.  (Python cannot map beyond the file's end; others map all of `size`.)"""
        self.map = mmap.mmap(self.fd, length, mmap.MAP_SHARED, mmap.PROT_READ)
        self.view = memoryview(self.map)
        self.words = self.view[:length // 8 * 8].cast("Q")
        self.reserve = length

    def word(self, offset):
        return self.words[offset // 8]

    def backed(self, offset, count):
        """[B] Whether `count` bytes at `offset` may be touched."""
        end = offset + count
        if offset < HEAP or end > self.size:
            return False
        if end > self.reserve:
            reserve = self.word(640)
            if end > reserve or reserve > self.size or os.fstat(self.fd).st_size < reserve:
                return False
            self.attach(reserve)
        return True

    def header(self, index):
        """The offset of an object's header."""
        page = self.word(DIRECTORY_OFFSET + index // PER_PAGE * 8)
        if page % PAGE or not self.backed(page, PAGE):
            raise Corrupt("directory")
        return page + index % PER_PAGE * 128

    # [C] one descriptor
    def load(self, slot, stamp):
        if self.word(slot) != stamp:
            return None
        words = list(self.words[slot // 8:slot // 8 + 32])
        if self.word(slot) != stamp:
            return None
        words[0] = stamp
        descriptor = Descriptor(words)
        if not descriptor.good:
            raise Corrupt("descriptor")
        return descriptor

    # [D] the newest committed generation
    def newest(self, header):
        generation = self.word(header)
        for _ in range(64):
            if generation == 0:
                break
            ring = self.word(header + 16)
            log2, offset = ring & 63, ring & ~63
            if log2 > 6 or not self.backed(offset, 256 << log2):
                raise Corrupt("ring")
            descriptor = self.load(offset + 256 * (generation & (1 << log2) - 1), generation)
            if descriptor is None or self.word(header + 16) & ~63 != offset:
                raise Overtaken
            if descriptor.commit <= self.word(256):
                return descriptor
            generation -= 1
        raise Overtaken

    def still(self, header, descriptor):
        """[G] Raise Overtaken unless everything read so far of this generation is valid."""
        if self.word(header + 8) > descriptor.stamp:
            raise Overtaken

    # [E] a chunk's cell
    def cell(self, descriptor, number):
        """(reference, version) of the chunk's cell, or of the one for all below it; (0, 0): absent"""
        ref, version = descriptor.root_ref, descriptor.root_version
        if descriptor.depth == 0 and number != 0:
            return 0, 0
        if descriptor.depth < MAX_DEPTH and number >> descriptor.depth * 5:
            return 0, 0
        for level in range(descriptor.depth, -1, -1):
            if ref == 0:
                return 0, 0
            if ref >> 48 != cell_check(ref, version, descriptor.uid, level):
                raise Corrupt("cell")
            if ref & SUBTREE and not (ref & EVICTED and level):
                raise Corrupt("subtree's cell")
            if level == 0 or ref & EVICTED:
                break
            node = (ref & 2**40 - 1) * UNIT
            if not self.backed(node, 512):
                raise Corrupt("node")
            place = node + (number >> (level - 1) * 5 & 31) * 16
            ref, version = self.word(place), self.word(place + 8)
        return ref, version

    def offset(self, descriptor, number):
        """Of a definition; 0: there is none"""
        ref, _ = self.cell(descriptor, number)
        return (ref & 2**40 - 1) * UNIT

    # "Chunks that are only in the store"
    def from_store(self, descriptor, definition, place, extent, ref, version):
        if self.store is None:
            length = self.word(STORE) & 0xFFFFFFFF
            if not length:
                raise Corrupt("a chunk is only in the store, but there is none")
            at = STORE + 896
            history = store_reader.History(*struct.unpack_from("<QQ", self.view, 24),
                                           *struct.unpack_from("<QQQ", self.view, 96),
                                           self.word(256) >> 48)
            self.store = store_reader.Store(bytes(self.view[at:at + length]), xxh3, history)
        try:
            return self.store.chunk(definition, descriptor.data_commit, place, extent, version,
                                    bool(ref & SUBTREE))
        except store_reader.Gone:
            raise Overtaken

    def text(self, offset, most):
        if not self.backed(offset, 16):
            raise Corrupt("text")
        length, check = self.word(offset), self.word(offset + 8)
        if length > most or not self.backed(offset + 16, length):
            raise Corrupt("text")
        text = bytes(self.view[offset + 16:offset + 16 + length])
        if xxh3 and xxh3(text) != check:
            raise Corrupt("text")
        return text

    def guarded(self, index, read):
        """[G] Repeat `read` until what it read was not overtaken; an error counts only then."""
        header = self.header(index)
        for _ in range(100000):
            try:
                descriptor = self.newest(header)
                try:
                    result = read(descriptor)
                except Corrupt:
                    self.still(header, descriptor)
                    raise
                self.still(header, descriptor)
                return descriptor, result
            except Overtaken:
                continue
        raise Corrupt("overtaken 100000 times")

    # [F] the catalogue
    def check_catalogue(self, descriptor):
        n = descriptor.shape[0] if descriptor.rank == 1 else 0
        if (descriptor.kind & 0xFF != CATALOGUE or descriptor.uid != 1 or descriptor.rank != 1 or
                n > 131072 or descriptor.cells != (n + (n - 2) // 7 if n > 1 else 0)):
            raise Corrupt("catalogue")
        return n

    def definition(self, descriptor, index):
        """Of the object; None: there is none"""
        offset = self.offset(descriptor, index + (index - 1) // 7)
        return Definition(self.text(offset, 1 << 17)) if offset else None

    def catalogue(self):
        """{name: (index, definition)}"""
        def read(descriptor):
            found = {}
            for index in range(1, self.check_catalogue(descriptor)):
                definition = self.definition(descriptor, index)
                if definition:
                    found[definition.name] = (index, definition)
            return found
        return self.guarded(0, read)[1]

    def find(self, name):
        """(index, definition) of this one name"""
        wanted = xxh3(name.encode()) & 0xFFFFFFFF

        def read(descriptor):
            objects = self.check_catalogue(descriptor)
            buckets = (objects - 2) // 7 + 1 if objects > 1 else 0
            power = 1 << (buckets - 1).bit_length() if buckets else 0
            bucket = wanted % power if buckets else 0
            if bucket >= buckets:
                bucket -= power // 2
            offset = self.offset(descriptor, 8 * bucket) if buckets else 0
            for hashed, index in struct.iter_unpack("<II", self.text(offset, 8 * 131080)
                                                    if offset else b""):
                if index and hashed == wanted:
                    definition = self.definition(descriptor, index)
                    if definition is None:
                        raise Corrupt("bucket")
                    if definition.name == name:
                        return index, definition
            return None
        return self.guarded(0, read)[1]

    # [H] a whole array
    def get(self, index, definition):
        header = self.header(index)

        def read(descriptor):
            if descriptor.uid != definition.uid or descriptor.kind & DELETED:
                raise KeyError(definition.name)
            grid = [(n + c - 1) // c for n, c in zip(descriptor.shape, definition.chunks)]
            if (descriptor.kind & 0xFF != ARRAY or descriptor.rank != definition.rank or
                    descriptor.slot_bytes != definition.slot_bytes or
                    descriptor.cells != product(grid)):
                raise Corrupt("descriptor does not fit the definition")
            out = bytearray(definition.fill * product(descriptor.shape))
            for number, place in enumerate(itertools.product(*map(range, grid))):
                ref, version = self.cell(descriptor, number)
                if ref & EVICTED:
                    self.still(header, descriptor)
                    extent = [min(c, n - i * c) for n, c, i in
                              zip(descriptor.shape, definition.chunks, place)]
                    chunk = self.from_store(descriptor, definition, place, extent, ref, version)
                    self.fetched += 1
                    if chunk is not None:
                        copy_chunk(out, descriptor.shape, definition, place, chunk)
                elif ref:
                    offset = (ref & 2**40 - 1) * UNIT
                    if not self.backed(offset, definition.slot_bytes):
                        raise Corrupt("chunk")
                    copy_chunk(out, descriptor.shape, definition, place,
                               self.view[offset:offset + definition.slot_bytes])
            return bytes(out)
        return self.guarded(index, read)


def product(numbers):
    result = 1
    for number in numbers:
        result *= number
    return result


class Definition:
    def __init__(self, text):
        kind, self.rank, self.uid, self.itemsize, length = struct.unpack_from("<IIQII", text, 0)
        self.kind = kind
        self.dtype = text[24:40].rstrip(b"\0").decode()
        at = 48
        self.chunks = struct.unpack_from("<%dQ" % self.rank, text, at)
        at += 8 * self.rank
        self.fill = text[at:at + self.itemsize]
        at += self.itemsize
        self.name = text[at:at + length].decode()
        at += length + 1
        self.dimensions = []
        for _ in range(self.rank):
            length, = struct.unpack_from("<I", text, at)
            none = length == 2**32 - 1
            self.dimensions.append(None if none else text[at + 4:at + 4 + length].decode())
            at += 5 if none else 5 + length
        if at != len(text):
            raise Corrupt("definition")
        self.slot_bytes = product(self.chunks) * self.itemsize


def copy_chunk(out, shape, definition, place, chunk):
    """Copy what the shape shows of a chunk, row by row, to its place in the array."""
    size, chunks = definition.itemsize, definition.chunks
    if not shape:
        out[:size] = chunk[:size]
        return
    extent = [min(c, n - p * c) for n, c, p in zip(shape, chunks, place)]
    row = extent[-1] * size
    for index in itertools.product(*map(range, extent[:-1])):
        to = source = 0
        for axis in range(len(shape)):
            i = index[axis] if axis < len(index) else 0
            to = to * shape[axis] + place[axis] * chunks[axis] + i
            source = source * chunks[axis] + i
        out[to * size:to * size + row] = chunk[source * size:source * size + row]


# --- the tests ---------------------------------------------------------------

def parse_npy(data):
    stream = io.BytesIO(data)
    if stream.read(6) != b"\x93NUMPY":
        raise ValueError("no .npy image")
    major, _ = stream.read(2)
    length, = struct.unpack("<H", stream.read(2)) if major == 1 else struct.unpack("<I",
                                                                                   stream.read(4))
    header = ast.literal_eval(stream.read(length).decode())
    return header["descr"], header["shape"], stream.read()


def compare(segment_name, untorn, stored=False):
    segment, wrong, count = Segment(segment_name), 0, 0
    for name, (index, definition) in sorted(segment.catalogue().items()):
        if xxh3:
            found = segment.find(name)
            if not found or found[0] != index or segment.find(name + "?") is not None:
                print("NOT FOUND BY ITS NAME %s" % name)
                wrong += 1
        if definition.kind != ARRAY:
            continue
        descriptor, data = segment.get(index, definition)
        image = subprocess.run([untorn, "get", segment_name, name], check=True,
                               stdout=subprocess.PIPE).stdout
        descr, shape, other = parse_npy(image)
        same = (descr, shape, other) == (definition.dtype, descriptor.shape, data)
        print("%-9s %-12s %-6s %-16s chunks %s" % ("same" if same else "DIFFERENT", name,
                                                   definition.dtype, descriptor.shape,
                                                   definition.chunks))
        wrong += not same
        count += 1
    print("%d arrays, %d differ; %d chunks came from the store" % (count, wrong, segment.fetched))
    return 1 if wrong or not count or (stored and not segment.fetched) else 0


def uniform(segment_name, name, least):
    segment = Segment(segment_name)
    index, definition = segment.catalogue()[name]
    torn, generations, last, reads = 0, set(), 0, 0
    hung = time.monotonic() + 300
    # And on until the writer, which may have no processor, has written.
    while reads < least or (len(generations) < 2 and time.monotonic() < hung):
        reads += 1
        descriptor, data = segment.get(index, definition)
        size = definition.itemsize
        torn += data != data[:size] * (len(data) // size)
        torn += descriptor.stamp < last
        last = descriptor.stamp
        generations.add(last)
    print("%d reads of %d generations, %d torn" % (reads, len(generations), torn))
    return 1 if torn or len(generations) < 2 else 0


def main(arguments):
    if platform.machine() not in ("x86_64", "AMD64"):
        print("skipped: Python has no fences, which this machine's memory order needs")
        return 77
    if arguments[1:] == ["signature"]:
        print("%016x" % signature() if xxh3 else "skipped: no libxxhash")
        return 0 if xxh3 else 77
    if arguments[1:2] == ["compare"]:
        return compare(*arguments[2:])
    if arguments[1:2] == ["stored"]:
        return compare(arguments[2], arguments[3], True)
    if arguments[1:2] == ["uniform"]:
        return uniform(arguments[2], arguments[3], int(arguments[4]))
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv))
