# SPDX-License-Identifier: MIT
"""Checks that a benchmark in C leaves nothing of its scratch directory (bench/support/segment.c),
whichever way it is ended and whatever its threads do meanwhile; its name has the process's number,
for those who clean up after one that was killed."""

import os
import signal
import subprocess
import tempfile
import time
import unittest

from peer_programs import BENCH, HERE, LIBRARY, TOP
from waiting import heed_signals, wait_for


@unittest.skipIf(os.environ.get("SAN"), "the library needs the sanitizers")
class Scratch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.held = tempfile.TemporaryDirectory()
        cls.program = os.path.join(cls.held.name, "busy")
        parts = [os.path.join(BENCH, "support", name) for name in ("scratch.c", "segment.c")]
        parts += [os.path.join(BENCH, "support/machine.c"), os.path.join(HERE, "busy_directory.c")]
        command = os.environ.get("CC", "cc").split() + ["-std=c11", "-D_GNU_SOURCE", "-O1"]
        command += ["-pthread", "-I" + BENCH, "-I" + os.path.join(TOP, "include")]
        command += ["-o", cls.program] + parts + [LIBRARY, "-llz4", "-lxxhash", "-lm"]
        subprocess.run(command, check=True)

    @classmethod
    def tearDownClass(cls):
        cls.held.cleanup()

    def test_nothing_is_left_of_what_is_still_written_to(self):
        for number in 5 * [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]:
            child = subprocess.Popen(
                [self.program],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                preexec_fn=heed_signals,
            )
            try:
                directory = child.stdout.readline().strip()
                self.assertTrue(os.path.isdir(directory))
                self.assertIn("bench-%d-" % child.pid, directory)
                time.sleep(0.02)
                child.send_signal(number)
                child.communicate(timeout=60)
            finally:
                child.kill()
            self.assertEqual(child.returncode, 128 + number)
            gone = wait_for(lambda place=directory: not os.path.exists(place))
            self.assertTrue(gone, number)


if __name__ == "__main__":
    unittest.main()
