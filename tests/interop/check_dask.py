# SPDX-License-Identifier: MIT
"""mean_over_time.py of docs/interop.md gives NumPy's result, while the store is flushed to:

    check_dask.py UNTORN DIR       DIR has mean_over_time.py

Each flush adds 1 to all elements.  All are multiples of 1/4, so that sums are exact in any order."""
import os
import subprocess
import sys
import threading

import numpy as np

untorn, directory = sys.argv[1:]
os.chdir(directory)
base = np.random.default_rng(1).integers(1000, 1200, (500, 40)) / 4


def run(*arguments):
    subprocess.run([untorn, *arguments], check=True, stdout=subprocess.DEVNULL)


def put(number):
    np.save("temperature.npy", base + number)
    run("put", "lab", "temperature", "temperature.npy", "--dims", "time,place", "--chunks", "50,40")
    run("flush", "lab")


def put_on(stop, done):
    while not stop.is_set():
        done.append(len(done))
        put(len(done))


run("create", "lab", "--size", "16M", "--store", "weather", "--flush-interval", "on-demand")
stop, done = threading.Event(), []
writer = threading.Thread(target=put_on, args=(stop, done))
try:
    put(0)
    writer.start()
    rounds = before = 0
    while rounds < 2 or len(done) <= before + 1:  # until there were flushes meanwhile
        rounds += 1
        before = len(done)
        printed = subprocess.run([sys.executable, "mean_over_time.py", "weather"], check=True,
                                 stdout=subprocess.PIPE, timeout=120).stdout.decode()
        mean = np.load("mean.npy")
        number = round(float((mean - base.mean(axis=0))[0]))
        assert np.array_equal(mean, (base + number).mean(axis=0)), "not NumPy's result"
        assert 0 <= number <= len(done), number
        print("%s - that of flush %d; there are %d now" % (printed.strip(), number, len(done)))
finally:
    stop.set()
    writer.join()
    run("rm", "lab")
