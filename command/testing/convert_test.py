# SPDX-License-Identifier: MIT
"""Tests of convert: what other tools read of what it writes. See common.py."""

import gzip
import os
import re
import subprocess
import unittest

import common
from common import FORMS, FilesTest, gperftools, jemalloc, needs, scaled, snapshot

TYPES = ("alloc_objects", "alloc_space", "inuse_objects", "inuse_space")


def tool(*words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          check=True, timeout=60, env={**os.environ, "HOME": "/nonexistent"})
    return done.stdout


@needs(("go", "golang-go"))
class GoTest(FilesTest):
    def converted(self, text, *words):
        path = self.write("recording", text)
        self.run_command("convert", "-o", path + ".pb.gz", path, *words)
        return path + ".pb.gz"

    def total(self, path, sample_type, *words):
        said = tool("go", "tool", "pprof", "-top", "-unit=bytes" if "space" in sample_type
                    else "-unit=count", "-sample_index=" + sample_type, *words, path)
        return int(re.search(r"of (\d+)B? total", said)[1])

    def test_totals_are_those_of_the_report(self):
        for name, form in FORMS.items():
            path = self.converted(form())
            for all_of, words in (("inuse", []), ("alloc", ["--all"])):
                if name == "snapshot" and words:
                    continue
                size, blocks = self.rows("report", *words, self.path("recording"))["total"]
                with self.subTest((name, all_of)):
                    self.assertEqual(self.total(path, all_of + "_space"), size)
                    self.assertEqual(self.total(path, all_of + "_objects"), blocks)

    def test_the_sampled_forms_give_what_go_reads_of_them_directly(self):
        path = self.converted(gperftools())
        for sample_type in TYPES:
            direct = self.total(self.path("recording"), sample_type)
            # It cuts off where this rounds: one for each of three stacks.
            self.assertLessEqual(abs(self.total(path, sample_type) - direct), 3)

    def test_all_fields_are_there(self):
        raw = tool("go", "tool", "pprof", "-raw", self.converted(jemalloc()))
        self.assertIn("PeriodType: space bytes\nPeriod: 524288\n", raw)
        self.assertIn("alloc_objects/count alloc_space/bytes inuse_objects/count "
                      "inuse_space/bytes[dflt]\n", raw)
        (live_blocks, live), (all_blocks, every) = scaled(5, 400), scaled(10, 800)
        self.assertRegex(raw, r"\n +%d +%d +%d +%d: 1 \d \d *\n +bytes:\[80 bytes\]" % (
            all_blocks, every, live_blocks, live))
        # A return address stands for the call before it.
        self.assertRegex(raw, r"\n +1: 0x1000 ")
        self.assertRegex(raw, r"1: 0x7f0000000000/0x7f0000001000/0x0 /no/such/library\.so")
        raw = tool("go", "tool", "pprof", "-raw", self.converted(snapshot()))
        self.assertIn("Period: 1\nTime: 2026-11-27 12:00:00 +0000 UTC\n", raw)
        self.assertIn("\ninuse_objects/count inuse_space/bytes[dflt]\n", raw)

    def test_functions_lines_inlining_and_build_ids_go_along(self):
        program = self.recorder("-g", "-Wl,--build-id=0x0123456789abcdef")
        path = self.record(program, "gperftools", 524288)
        self.run_command("convert", "-o", path + ".pb.gz", path)
        raw = tool("go", "tool", "pprof", "-raw", path + ".pb.gz")
        source = re.escape(os.path.join(common.HERE, "recorder.cc"))
        self.assertRegex(raw, r"holder::keep %s:\d+ s=0\(holder<int&>::keep\(\)\)\n +grow %s:\d+"
                         % (source, source))
        self.assertRegex(raw, r"1: 0x\S+ %s 0123456789abcdef \[FN\]\[FL\]\[LN\]\[IN\]\n"
                         % re.escape(program))

    def test_what_is_written_is_one_gzip_file_also_to_a_pipe(self):
        path = self.converted(snapshot())
        output, _ = self.run_command("convert", self.path("recording"), text=False,
                                     errors=None)
        with open(path, "rb") as file:
            self.assertEqual(gzip.decompress(output), gzip.decompress(file.read()))


class TextTest(FilesTest):
    def test_text_forms_are_read_back_with_the_same_sums(self):
        for name, form in FORMS.items():
            path = self.write(name, form())
            for to in ("gperftools", "jemalloc"):
                output, _ = self.run_command("convert", "--to=" + to, path)
                other = self.write(name + "-" + to, output)
                with self.subTest((name, to)):
                    self.assertEqual(self.rows("report", "--by=traceback", other),
                                     self.rows("report", "--by=traceback", path))

    @needs(("google-pprof", "google-perftools"))
    def test_google_pprof_reads_what_is_written(self):
        program = self.recorder("-g")
        for form, mean in (("snapshot", 1), ("jemalloc", 64)):
            path = self.record(program, form, mean)
            self.check_by("google-pprof", program, path, "gperftools", ("--inuse_space", []))
            if form != "snapshot":
                self.check_by("google-pprof", program, path, "gperftools",
                              ("--alloc_space", ["--all"]))

    @needs(("jeprof", "libjemalloc-dev"))
    def test_jeprof_reads_what_is_written(self):
        program = self.recorder("-g")
        for form in ("gperftools", "jemalloc"):
            path = self.record(program, form, 64)
            self.check_by("jeprof", program, path, "jemalloc", ("--inuse_space", []))

    def check_by(self, reader, program, path, to, option):
        self.run_command("convert", "--to=" + to, "-o", path + ".text", path)
        said = tool(reader, "--text", "--show_bytes", option[0], program, path + ".text")
        total = int(re.search(r"Total: (\d+) B", said)[1])
        wanted = self.rows("report", *option[1], path)["total"][0]
        self.assertLessEqual(abs(total - wanted), 3, said)
        self.assertRegex(said, r"\bgrow\b|holder::keep")


if __name__ == "__main__":
    common.main()
