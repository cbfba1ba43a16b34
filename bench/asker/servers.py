# SPDX-License-Identifier: MIT
"""The processes that measure: one serve.py for each Python environment, and where they work.

Everything is below one directory on tmpfs, and segments have its name as a prefix, so that all can
be removed whichever way this ends.
"""

import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


class _Server:
    def __init__(self, python, directory, names):
        # What libraries say is kept for the reason why something failed.
        self.said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        command = [python, os.path.join(HERE, "serve.py"), directory] + names
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            text=True,
            env=environment,
        )

    def answer(self):
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.said.seek(0)
        lines = [text.strip() for text in self.said if text.strip()]
        raise RuntimeError(lines[-1][-200:] if lines else "ended without a word")

    def ask(self, order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.said.close()


class Servers:
    """A way is in `ways` or in `reasons`, once started."""

    def __init__(self):
        self.ways, self.reasons = {}, {}
        self._servers, self._of = [], {}
        self.directory = tempfile.mkdtemp(prefix="untorn-bench-asker-", dir="/dev/shm")

    def start(self, pythons):
        """`pythons` says which python each way needs; None: its environment is not there."""
        groups = collections.defaultdict(list)
        for name, python in pythons.items():
            groups[python].append(name)
        for python, names in groups.items():
            self._start(python, names)

    def _start(self, python, names):
        if python is None:
            self.reasons.update((name, "its Python packages are not installed") for name in names)
            return
        try:
            server = _Server(python, self.directory, names)
            self._servers.append(server)
            tried = server.answer()
        except (OSError, RuntimeError) as error:
            self.reasons.update((name, str(error)) for name in names)
            return
        for name, way in tried.items():
            if "unable" in way:
                self.reasons[name] = way["unable"]
            else:
                self.ways[name], self._of[name] = way, server

    def measure(self, order):
        try:
            return self._of[order["way"]].ask(order)
        except (OSError, RuntimeError) as error:
            return {"unable": str(error)}

    def end(self):
        for server in self._servers:
            server.end()
        self._remove_segments()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _remove_segments(self):
        """Only of a server that was killed is there one left."""
        prefix = os.path.basename(self.directory)
        if not any(prefix in name for name in os.listdir("/dev/shm") if name != prefix):
            return
        sys.path.append(os.path.join(HERE, "..", "support"))
        import segments

        for name in segments.segments():
            if name.startswith(prefix):
                segments.remove(name)
