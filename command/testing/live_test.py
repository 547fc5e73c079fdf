# SPDX-License-Identifier: MIT
"""Tests of symbols of a living process: files that change, go and come. See common.py.

COMMAND is the program ask here, of ask.c.
"""

import os
import shutil
import subprocess
import sys

import common
from common import FilesTest

# Says where it may be asked, loads a library when told to, and waits for its end.
PROGRAM = r"""
#include <cstdio>
#include <dlfcn.h>
__attribute__((noinline)) void *place() { return __builtin_return_address(0); }
__attribute__((noinline)) void *around() { void *at = place(); asm volatile(""); return at; }
int main(int, char **arguments)
{
    /* Loaded and unloaded and loaded again: it lies where it lay, as nothing came in between. */
    printf("%p\n", around());
    void *library = dlopen(arguments[1], RTLD_NOW);
    printf("%p\n", (void *)((char *)dlsym(library, "answer") + 1));
    dlclose(library);
    fflush(stdout);
    if (getchar() == EOF)
        return 0;
    library = dlopen(arguments[1], RTLD_NOW);
    printf("%p\n", (void *)((char *)dlsym(library, "answer") + 1));
    fflush(stdout);
    getchar();
    return 0;
}
"""


class LiveTest(FilesTest):
    def build(self, name, source, *flags):
        subprocess.run([common.CXX, "-g", "-O1", "-o", self.path(name), "-x", "c++", "-", *flags],
                       input=source, text=True, check=True)
        return self.path(name)

    def start(self, *words):
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.stdin.close)
        return process

    def answer(self, process):
        lines = []
        while not lines or lines[-1] != "\n":
            line = process.stdout.readline()
            self.assertNotEqual(line, "")
            lines.append(line)
        return "".join(lines[:-1])

    def started(self, *before):
        if before and subprocess.run([*before, "true"], stderr=subprocess.DEVNULL,
                                     check=False).returncode != 0:
            self.skipTest("not allowed: " + " ".join(before))
        program = self.build("program", PROGRAM)
        library = self.build("library.so", 'extern "C" int answer() { return 42; }', "-shared",
                             "-fPIC")
        process = self.start(*before, program, library)
        return process, program, process.stdout.readline().strip()

    def test_functions_and_lines_of_a_process_are_found(self):
        process, _, address = self.started()
        self.assertRegex(self.answer(self.start(common.COMMAND, str(process.pid), address)),
                         r"^around\(\) \S+:5\n$")

    def test_a_library_that_came_later_is_found_after_the_maps_are_read_again(self):
        process, _, address = self.started()
        loaded = process.stdout.readline().strip()  # where the library will be
        asked = self.start(common.COMMAND, str(process.pid), address, loaded)
        self.assertIn("\n%s ?:0\n" % loaded, self.answer(asked))
        process.stdin.write("\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline().strip(), loaded)
        asked.stdin.write("\n")
        asked.stdin.flush()
        self.assertRegex(self.answer(asked), r"^around\(\) \S+:5\nanswer \S+:1\n$")

    def test_of_a_program_that_was_deleted_its_own_file_is_read_or_none(self):
        process, program, address = self.started()
        os.unlink(program)
        shutil.copy("/bin/true", program)
        said = self.answer(self.start(common.COMMAND, str(process.pid), address))
        if os.geteuid() == 0:  # who may open what a process has mapped
            self.assertRegex(said, r"^around\(\) \S+:5\n$")
        else:
            self.assertRegex(said, r"^program\+0x[0-9a-f]+ \?:0\n! .* was deleted\n$")

    def test_another_file_in_its_place_is_told_by_its_build_id(self):
        process, program, address = self.started("unshare", "-m")
        # The same text with another build id: its segments lie where those of the first do.
        other = self.build("other", PROGRAM, "-Wl,--build-id=0x%040d" % 7)
        mount = ["nsenter", "-t", str(process.pid), "-m", "mount", "--bind"]
        self.assertRegex(self.answer(self.start(common.COMMAND, str(process.pid), address)),
                         r"^around\(\) \S+:5\n$")
        subprocess.run([*mount, other, program], check=True)
        self.assertRegex(self.answer(self.start(common.COMMAND, str(process.pid), address)),
                         r"^program\+0x[0-9a-f]+ \?:0\n! \S+ was changed since\n$")

    def test_a_process_that_is_gone_is_said(self):
        process, _, address = self.started()
        process.communicate("")
        done = subprocess.run([common.COMMAND, str(process.pid), address], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("No such file or directory", done.stderr)


if __name__ == "__main__":
    common.main("" if sys.platform == "linux" else "needs Linux")
