# SPDX-License-Identifier: MIT
"""put and get against NumPy: every data type, rank, order and version; regions; raw input; hostile
and truncated images; what put does to an array that exists."""

import io
import os
import resource
import struct
import subprocess

import numpy as np

from command import SEGMENT, UNTORN, check, done, get, image, put, run, same

WORK = os.environ["WORK"]
generator = np.random.default_rng(20240229)

NUMBERS = ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]
SHAPES = [(), (0,), (1,), (7,), (3, 4), (2, 0, 3), (5, 1, 2), (2, 3, 4, 5), (1,) * 16]


def any_array(dtype, shape):
    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=int))
    data = generator.integers(0, 256, size * dtype.itemsize, dtype=np.uint8)
    if dtype.kind == "b":
        data &= 1
    if dtype.kind == "S":
        data |= 1  # no trailing zero bytes: NumPy strips them
    return data.view(dtype).reshape(shape)


def test_every_type_and_rank():
    for dtype in NUMBERS + ["S1", "S10", "V1", "V3", "V16"]:
        for shape in SHAPES:
            array = any_array(dtype, shape)
            put("a", array, "--replace")
            same(get("a"), array, f"{dtype} {shape}")


def test_order_and_endianness():
    for dtype in NUMBERS:
        for shape in [(7,), (3, 4), (2, 3, 4, 5)]:
            little = any_array(dtype, shape)
            for order in "C", "F":
                for end in "<", ">":
                    array = np.array(little.astype(np.dtype(dtype).newbyteorder(end)), order=order)
                    put("a", array, "--replace")
                    same(get("a"), little, f"{end}{dtype} {shape} {order}")


def test_versions():
    array = any_array("f8", (3, 5))
    for version in [(1, 0), (2, 0), (3, 0)]:
        put("a", array, "--replace", version=version)
        same(get("a"), array, f"version {version}")
    for version in [(0, 0), (4, 0), (1, 1), (255, 255)]:
        data = image(array)
        run("put", SEGMENT, "a", data=data[:6] + bytes(version) + data[8:], status=1)


def test_big_in_blocks():
    """More than one block, in both orders, with ranks whose blocks split at different axes."""
    for shape in [(9_000_017,), (3, 5_000_001), (5_000_001, 3), (37, 1000, 241)]:
        array = any_array("i4", shape)
        for order in "C", "F":
            put("big", np.array(array, order=order), "--replace")
            same(get("big"), array, f"big {shape} {order}")
    run("rm", SEGMENT, "big")


def test_refused_types():
    for dtype in ["M8[ns]", "m8[s]", "U5", [("a", "i4"), ("b", "f8")], "g"]:
        message = put("refused", np.zeros(3, dtype), status=1).stderr
        check(b"cannot" in message or b"records" in message, f"{dtype}: {message!r}")
    message = put("refused", np.zeros(3, "M8[ns]"), status=1).stderr
    check(b"int64" in message and b"since 1970-01-01" in message, f"datetime64: {message!r}")
    for descr in [b"'|O' ", b"'|S0'", b"'|V0'", b"'<i3'", b"'|x8'"]:
        header = image(np.zeros(3, "f8")).replace(b"'<f8'", descr)
        run("put", SEGMENT, "refused", data=header, status=1)
    run("get", SEGMENT, "refused", status=1)


def npy(header, version=1, length=None, data=b""):
    header = header if isinstance(header, bytes) else header.encode()
    width = "<H" if version == 1 else "<I"
    length = len(header) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack(width, length) + header + data


def test_hostile_headers():
    good = "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }"
    eight = bytes(16)
    run("put", SEGMENT, "hostile", data=npy(good, data=eight))
    # Written otherwise, but the same dictionary.
    for text in ['{"shape":(2,),"descr":"f8","fortran_order":False}',
                 "{ 'fortran_order' :False , 'shape' : ( 2L , ) ,'descr':'=f8'}\n",
                 "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}" + " " * 3000]:
        run("put", SEGMENT, "hostile", data=npy(text, data=eight))
    swap = good.replace
    hostile = [
        b"", b"{", b"}", b"{}", b"()", b"[]", b"\0" * 100, b"'" * 100, b"{'descr'", b"{'descr':",
        b"{'descr':'<f8'", b"(" * 60000, b"{'shape':" + b"(" * 60000,
        swap("'<f8'", "'<f8"), swap("'<f8'", "''"), swap("'<f8'", "'<'"), swap("'<f8'", "'f'"),
        swap("'<f8'", "'<f3'"), swap("'<f8'", "'<f99999999999999999999'"),
        swap("'<f8'", "'" + "x" * 1000 + "'"), swap("'<f8'", "'\\x3cf8'"),
        swap("'<f8'", "('<f8', (2,))"), swap("'<f8'", "[('a','<f8')]"), swap("'<f8'", "8"),
        swap("'<f8'", "__import__('os').system('false')"),
        swap("False", "0"), swap("False", "None"), swap("(2,)", "2"), swap("(2,)", "(2)"),
        swap("(2,)", "[2]"), swap("(2,)", "(-2,)"), swap("(2,)", "(2.0,)"), swap("(2,)", "(2,,)"),
        swap("(2,)", "(,)"), swap("(2,)", "(2 3)"), swap("(2,)", "(18446744073709551616,)"),
        swap("(2,)", "(4611686018427387904,4611686018427387904)"),
        swap("(2,)", "(" + "1," * 17 + ")"), swap("(2,)", "(" + "0," * 60 + ")"),
        swap("(2,)", "(9223372036854775807,)"), swap(", }", ", 'x': 1}"),
        swap(", }", ", 'descr': '<f8'}"), good + "x", swap("'shape': (2,), ", ""),
    ]
    for header in hostile:
        run("put", SEGMENT, "hostile", data=npy(header, data=eight), status=1)
    run("put", SEGMENT, "hostile", data=npy(good, length=60000), status=1)
    run("put", SEGMENT, "hostile", data=npy(good, version=2, length=0xffffffff), status=1)
    run("put", SEGMENT, "hostile", data=npy(b"x" * 70000, version=3), status=1)
    # Every prefix, and every byte replaced by others.
    whole = npy(good, data=eight)
    for length in range(len(whole)):
        run("put", SEGMENT, "hostile", data=whole[:length], status=1)
    same(get("hostile"), np.zeros(2), "after hostile headers")


def test_truncated():
    array = np.arange(1000.0)
    put("cut", array, "--replace")
    data = image(array * 2)
    header = len(data) - 8000
    message = run("put", SEGMENT, "cut", data=data[:header + 4711], status=1).stderr
    check(b"8000" in message and b"4711" in message, f"byte counts: {message!r}")
    path = os.path.join(WORK, "cut.npy")
    with open(path, "wb") as file:
        file.write(data[:header + 4711])
    message = run("put", SEGMENT, "cut", path, status=1).stderr
    check(b"8000" in message and b"4711" in message and b"cut.npy" in message, f"{message!r}")
    same(get("cut"), array, "nothing of a truncated image")
    # A new array does not come into being, nor does its segment get another commit.
    run("put", SEGMENT, "cut2", data=data[:-1], status=1)
    run("get", SEGMENT, "cut2", status=1)
    run("put", SEGMENT, "cut", "/nonexistent/file.npy", status=1)


def test_replacing():
    put("r", np.arange(10, dtype="i4"), "--replace")
    put("r", np.arange(20, dtype="i4"))
    same(get("r"), np.arange(20, dtype="i4"), "longer")
    put("r", np.arange(3, dtype="i4"))
    same(get("r"), np.arange(3, dtype="i4"), "shorter")
    message = put("r", np.arange(3.0), status=1).stderr
    check(b"--replace" in message, f"another type: {message!r}")
    put("r", np.zeros((3, 3), "i4"), status=1)
    same(get("r"), np.arange(3, dtype="i4"), "refused ones change nothing")
    put("r", np.zeros((3, 3), "i4"), "--replace", "--chunks", "2,2", "--dims", "y,x")
    put("r", np.ones((5, 2), "i4"), "--chunks", "2,2", "--dims", "y,x")
    put("r", np.ones((5, 2), "i4"), "--chunks", "2,3", status=1)
    put("r", np.ones((5, 2), "i4"), "--dims", "y,z", status=1)
    put("r", np.ones((5, 2), "i4"), "--fill", "1", status=1)
    same(get("r"), np.ones((5, 2), "i4"), "as it was")
    put("r", np.array(7, "u1"), "--replace")
    same(get("r"), np.array(7, "u1"), "scalar")


def test_regions():
    array = any_array("i2", (20, 30))
    put("g", array, "--replace", "--chunks", "7,11")
    for text, key in [(":", np.s_[:]), ("3", np.s_[3]), ("-1", np.s_[-1]), ("2:5", np.s_[2:5]),
                      ("2:5,5:6", np.s_[2:5, 5:6]), ("2:5,5", np.s_[2:5, 5]), (":,4", np.s_[:, 4]),
                      ("-10:", np.s_[-10:]), ("-10:-3,1:-1", np.s_[-10:-3, 1:-1]),
                      ("-100:", np.s_[-100:]), ("5:2", np.s_[5:2]), ("20:", np.s_[20:]),
                      ("4,5", np.s_[4, 5]), (":0", np.s_[:0]), ("0:20,0:30", np.s_[0:20, 0:30])]:
        same(get("g", "--region", text), array[key], f"region {text}")
        same(get("g", f"--region={text}"), array[key], f"region {text}")
        part = any_array("i2", array[key].shape)
        array[key] = part
        for order in "C", "F":
            put("g", np.array(part, order=order), "--region", text)
            same(get("g"), array, f"put region {text}")
    for text in ["20", "-21", "0:21", "21:", ":,31:", "1,1,1", "0:5,30"]:
        run("get", SEGMENT, "g", "--region", text, status=1)
        put("g", np.zeros(3, "i2"), "--region", text, status=1)
    for text in ["x", "1:2:3:4", "1:2:x", "1,", ",1", "1-2", "99999999999999999999", "--5", "1.5"]:
        run("get", SEGMENT, "g", "--region", text, status=2)
        put("g", np.zeros(3, "i2"), "--region", text, status=2)
    put("g", np.zeros((3, 30), "i2"), "--region", "2:4", status=1)
    put("g", np.zeros((2, 30), "i4"), "--region", "2:4", status=1)
    put("none", np.zeros(2, "i2"), "--region", "0:2", status=1)
    put("g", np.zeros((2, 30), "i2"), "--region", "0:2", "--fill", "3", status=2)
    same(get("g"), array, "after refused regions")


def as_key(text):
    """The region as NumPy's key."""
    return tuple(int(part) if ":" not in part else
                 slice(*(int(number) if number else None for number in part.split(":")))
                 for part in text.split(","))


def get_both(name, text, commit):
    """As it is now, and as of a commit, which is read through a snapshot."""
    newest = get(name, "--region", text)
    same(get(name, "--region", text, "--commit", commit), newest, f"region {text} of a commit")
    return newest


def put_kept(name, array, *arguments):
    """Store it; the commit's number."""
    return int(put(name, array, "--replace", "--print-commit", *arguments).stdout)


def random_part(random, length):
    if random.integers(5) == 0:
        return str(random.integers(length))
    first, last = sorted(random.integers(0, length + 1, 2))
    step = [1, 2, 3, length // 2 + 1, length + 5][random.integers(5)]
    return f"{first}:{last}:{step}"


def test_steps():
    array = any_array("i2", (20, 30))
    commit = put_kept("s", array, "--chunks", "7,11")
    for text in ["::8", "::1", "1:5:", ":17:4,::7", "-10::3", "-100::6", "5:2:2", "20::2", "::100",
                 "3,::4", "::4,3", "2:19:16,1:30:28", ":,::9", ":,-1:0:2"]:
        same(get_both("s", text, commit), array[as_key(text)], f"region {text}")
    random = np.random.default_rng(5)
    array = any_array("f8", (6, 9, 11))
    commit = put_kept("s", array, "--chunks", "4,2,5")
    for _ in range(30):
        text = ",".join(random_part(random, n) for n in array.shape[:random.integers(1, 4)])
        same(get_both("s", text, commit), array[as_key(text)], f"region {text}")
    for text, reason in [("::0", b"step of 0 on axis 0; a step is at least 1"),
                         ("1:3,::-2", b"step of -2 on axis 1; negative steps are not supported")]:
        for command in "get", "follow", "put":
            said = run(command, SEGMENT, "s", "--region", text, status=2).stderr
            check(reason in said, f"{command} --region {text}: {said!r}")


def test_put_steps():
    """What NumPy's assignment to the same region leaves, and one commit for all of it."""
    random = np.random.default_rng(8)
    array = any_array("f8", (6, 9, 11))
    put("w", array, "--chunks", "4,2,5")
    texts = ["::8", "0:2:1", ":,::2", "1:5:,::4,::3", "3,::4", "::4,3", "5:2:2", ":,-1:0:2",
             "::2,-3::2,1"]
    texts += [",".join(random_part(random, n) for n in array.shape) for _ in range(20)]
    for i, text in enumerate(texts):
        data = random.random(array[as_key(text)].shape)
        if i % 3 == 0:
            data = np.asfortranarray(data)
        array[as_key(text)] = data
        put("w", data, "--region", text)
        same(get("w"), array, f"put --region {text}")
    said = put("w", np.zeros((6, 4, 11)), "--region", ":,::2", status=1).stderr
    check(b"has shape 6,5,11, the data have 6,4,11" in said, f"another shape: {said!r}")
    same(get("w"), array, "after what was refused")
    array = np.zeros((3, 24 << 20), "u1")  # more than one block
    put("w", array, "--replace")
    array[::2] = random.integers(0, 256, (2, 24 << 20), "u1")
    put("w", array[::2], "--region", "::2")
    same(get("w"), array, "put of more than a block")


def test_long_steps():
    """Much lies between what is taken."""
    array = np.random.default_rng(6).integers(0, 256, 40 << 20, dtype="u1")
    commit = put_kept("s", array)
    for text in ["::3", "5::7919", "7::10000019"]:
        same(get_both("s", text, commit), array[as_key(text)], f"region {text}")
    array = array.reshape(10, 2, 2 << 20)
    commit = put_kept("s", array)
    for text in ["1::3,1", "::2,:,::1000", "::8,::2", ":,:,::5"]:
        same(get_both("s", text, commit), array[as_key(text)], f"region {text}")


def within(limit):
    """For run(): at most so many bytes of memory that are the command's own."""
    return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))}


def test_memory_follows_what_is_taken():
    if os.environ.get("SAN"):
        return  # a sanitizer's own memory is beyond any such bound
    array = np.random.default_rng(7).integers(0, 256, (2, 24 << 20), dtype="u1")
    commit = put_kept("m", array, "--chunks", "1,1048576")
    for options in [["--commit", commit], []]:
        for text in [":,::1000", "1,5::7919", "::2,3:4000000"]:
            taken = run("get", SEGMENT, "m", "--region", text, *options, **within(12 << 20))
            same(np.load(io.BytesIO(taken.stdout)), array[as_key(text)], f"region {text}")
        run("get", SEGMENT, "m", *options, status=1, **within(12 << 20))


def test_fill():
    """The value is seen by what put says to the same and to another one on an array that exists."""
    for dtype, text, same_text, other in [
            ("f8", "nan", "NaN", "0"), ("f4", "-inf", "-infinity", "inf"),
            ("f4", "0.1", "0.100000001490116119384765625", "0.1000001"),
            ("f2", "0.1", "0.0999755859375", "0.1001"), ("f2", "65520", "inf", "65519"),
            ("f2", "65519", "65504", "inf"), ("f2", "6e-8", "5.9604644775390625e-08", "0"),
            ("f2", "2.9e-8", "0", "6e-8"), ("f2", "2.98023223876953125e-08", "0", "6e-8"),
            ("f2", "2.99e-8", "6e-8", "0"), ("f2", "6.1e-5", "6.1e-05", "6.2e-5"),
            ("i4", "-2147483648", "-0x80000000", "0"), ("u1", "0xff", "255", "254"),
            ("u8", "18446744073709551615", "0xffffffffffffffff", "1"), ("i1", "-1", "-1", "127"),
            ("b1", "true", "1", "0"), ("c16", "1+2j", "1.0+2.0j", "2+1j"),
            ("c8", "-3j", "-0-3j", "3j"), ("c16", "2-j", "2-1j", "2+1j"),
            ("S4", "ab", "ab", "abc"), ("V3", "0102ff", "0102FF", "0102fe")]:
        data = np.zeros(2, dtype)
        put("f", data, "--replace", "--fill", text)
        put("f", data, "--fill", text)
        if dtype != "c8":  # -0 and 0 are different bytes
            put("f", data, "--fill", same_text)
        put("f", data, "--fill", other, status=1)
    for dtype, text in [("i1", "128"), ("u1", "-1"), ("i4", "1.5"), ("f8", "x"), ("f8", ""),
                        ("f8", "1 "), ("c8", "1+2"), ("c8", "1+2jj"), ("b1", "2"), ("S2", "abc"),
                        ("V2", "01"), ("V1", "zz"), ("u8", "18446744073709551616"), ("i4", " 1")]:
        put("f2", np.zeros(2, dtype), "--fill", text, status=2)


def test_raw():
    array = any_array("f4", (10, 20))
    run("put", SEGMENT, "w", "--dtype", "f4", "--shape", "10,20", "--replace",
        data=array.tobytes())
    same(get("w"), array, "raw")
    run("put", SEGMENT, "w", "--dtype", ">f4", "--shape", "10,20",
        data=array.astype(">f4").tobytes())
    same(get("w"), array, "raw big-endian")
    run("put", SEGMENT, "w", "--dtype", "f4", "--shape", "10,20", data=bytes(799), status=1)
    run("put", SEGMENT, "w", "--dtype", "f4", "--shape", "10,20", data=bytes(801), status=1)
    same(get("w"), array, "wrong sizes change nothing")
    run("put", SEGMENT, "w", "--dtype", "f4", data=bytes(800), status=2)
    run("put", SEGMENT, "w", "--shape", "10,20", data=bytes(800), status=2)
    run("put", SEGMENT, "w", "--dtype", "f5", "--shape", "10,20", data=bytes(800), status=2)
    run("put", SEGMENT, "w", "--dtype", "i8", "--shape", "9999999999,9999999999", status=2)
    run("put", SEGMENT, "w", "--dtype", "f8", "--shape", "", "--replace", data=bytes(8))
    same(get("w"), np.zeros(()), "raw scalar")


def test_output():
    array = any_array("u2", (100, 3))
    put("o", array, "--replace")
    directory = os.path.join(WORK, "out")
    os.mkdir(directory)
    path = os.path.join(directory, "out.npy")
    for option in [("-o", path), (f"-o{path}",), ("--output", path), (f"--output={path}",)]:
        check(run("get", SEGMENT, "o", *option).stdout == b"", "nothing on standard output")
        same(np.load(path), array, "-o")
        os.unlink(path)
    link = os.path.join(directory, "link.npy")
    open(path, "wb").close()
    os.symlink(path, link)
    run("get", SEGMENT, "o", "-o", link)
    check(os.path.islink(link), "what a link leads to is replaced")
    same(np.load(path), array, "through a link")
    run("get", SEGMENT, "o", "-o", "/dev/null")
    run("get", SEGMENT, "o", "-o", "/nonexistent/x.npy", status=1)
    run("get", SEGMENT, "none", "-o", os.path.join(directory, "none.npy"), status=1)
    check(sorted(os.listdir(directory)) == ["link.npy", "out.npy"],
          f"nothing is left over: {os.listdir(directory)}")
    if os.path.exists("/dev/full"):
        run("get", SEGMENT, "o", "-o", "/dev/full", status=1)
        for arguments in (["get", SEGMENT, "o"], ["--help"], ["put", "--help"], ["--version"]):
            with open("/dev/full", "wb") as full:
                ended = subprocess.run([UNTORN, *arguments], stdout=full, stderr=subprocess.PIPE)
            check(ended.returncode == 1 and b"No space" in ended.stderr, f"{arguments} on a full "
                  f"disk: {ended}")
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run([UNTORN, "get", SEGMENT, "o"], stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    check(ended.returncode == 1 and ended.stderr.startswith(b"untorn: "), f"closed pipe: {ended}")


def test_commits():
    first = int(put("n", np.arange(5), "--replace", "--print-commit").stdout)
    second = int(put("n", np.arange(5) * 2, "--print-commit").stdout)
    check(second > first, "commits increase")
    same(get("n", "--commit", second), np.arange(5) * 2, "the newest commit")
    same(get("n", "--commit", first), np.arange(5), "the commit before")
    run("get", SEGMENT, "n", "--commit", second + 1000, status=1)
    run("get", SEGMENT, "n", "--commit", 0, status=2)


def test_attributes():
    put("t", np.arange(5), "--replace", "--attrs", '{"units": "m"}')
    put("t", np.arange(5), "--attrs", '{"units": "s"}')
    for text in ["", "[]", "{", "1", '{"a":}', "{'a':1}"]:
        put("t", np.arange(6), "--attrs", text, status=2)
    same(get("t"), np.arange(5), "wrong attributes change nothing")


def main():
    run("create", SEGMENT, "--size", "512M", "--mode", "0600", "--versions", "2")
    run("create", SEGMENT, status=1)
    for name, test in sorted(globals().items()):
        if name.startswith("test_") and callable(test):
            test()
    run("rm", SEGMENT)
    run("rm", SEGMENT, status=1)
    run("get", SEGMENT, "a", status=1)
    done()


main()
