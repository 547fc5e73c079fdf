#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The reader of Containerfiles takes a good one, and tells each of its faults."""

import contextlib
import io
import os
import tempfile
import unittest
from unittest import mock

import containerfile

GOOD = """# comment
ARG VERSION=12
FROM debian:12 AS build
RUN apt-get update && \\
    apt-get install -y --no-install-recommends gcc cmake && \\
    # in between
    rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN cmake --preset release -DPM_BUILD_TESTS=OFF

FROM debian:12-slim
COPY --from=build --chown=1000:1000 /made/lib/lib*.so.0 /usr/local/lib/
ENV A=b C="d e"
EXPOSE 80 53/udp
USER 1000:1000
ENTRYPOINT ["env", "A=b"]
CMD ["server"]
"""
# A change of it, and what must be said.
BAD = [
    ("FROM debian:12 AS build", "FRM debian:12", '3: "FRM" is no instruction'),
    ("ARG VERSION=12\nFROM debian:12 AS build\n", "", "RUN before FROM"),
    ("debian:12-slim", "debian", "has no version"),
    ("debian:12-slim", "debian:12 to run", "FROM does not take"),
    ("rm -rf /var/lib/apt/lists/*", "if true", "4: RUN: "),
    ("gcc cmake", "gcc no-such", "apt-cache knows no package no-such"),
    (" gcc cmake", "", "apt-get installs nothing"),
    ("COPY . .", "COPY main.c .", "COPY: there is no main.c"),
    ("COPY . .", "COPY .", "COPY needs a source and a destination"),
    ("--from=build", "--from=builder", 'no stage "builder" before'),
    ("--chown=", "--chmown=", 'COPY does not take "--chmown'),
    ("lib*.so.0", "lib*.so.1", "COPY: there is no /made/lib/lib*.so.1 in build"),
    ("/made/lib/", "/else/lib/", "COPY: there is no /else/lib/lib*.so.0 in build"),
    ("PM_BUILD_TESTS", "PM_BUILD_TEST_", "the tree has no option PM_BUILD_TEST_"),
    ("--preset release", "--preset relaese", "the tree has no preset relaese"),
    ("ENV A=b", "ENV A", "ENV does not take"),
    ("EXPOSE 80", "EXPOSE http", "EXPOSE does not take"),
    ('["server"]', '["server",]', "CMD: not a list of words"),
    ('["server"]', "", "CMD: nothing to run"),
    ('ENTRYPOINT ["env", "A=b"]\nCMD ["server"]\n', "", "neither CMD nor ENTRYPOINT"),
]


class Containerfiles(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        os.makedirs(os.path.join(self.folder, "made", "lib"))
        self.write("made/lib/libx.so.0", "")
        self.write("CMakeLists.txt", "option(PM_BUILD_TESTS)\n")
        self.write("CMakePresets.json", '{ "name": "release" }\n')
        for owner, name, value in (
                (containerfile.shutil, "which", lambda _: "/usr/bin/apt-cache"),
                (containerfile, "known_packages", lambda names: set(names) - {"no-such"})):
            patch = mock.patch.object(owner, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def read(self, text):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            code = containerfile.main([
                self.write("Containerfile", text), "--context", self.folder,
                "--source", self.folder, "--made", "/made=" + os.path.join(self.folder, "made")])
        return code, said.getvalue()

    def test_a_good_one_is_taken(self):
        self.assertEqual(self.read(GOOD), (0, ""))

    def test_each_fault_is_told(self):
        for old, new, wanted in BAD:
            self.assertIn(old, GOOD)
            code, said = self.read(GOOD.replace(old, new))
            self.assertEqual(code, 1, (new, said))
            self.assertIn(wanted, said)

    def test_an_empty_one_is_none(self):
        self.assertEqual(self.read("# nothing\n")[0], 1)


if __name__ == "__main__":
    unittest.main()
