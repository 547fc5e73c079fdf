# SPDX-License-Identifier: MIT
"""What the test of several mutants does unmutated is found once for each build: that it passes, and
how long it takes. It is remembered in a file of the build directory, for as long as the files and
the environment that it was run with stay as they were."""

import hashlib
import os
import tempfile

FOLDER = "unmutated"


def stamp(path):
    """What changes when the file is made anew; of a word that is no file, nothing."""
    try:
        found = os.stat(path)
    except OSError:
        return ""
    return "%d %d" % (found.st_mtime_ns, found.st_size)


class Memory:
    """Of one command. Several processes may keep the same thing at once."""

    def __init__(self, build_folder, command, environment):
        self.folder = os.path.join(build_folder, FOLDER)
        parts = ["%s %s" % (word, stamp(word)) for word in command]
        parts += ["%s=%s" % pair for pair in sorted(environment.items())]
        key = hashlib.sha256("\0".join(parts).encode(errors="surrogateescape"))
        self.path = os.path.join(self.folder, key.hexdigest()[:24])

    def recall(self):
        """The seconds that it took, or None."""
        try:
            with open(self.path, encoding="utf-8") as file:
                return float(file.read())
        except (OSError, ValueError):
            return None

    def keep(self, seconds):
        os.makedirs(self.folder, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self.folder, delete=False,
                                         encoding="utf-8") as file:
            file.write("%.3f" % seconds)
        os.replace(file.name, self.path)
