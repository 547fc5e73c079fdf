#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The runner of guides on pages made here: what must pass does, and each fault is told."""

import contextlib
import io
import os
import signal
import tempfile
import threading
import unittest
from unittest import mock

import session
from page import Page, PageError, matches
from run import NOT_INSTALLED, check_folder, run_guide
from session import Failure, children, stop_on_signal

HEAD = "# A guide\n\n"


def sh(*lines, words="sh"):
    return "```%s\n%s\n```\n" % (words, "\n".join(lines))


def output(*lines):
    return sh(*lines, words="output")


class Guides(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        patch = mock.patch.object(tempfile, "tempdir", self.folder)
        patch.start()
        self.addCleanup(patch.stop)
        session.LEFT_SECONDS = 1

    def write(self, text, name="some.md"):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def run_page(self, text, seconds=20):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            code = run_guide(self.write(HEAD + text), None, seconds=seconds)
        return code, said.getvalue()

    def fault(self, text, seconds=20):
        with self.assertRaises(Failure) as raised:
            self.run_page(text, seconds)
        return str(raised.exception)

    def test_blocks_share_one_shell_and_one_folder(self):
        code, said = self.run_page(sh("number=7", "mkdir a", "cd a") + "words\n"
                                   + sh("b", words="text file=c") + sh("cat c $PWD/c; echo $number")
                                   + output("b", "b", "7"))
        self.assertEqual((code, said), (0, "some.md: 2 blocks run, the output of 1 compared\n"))

    def test_a_wrong_expected_output_is_shown_with_its_line_and_what_was_said(self):
        fault = self.fault(sh("echo one") + output("two"))
        self.assertIn("some.md:6: expected\ntwo\nbut the commands printed\none\n", fault)

    def test_an_output_that_is_missing_or_too_long_is_wrong(self):
        self.assertIn("expected", self.fault(sh("true") + output("one")))
        self.assertIn("expected", self.fault(sh("echo one; echo two") + output("one")))

    def test_a_failing_command_is_named_by_its_line_with_the_output_of_its_block(self):
        fault = self.fault(sh("echo before", "ls /no/such/file", "echo after"))
        self.assertIn("some.md:5: failed with 2", fault)
        self.assertIn("before\nls: cannot access '/no/such/file'", fault)
        self.assertNotIn("after", fault)

    def test_a_failure_shows_what_a_server_wrote_into_its_log(self):
        self.assertIn("log:\nno such table", self.fault(sh("echo no such table >log", "false")))

    def test_a_failure_in_a_pipe_and_an_unset_variable_are_failures(self):
        self.assertIn("some.md:4: failed", self.fault(sh("false | cat")))
        self.assertIn("line 4: NOWHERE: unbound variable", self.fault(sh("echo $NOWHERE")))

    def test_a_wrong_output_is_told_before_the_failure_that_follows_from_it(self):
        fault = self.fault(sh("echo one") + output("two") + sh("false"))
        self.assertIn("some.md:6: expected", fault)

    def test_a_missing_file_is_a_failure(self):
        self.assertIn("main.c: No such file", self.fault(sh("cat main.c")))

    def test_a_file_that_comes_later_is_not_there_yet(self):
        later = sh("int x;", words="c file=main.c")
        self.assertIn("main.c: No such file", self.fault(sh("cat main.c") + later))

    def test_a_server_left_running_is_named_and_ended(self):
        fault = self.fault(sh("sleep 1234 &"))
        self.assertIn("left running, and ended now: sleep 1234", fault)
        self.assertEqual(children(), {})

    def test_so_is_one_that_left_the_session(self):
        fault = self.fault(sh("setsid sh -c 'sleep 1235 & sleep 1236 & wait' >/dev/null 2>&1 &"))
        self.assertIn("sleep 123", fault)
        self.assertEqual(children(), {})

    def test_a_server_that_was_asked_to_end_may_take_a_moment(self):
        self.assertEqual(self.run_page(sh("sleep 0.5 &"))[0], 0)

    def test_a_command_that_does_not_end_is_named_and_ended(self):
        fault = self.fault(sh("true") + sh("echo begun", "sleep 1237"), seconds=0.7)
        self.assertIn("some.md:6: did not end in 0.7 s; its output:\nbegun", fault)
        self.assertEqual(children(), {})

    def test_a_test_that_is_stopped_leaves_neither_processes_nor_a_folder(self):
        old = signal.signal(signal.SIGTERM, stop_on_signal)
        self.addCleanup(signal.signal, signal.SIGTERM, old)
        stopper = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))
        stopper.start()
        with self.assertRaises(SystemExit):
            self.run_page(sh("sleep 1238 & sleep 1239"))
        stopper.join()
        self.assertEqual(children(), {})
        self.assertEqual(os.listdir(self.folder), ["some.md"])

    def test_what_is_not_installed_skips_the_guide_and_is_named(self):
        code, said = self.run_page("Needs `sh`, `/no/such/header.h` and\n`no-such-program`.\n\n"
                                   + sh("false"))
        self.assertEqual(code, NOT_INSTALLED)
        self.assertIn("not installed: /no/such/header.h, no-such-program", said)

    def test_a_block_for_a_missing_program_is_left_out_and_that_is_said(self):
        code, said = self.run_page(sh("true") + sh("false", words="sh if=no-such-program")
                                   + output("never"))
        self.assertEqual(code, 0)
        self.assertIn("some.md:6: left out, not installed: no-such-program", said)
        self.assertIn("failed", self.fault(sh("false", words="sh if=ls")))

    def test_commands_that_are_not_run_must_be_ones_that_bash_takes(self):
        self.assertEqual(self.run_page(sh("true") + sh("sudo rm x", words="sh syntax-only"))[0], 0)
        self.assertIn("some.md:6: bash does not take this",
                      self.fault(sh("true") + sh("if true", words="sh syntax-only")))

    def test_hidden_checks_are_run(self):
        self.assertIn("some.md:7: failed", self.fault(sh("true") + "<!-- check\nfalse\n-->\n"))

    def test_pages_with_what_would_not_be_tested_are_refused(self):
        run = sh("true")
        for text, wanted in (
                (run + sh("x", words=""), "a fence without a language"),
                (run + sh("x", words="c"), "neither run, written, compared nor text"),
                (run + sh("x", words="sh quickly"), "\"quickly\" means nothing"),
                (run + sh("x", words="c file=../x"), "is no name of a file"),
                (run + sh("[Service]", "Enviroment=A=b", words="ini file=x"), "is no drop-in"),
                (run + sh("Environment=A=b", words="ini file=x"), "is no drop-in"),
                (run + "\n    indented\n", "indented code is not run"),
                (run + "```sh\ntrue\n", "never closed"),
                (output("x") + run, "output of no commands"),
                (run + output("x") + output("x"), "output of no commands"),
                ("words\n", "nothing is run")):
            with self.assertRaises(PageError, msg=text) as raised:
                Page(HEAD + text)
            self.assertIn(wanted, str(raised.exception))

    def test_dots_stand_for_anything_in_a_line_and_for_lines(self):
        for expected, said, wanted in (
                ("a...c\n", "abc\n", True), ("a...c\n", "ab\nc\n", False),
                ("a.c\n", "abc\n", False),
                ("...\nz\n", "z\n", True), ("...\nz\n", "x\ny\nz\n", True), ("...\n", "", True),
                ("a\n", "a  \n", True), ("a\n", "a", True), ("", "", True), ("", "a\n", False),
                ("a\n...\nc\n", "a\nc\n", True), ("a\n...\nc\n", "a\nc\nd\n", False)):
            self.assertEqual(matches(expected, said), wanted, (expected, said))

    def test_a_page_that_the_list_leaves_out_is_told(self):
        self.write(HEAD + sh("true"), "one.md")
        self.write("[one](one.md)\n", "README.md")
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(check_folder(self.folder), 0)
        self.write(HEAD + sh("true"), "two.md")
        with self.assertRaises(Failure) as raised:
            check_folder(self.folder)
        self.assertIn("two.md is not in the list", str(raised.exception))


if __name__ == "__main__":
    unittest.main()
