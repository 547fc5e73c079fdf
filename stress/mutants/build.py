# SPDX-License-Identifier: MIT
"""A finished build as the mutant runner sees it: how a file of the library was
compiled, which objects a test consists of, and which library it is linked to.

    test program     library in front of which the mutated object stands
    *_fault_test     libpoolmalloc_pm_fault.a, of the unit tests
    *_static         libpoolmalloc.a       (the C library's names)
    object_*_test    libpoolobject.a, over libpoolmalloc_pm.a
    any other        libpoolmalloc_pm.a    (pm_ names only)
    *.py             a script, which is given the shared library instead
    any, with LIBRARY among its arguments: stays as it was built and is given
                     the mutated shared library, linked as the build does
"""

import json
import os
import re
import shlex
import subprocess

import table


class Problem(Exception):
    """The build does not have what is needed, or a mutant does not compile."""


# The name of a library's archive, and of the targets that its objects belong to.
LIBRARIES = {
    "pm": ("libpoolmalloc_pm.a", ["pm_core", "pm_api_pm"]),
    "fault": ("libpoolmalloc_pm_fault.a", ["pm_fault_objects"]),
    "static": ("libpoolmalloc.a", ["pm_core", "pm_api_override"]),
    "object": ("libpoolobject.a", ["pm_object_layer"]),
    "shared": ("libpoolmalloc.so", ["pm_core", "pm_api_override"]),
}


def library_of(mutant):
    test = mutant.test
    if test.endswith(".py") or mutant.wants_library():
        return "shared"
    if test.endswith("_fault_test"):
        return "fault"
    if test.startswith("object_"):
        return "object"
    return "static" if test.endswith("_static") else "pm"


def run(command, folder):
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    if done.returncode != 0:
        raise Problem("%s failed:\n%s" % (" ".join(command), done.stdout))


class Compiled:
    """An entry of compile_commands.json. Its words are split only when asked for: each mutant reads
    the entries of all files, and needs those of a few."""

    def __init__(self, entry):
        self.entry = entry
        self.file = entry["file"]
        self.folder = entry["directory"]
        # CMake names the object of each entry; none needs quotes.
        name = re.search(r" -o (\S+)", entry["command"]).group(1)
        self.object = os.path.join(self.folder, name)
        match = re.search(r"^(.*)/CMakeFiles/([^/]+)\.dir/", self.object)
        self.place, self.target = match.groups() if match else (None, None)

    @property
    def command(self):
        words = shlex.split(self.entry["command"])
        out = words.index("-o")
        return [w for i, w in enumerate(words)
                if i not in (out, out + 1) and w not in ("-c", self.file)]


class Tree:
    """A build directory."""

    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        commands = os.path.join(self.folder, "compile_commands.json")
        if not os.path.exists(commands):
            raise Problem("no build in %s: %s is missing" % (self.folder, commands))
        with open(commands, encoding="utf-8") as file:
            self.entries = [Compiled(entry) for entry in json.load(file)]
        self.cache = {}
        with open(os.path.join(self.folder, "CMakeCache.txt"), encoding="utf-8") as file:
            for line in file:
                match = re.match(r"([A-Za-z0-9_]+):[A-Z]+=(.*)", line)
                if match:
                    self.cache[match.group(1)] = match.group(2)
        self.source = os.path.join(self.cache.get("CMAKE_HOME_DIRECTORY", ""), "lib")

    @property
    def kind(self):
        sanitizer = {"address": "asan", "thread": "tsan", "undefined": "ubsan"}
        if self.cache.get("PM_SANITIZE"):
            return sanitizer[self.cache["PM_SANITIZE"]]
        for option, kind in [("PM_COVERAGE", "coverage"), ("PM_CLASSIC", "classic"),
                             ("PM_CHECK", "check")]:
            if self.cache.get(option, "OFF") in ("ON", "1", "TRUE"):
                return kind
        return "release"

    def objects_of(self, target):
        found = [e for e in self.entries if e.target == target]
        if not found:
            raise Problem("the build has no test \"%s\"" % target)
        return found

    def subject(self, mutant):
        """What the mutant changes: the test's program, or the shared library."""
        if library_of(mutant) == "shared":
            return os.path.join(self.folder, "lib", LIBRARIES["shared"][0])
        return self.test_program(mutant)

    def test_program(self, mutant):
        program = os.path.join(self.objects_of(mutant.test)[0].place, mutant.test)
        if not os.path.exists(program):
            raise Problem("%s is not built" % program)
        return program

    def compiled(self, file, library):
        path = os.path.join(self.source, file)
        for entry in self.entries:
            if entry.file == path and entry.target in LIBRARIES[library][1]:
                return entry
        raise Problem("lib/%s is not part of the library \"%s\"" % (file, library))

    def mutated(self, mutant):
        """{file: text}, of those that the mutant changes. Raises Problem when it does not apply."""
        texts = {}
        for change in mutant.changes:
            if change.file not in texts:
                try:
                    with open(os.path.join(self.source, change.file), encoding="utf-8") as file:
                        texts[change.file] = file.read()
                except OSError as error:
                    raise Problem("%s: the mutant no longer applies: mend the table. %s" % (
                        mutant.name, error)) from error
            try:
                texts[change.file] = change.apply(texts[change.file])
            except table.Problem as problem:
                raise Problem("%s: %s" % (mutant.name, problem)) from problem
        return texts

    def write_mutated(self, mutant, folder):
        for name, text in self.mutated(mutant).items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)

    def link_flags_of_shared(self):
        """Of Ninja's list: -z nodelete and the like."""
        try:
            with open(os.path.join(self.folder, "build.ninja"), encoding="utf-8") as file:
                text = file.read()
        except OSError as error:
            raise Problem("the build was not made by Ninja: %s" % error) from error
        match = re.search(r"^build lib/libpoolmalloc\.so\S*:.*\n(?:  .*\n)*?  LINK_FLAGS = (.*)\n",
                          text, re.MULTILINE)
        if not match:
            raise Problem("build.ninja does not say how the shared library is linked")
        return shlex.split(match.group(1))

    @staticmethod
    def change_flags(mutant, words, used):
        for old, new in mutant.flags:
            if old in words:
                used.add(old)
                words = [new if w == old else w for w in words]
        return [w for w in words if w]

    def compile_mutated(self, mutant, folder, library, used_flags):
        objects = []
        for file in mutant.units():
            entry = self.compiled(file, library)
            mutated = os.path.join(folder, file)
            source = mutated if os.path.exists(mutated) else entry.file
            words = self.change_flags(mutant, list(entry.command), used_flags)
            objects.append(os.path.join(folder, file.replace("/", "-") + ".o"))
            # In front of the other folders: mutated headers. -w: what nobody uses now is no error.
            run(words[:1] + ["-I" + folder] + words[1:] + ["-w", "-o", objects[-1], "-c", source],
                entry.folder)
        return objects

    def mutated_program(self, mutant, folder):
        """Compiles and links; the path of the program or of the shared library."""
        library = library_of(mutant)
        used_flags = set()
        self.write_mutated(mutant, folder)
        objects = self.compile_mutated(mutant, folder, library, used_flags)
        first = self.objects_of(LIBRARIES[library][1][0])[0]
        flags = [w for w in first.command if not w.startswith(("-I", "-D"))]
        link_flags = []
        if library == "shared":
            link_flags = self.change_flags(mutant, self.link_flags_of_shared(), used_flags)
        for old, _ in mutant.flags:
            if old not in used_flags:
                raise Problem("%s: the mutant no longer applies: mend the table. The flag %s is "
                              "not used" % (mutant.name, old))
        if library == "shared":
            replaced = [self.compiled(file, library).object for file in mutant.units()]
            others = [e.object for e in self.entries
                      if e.target in LIBRARIES[library][1] and e.object not in replaced]
            program = os.path.join(folder, LIBRARIES[library][0])
            run(flags + link_flags + ["-shared", "-o", program] + objects + others, self.folder)
            return program
        program = os.path.join(folder, mutant.test)
        tests = [e.object for e in self.objects_of(mutant.test)]
        archives = [LIBRARIES[library][0]] + [LIBRARIES["pm"][0]] * (library == "object")
        archives = [os.path.join(self.folder, "lib", archive) for archive in archives]
        extra = [self.cache["PM_CMOCKA_LIBRARY"]] if mutant.test.endswith("_test") else []
        if any(e.file.endswith(".cc") for e in self.objects_of(mutant.test)):
            extra.append("-lstdc++")
        run(flags + ["-o", program] + tests + objects + archives + extra + ["-pthread"],
            self.folder)
        return program
