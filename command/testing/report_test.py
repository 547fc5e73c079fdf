# SPDX-License-Identifier: MIT
"""Tests of report and diff as text: sums, names, filters, what is refused. See common.py."""

import os
import shutil
import subprocess
import unittest

import common
from common import FORMS, FilesTest, gperftools, jemalloc, scaled, snapshot


class SumsTest(FilesTest):
    def test_each_group_of_a_snapshot_has_its_sums(self):
        path = self.write("snapshot", snapshot(domains=(0, 5, 7)))
        for group, wanted in {
                "function": {"0x1001": [3400, 8], "0x9001": [7, 1]},
                "module": {"[unknown]": [3407, 9]},
                "domain": {"raw": [3000, 3], "new[]": [400, 5], "domain 7": [7, 1]},
                "traceback": {"0x1001": [400, 5], "0x9001": [7, 1]}}.items():
            with self.subTest(group):
                rows = self.rows("report", "--by=" + group, path)
                self.assertEqual(rows.pop("total"), [3407, 9])
                self.assertEqual(rows, wanted)

    def test_a_recursive_function_counts_once_for_each_block(self):
        path = self.write("snapshot", snapshot(((2, 10, "0x1001 0x2001 0x2001 0x2001"),), (0,)))
        rows = self.rows("report", "--cumulative", path)
        self.assertEqual(rows, {"0x1001": [10, 2], "0x2001": [10, 2], "total": [10, 2]})

    def test_samples_are_scaled_by_the_documented_formula(self):
        first, second, last = scaled(3, 3000), scaled(5, 400), scaled(1, 7)
        wanted = {"0x1001": [first[1] + second[1], first[0] + second[0]],
                  "0x9001": [last[1], last[0]]}
        for form in (gperftools, jemalloc):
            path = self.write("profile", form())
            rows = self.rows("report", path)
            self.assertEqual(rows.pop("total"), [sum(one[i] for one in wanted.values())
                                                 for i in (0, 1)])
            self.assertEqual(rows, wanted)
            every = self.rows("report", "--all", path)
            self.assertEqual(every["0x9001"], list(reversed(scaled(2, 14))))

    def test_a_mean_of_one_byte_is_each_block(self):
        for form in (gperftools, jemalloc):
            self.assertEqual(self.rows("report", self.write("profile", form(1)))["total"],
                             [3407, 9])

    def test_only_so_many_rows_are_printed(self):
        path = self.write("snapshot", snapshot())
        output, _ = self.run_command("report", "--top=1", path)
        self.assertIn("... and 1 more\n", output)
        self.assertNotIn("0x9001", output)

    def test_filters_let_through_what_the_manual_says(self):
        path = self.write("snapshot", snapshot())
        for words, wanted in (
                (["function=0x9*"], 7), (["!function=0x9*"], 3400), (["function=0x2*"], 0),
                (["any-function=0x2002"], 400), (["!any-function=0x2002"], 3007),
                (["domain=raw"], 3000), (["!domain=raw"], 407), (["domain=2"], 7),
                (["domain=new"], 0), (["domain=raw", "domain=mem"], 3400),
                (["domain=raw", "!function=0x1*"], 0), (["module=[[]unknown]"], 3407),
                (["file=*"], 3407), (["file=?.c"], 0)):
            with self.subTest(words):
                rows = self.rows("report", path, *("--filter=" + word for word in words))
                self.assertEqual(rows["total"][0], wanted)

    def test_a_difference_has_what_grew_what_shrank_and_what_is_gone(self):
        old = self.write("old", snapshot())
        new = self.write("new", snapshot(
            ((4, 4000, "0x1001 0x2001"), (1, 5, "0x5001"), (2, 400, "0x6001"))))
        rows = self.rows("diff", old, new)
        self.assertEqual(list(rows.items()), [
            ("0x1001", [600, 4000, -4, 4]), ("0x6001", [400, 400, 2, 2]),
            ("0x9001", [-7, 0, -1, 0]), ("0x5001", [5, 5, 1, 1]), ("total", [998, 4405, -2, 7])])

    def test_a_file_differs_from_itself_by_nothing(self):
        for name, form in FORMS.items():
            path = self.write(name, form())
            for row in self.rows("diff", path, path).values():
                self.assertEqual((row[0], row[2]), (0, 0))

    def test_many_stacks_take_time_by_their_number(self):
        """Work by the square of it would not end within the time that a command may take."""
        stacks = [(1, 16, "0x%x 0x%x 0x3001" % (4097 + i, 8193 + i % 97)) for i in range(50000)]
        maps = "".join("7f%06x000-7f%06x000 r-xp 00000000 08:01 42 /no/such/library%d.so\n" % (
            i, i + 1, i) for i in range(2000))
        path = self.write("snapshot", snapshot(stacks, [0] * len(stacks), maps))
        self.assertEqual(self.rows("report", path)["total"], [800000, 50000])
        self.assertEqual(self.rows("diff", path, path)["total"], [0, 800000, 0, 50000])


class NamesTest(FilesTest):
    FIRST, SECOND = "holder<int&>::keep()", "grow"

    def lines(self, path):
        output, _ = self.run_command("report", "--by=traceback", path)
        return output

    def test_functions_lines_and_inlined_frames_are_named(self):
        program = self.recorder("-g")
        for form in FORMS:
            path = self.record(program, form, 1)
            self.assertEqual(self.rows("report", path)[self.FIRST], [3400, 8])
            rows = self.rows("report", "--cumulative", path)
            self.assertEqual([rows[one] for one in (self.SECOND, "twice", "main")],
                             [[3400, 8], [400, 5], [3400, 8]])
            source = os.path.join(common.HERE, "recorder.cc")
            self.assertRegex(self.lines(path), r"keep\(\) %s:\d+\n +grow %s:\d+\n +twice %s:\d+\n"
                             % (source, source, source))
            self.assertEqual(self.rows("report", "--by=file", path)[source], [3400, 8])

    def test_the_line_is_that_of_the_call_and_not_of_the_return(self):
        path = self.record(self.recorder("-g"), "snapshot", 1)
        with open(os.path.join(common.HERE, "recorder.cc"), encoding="utf-8") as file:
            lines = file.read().splitlines()
        rows = self.rows("report", "--by=line", "--cumulative", path)
        called = {lines[int(name.split(":")[1]) - 1].strip(): row for name, row in rows.items()
                  if "recorder.cc:" in name}
        self.assertEqual(called, {
            "now.count = backtrace(now.frames, 64);": [3400, 8],
            "holder<int &>::keep();": [3400, 8], "grow();": called["grow();"],
            "twice();": [400, 5]})

    def test_without_debug_information_the_symbol_table_names_functions(self):
        program = self.recorder()
        text = self.lines(self.record(program, "snapshot", 1))
        self.assertIn("grow()\n", text)
        self.assertIn("twice()\n", text)
        self.assertNotIn("recorder.cc", text)

    def test_of_a_stripped_program_place_in_the_module_is_shown(self):
        path = self.record(self.recorder("-s"), "snapshot", 1)
        self.assertRegex(self.lines(path), r" recorder\+0x[0-9a-f]+\n")

    def test_of_a_file_that_is_gone_or_was_changed_no_function_is_named(self):
        program = self.recorder("-g")
        path = self.record(program, "snapshot", 1)
        os.rename(program, program + ".away")
        self.assertRegex(self.lines(path), r" recorder\+0x[0-9a-f]+\n")
        shutil.copy(program + ".away", program)
        os.utime(program)  # later than the time in the snapshot
        os.utime(program, (4000000000, 4000000000))
        self.assertRegex(self.lines(path), r" recorder\+0x[0-9a-f]+\n")
        os.utime(program, (1000000000, 1000000000))
        self.assertIn(self.SECOND, self.lines(path))
        shutil.copy("/bin/true", program)  # another one, whose segments lie elsewhere
        os.utime(program, (1000000000, 1000000000))
        self.assertRegex(self.lines(path), r" recorder\+0x[0-9a-f]+\n")

    def test_two_runs_are_compared_by_functions(self):
        program = self.recorder("-g")
        old = self.record(program, "snapshot", 1)
        new = self.record(program, "snapshot", 1, 4)
        self.assertEqual(self.rows("diff", old, new)[self.FIRST], [9000, 12400, 9, 17])
        for group in ("line", "traceback"):
            rows = self.rows("diff", "--by=" + group, old, new)
            self.assertEqual(rows["total"], [9000, 12407, 9, 18])
            self.assertEqual([row for row in rows.values() if row[0] < 0], [])


class RefusedTest(FilesTest):
    def refused(self, text, *words):
        """What is said of the file, after its name."""
        path = self.write("file", text)
        output, errors = self.run_command(*(words or ("report",)), path, status=1)
        self.assertEqual(output, "")
        said, count = errors.partition(path + ": ")[2], errors.count("\n")
        self.assertEqual(count, 1, errors)
        return said

    def test_a_file_cut_off_anywhere_is_named_with_the_offset(self):
        for name, form in FORMS.items():
            text = form(stacks=((3, 3000, "0x1001 0x2001"),)) if name != "snapshot" \
                else snapshot(((3, 3000, "0x1001 0x2001"),), (0,))
            maps = text.index(common.MAPS)
            for length in range(0, len(text), 2):
                if name != "snapshot" and length >= maps and text[length - 1] == "\n":
                    continue  # which mappings there were such a profile does not tell
                said = self.refused(text[:length])
                self.assertRegex(said, r"^offset \d+: ", (name, length))
                self.assertLessEqual(int(said.split()[1][:-1]), length)
                if length > 30:
                    self.assertIn("truncated", said)

    def test_another_letter_is_named_with_its_offset(self):
        for form in (gperftools(), jemalloc(), snapshot()):
            at = form.index("0x2002")
            said = self.refused(form[:at] + "y" + form[at + 1:])
            self.assertRegex(said, r"^offset (%d|%d): " % (at, at - 1))

    def test_foreign_and_future_files_are_refused(self):
        for text in ("poolmalloc snapshot 2\n", "heap profile: 1: 2 [3: 4] @ heap_v3/7\n",
                     "heap profile: 1: 2 [3: 4] @ growthz\n", "heap_v3/4096\n", "", "\0\1\2\3",
                     "--- cpu profile\n", "heap profile: 99999999999999999999: 1 @ heap_v2/1\n"):
            self.assertRegex(self.refused(text), r"^offset \d+: ")
        with open(common.COMMAND, "rb") as file:
            self.assertRegex(self.refused(file.read()), r"^offset 0: expected ")

    def test_sums_that_cannot_be_shown_are_refused(self):
        big = (1, 2**62, "0x1001")
        for text, words in ((gperftools(1, (big, big)), ["report"]),
                            (gperftools(2**20, ((2**40, 2**40, "0x1"),) * 16), ["report"]),
                            (jemalloc(2**60, ((2**40, 2**40, "0x1"),)), ["convert"])):
            self.assertRegex(self.refused(text, *words), "2\\^63")

    def test_what_cannot_be_read_or_compared_is_said(self):
        _, errors = self.run_command("report", self.path("missing"), status=1)
        self.assertIn("missing: No such file or directory", errors)
        _, errors = self.run_command("report", self.folder, status=1)
        self.assertIn("Is a directory", errors)
        one, two = self.write("one", snapshot()), self.write("two", gperftools())
        _, errors = self.run_command("diff", one, two, status=1)
        self.assertIn("they cannot be compared", errors)
        _, errors = self.run_command("report", "--all", one, status=1)
        self.assertIn("live blocks only", errors)

    def test_wrong_arguments_end_with_2(self):
        path = self.write("snapshot", snapshot())
        for words in (["report"], ["report", path, path], ["diff", path],
                      ["report", "--by=x", path], ["report", "--top=x", path],
                      ["report", "--filter=x", path], ["report", "--filter=any-domain=raw", path],
                      ["report", "--nonsense", path],
                      ["report", "--cumulative", "--by=traceback", path], ["convert"],
                      ["convert", "--to=x", path], ["convert", path, path]):
            _, errors = self.run_command(*words, status=2)
            self.assertIn("--help", errors)

    def test_a_full_disk_is_said_and_a_pipe_can_be_read(self):
        path = self.write("snapshot", snapshot())
        for words in (["report", "-o", "/dev/full"], ["diff", path, "-o", "/dev/full"],
                      ["convert", "-o", "/dev/full"], ["convert", "--to=jemalloc", "-o",
                                                       "/dev/full"]):
            _, errors = self.run_command(*words, path, status=1)
            self.assertIn("/dev/full: No space left on device", errors)
        for group in ("function", "traceback"):
            _, errors = self.run_command(
                "-c", 'exec "$0" report --by=$2 "$1" >/dev/full', common.COMMAND, path, group,
                command="sh", status=1)
            self.assertIn("write error: No space left on device", errors)
        done = subprocess.run(["sh", "-c", 'cat "$1" | "$0" report /dev/stdin', common.COMMAND,
                               path], stdout=subprocess.PIPE, text=True, check=True)
        self.assertEqual(common.rows_of(done.stdout)["total"], [3407, 9])


class RealTest(FilesTest):
    """What the library itself wrote."""

    @common.needs(("cc", "gcc"))
    def test_traced_blocks_are_where_the_program_made_them(self):
        one, two = self.path("one"), self.path("two")
        subprocess.run([self.linked("holder.c"), one, two], check=True)
        first = sum(100 + i % 7 for i in range(1000))
        wanted = {"take": [first, 1000], "parse": [first, 1000], "load": [first, 1000]}
        self.assertEqual(self.rows("report", one)["take"], wanted["take"])
        rows = self.rows("report", "--cumulative", one)
        self.assertEqual({name: rows[name] for name in wanted}, wanted)
        self.assertEqual(self.rows("report", "--by=domain", one)["malloc"], wanted["take"])
        grown = sum(100 + i % 7 for i in range(1000, 4000))
        self.assertEqual(self.rows("diff", one, two)["take"],
                         [grown, first + grown, 3000, 4000])

    @common.needs(("cc", "gcc"))
    def test_a_profile_of_each_block_has_all_of_them_where_they_were_made(self):
        one, two = self.path("one"), self.path("two")
        done = subprocess.run([self.linked("sampled.c"), one, two], stdout=subprocess.PIPE,
                              text=True, check=True)
        held, wasted = map(int, done.stdout.split())
        for path in (one, two):
            live, every = self.rows("report", path), self.rows("report", "--all", path)
            self.assertEqual((live["hold"], live.get("waste")), ([held, 1000], None))
            self.assertEqual((every["hold"], every["waste"]), ([held, 1000], [wasted, 500]))


class PlainTest(FilesTest):
    """A command that was built without what it can do without."""

    def build(self):
        sources = os.path.dirname(common.HERE)
        build = os.path.dirname(os.path.dirname(common.COMMAND))
        command = self.path("plain")
        names = [os.path.join(sources, name) for name in sorted(os.listdir(sources))
                 if name.endswith(".c")]
        subprocess.run(["cc", "-std=gnu17", "-DPM_LIBDW=0", "-DPM_PROTOBUF=0", '-DPM_VERSION="0"',
                        '-DPM_LIBRARY_FOLDER="x"', '-DPM_LIBRARY_NAME="x"', "-I" + sources,
                        "-I" + os.path.join(sources, "../include"), "-o", command, *names,
                        os.path.join(build, "command/page_parts.c"),
                        os.path.join(build, "lib/libpoolmalloc_pm.a"), "-lm", "-lpthread"],
                       check=True)
        return command

    @common.needs(("cc", "gcc"))
    def test_it_says_so_once_and_shows_places_in_modules(self):
        command = self.build()
        path = self.record(self.recorder("-g"), "snapshot", 1)
        output, errors = self.run_command("diff", path, path, "--by=traceback", command=command)
        self.assertRegex(output, r" recorder\+0x[0-9a-f]+\n")
        self.assertEqual(errors.count("built without libdw"), 1)
        _, errors = self.run_command("convert", path, "-o", self.path("out"), status=1,
                                     command=command)
        self.assertIn("built without protobuf-c and zlib", errors)
        self.assertFalse(os.path.exists(self.path("out")))


if __name__ == "__main__":
    common.main()
