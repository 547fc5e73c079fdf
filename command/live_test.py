#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""poolmalloc stats and top, as their users meet them, on processes that live.

    live_test.py COMMAND LOAD STATIC WHAT

COMMAND is that of the build, LOAD and STATIC are testing/load.c, the second
linked with the library. WHAT is one of the functions below that begin with
test_. Exit status 77: it cannot be tried here; the output says why.
"""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios

COMMAND, LOAD, STATIC = sys.argv[1:4]
THREADS, COUNT, SIZE, CLASS, LARGE = 8, 1000, 200, 208, 3
SKIPPED = 77
OPTIONS = "stats_page=on,stats_page_ms=1"
os.environ["LC_ALL"] = "C"
for name in ("LD_PRELOAD", "LD_LIBRARY_PATH", "POOLMALLOC", "POOLMALLOC_OPTIONS", "NO_COLOR"):
    os.environ.pop(name, None)
os.environ["TERM"] = "xterm"


def skip(why):
    print("skipped: " + why)
    sys.exit(SKIPPED)


class Load:
    """A process that is watched."""

    def __init__(self, *flags, threads=THREADS, options=OPTIONS, before=(), program=LOAD):
        environment = dict(os.environ)
        command = [program, str(threads), str(COUNT), str(SIZE), str(LARGE)]
        if program == LOAD:
            command = [COMMAND, "run", *flags, "--options=" + options, "--"] + command
            environment["LD_PRELOAD"] = "libgcc_s.so.1"  # for stacks; flags see to it themselves
        else:
            environment["POOLMALLOC_OPTIONS"] = options
        self.process = subprocess.Popen([*before, *command], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, env=environment)
        self.pid = self.process.pid
        self.expect("ready")

    def expect(self, word):
        line = self.process.stdout.readline().decode()
        assert line.startswith(word), (word, line)
        return line

    def tell(self, word, answer):
        self.process.stdin.write(word.encode() + b"\n")
        self.process.stdin.flush()
        return self.expect(answer)

    def rest(self):
        words = self.tell("rest", "at rest").split()[2:]
        return {name: int(value) for name, value in (word.split("=") for word in words)}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.kill()
        self.process.wait()


def run(*arguments, status=0, environment=None):
    done = subprocess.run([COMMAND, *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False,
                          timeout=60, env=dict(os.environ, **(environment or {})))
    output, errors = done.stdout.decode("ascii"), done.stderr.decode("ascii")
    assert done.returncode == status, (arguments, done.returncode, output, errors)
    return output, errors


def refused(*arguments, words):
    """One line says why, and nothing else is printed."""
    output, errors = run(*arguments, status=1)
    assert output == "" and errors.count("\n") == 1, (output, errors)
    assert re.fullmatch(r"poolmalloc \w+: " + words + "\n", errors), (words, errors)


def looks_at(pid, enough):
    """Looks until enough(those so far): an update may have to wait for its processor."""
    watching = start("stats", pid, "--json", "--interval=0.01", "--count=3000")
    looks = []
    while not looks or not enough(looks):
        looks.append(json.loads(watching.stdout.readline()))
    watching.send_signal(signal.SIGINT)
    ends(watching)
    return looks


def wait_for_threads(pid):
    """Until the page says of all of them: the first update was before they were there."""
    return looks_at(pid, lambda looks: len(looks[-1]["threads"]) > THREADS)[-1]


def number(picture, label):
    found = re.findall(r"^ *%s +([\d,]+)" % re.escape(label), picture, re.M)
    assert found, (label, picture)
    return int(found[0].replace(",", ""))


# ---- stats ----

def test_stats_at_rest():
    """What is shown is, to the byte, what pm_stats_get says and what the threads keep."""
    for program in (LOAD, STATIC):
        with Load(program=program) as load:
            known = load.rest()
            line, _ = run("stats", load.pid, "--json", "--count=1")
            shown = json.loads(line)
            counters = shown["counters"]
            for name, value in known.items():
                assert counters[name] == value, (name, value, counters[name])
            kept = [row for row in shown["classes"] if row["block_bytes"] == CLASS]
            assert [row["live_blocks"] for row in kept] == [THREADS * COUNT], kept
            assert counters["spans"] == THREADS * LARGE
            for what in ("live", "batched", "available"):
                blocks = [row["block_bytes"] * row[what + "_blocks"] for row in shown["classes"]]
                assert sum(blocks) == counters[what + "_bytes"], what
            picture, _ = run("stats", load.pid, "--count=1")
            assert "guarded" not in picture
            assert number(picture, "bytes in use") == known["live_bytes"] + known["span_bytes"]
            assert number(picture, "in pools") == known["live_bytes"]
            assert number(picture, "in large blocks") == known["span_bytes"]
            assert number(picture, "blocks in use") == known["live_blocks"] + known["spans"]
            assert re.search(r"^ +%d +%s " % (CLASS, format(THREADS * COUNT * CLASS, ",")),
                             picture, re.M), picture
            rows, _ = run("stats", load.pid, "--count=2", "--interval=0.01")
            assert int(rows.splitlines()[2].split()[1]) == known["live_bytes"] + known["span_bytes"]


def check_sound(shown):
    counters = shown["counters"]
    assert all(value >= 0 for value in counters.values()), counters
    assert counters["mallocs"] >= counters["frees"] + counters["remote_frees"]
    for what in ("live", "batched", "available"):
        assert sum(row[what + "_blocks"] for row in shown["classes"]) == counters[what + "_blocks"]
    assert "arena" in [lock["name"] for lock in shown["locks"]], shown["locks"]


def test_stats_under_load():
    """Eight threads with names, whole moments, rates."""
    with Load() as load:
        wait_for_threads(load.pid)
        looks = looks_at(load.pid,
                         lambda looks: len(set(look["updates"] for look in looks)) == 10)
        for look in looks:
            check_sound(look)
            names = sorted(row["name"] for row in look["threads"])
            assert names == ["load"] + ['load "%d"' % i for i in range(THREADS)], names
            assert look["counters"]["live_blocks"] >= THREADS * COUNT
            assert look["counters"]["spans"] == THREADS * LARGE
        assert looks[0]["seconds"] == 0 and looks[0]["rates"]["mallocs"] == 0
        news = [one for before, one in zip([None] + looks, looks)
                if not before or before["updates"] != one["updates"]]
        for one, other in zip(news, news[1:]):
            more = other["counters"]["mallocs"] - one["counters"]["mallocs"]
            assert other["updates"] > one["updates"] and more >= 0
            shown = other["rates"]["mallocs"] * other["seconds"]
            assert abs(shown - more) <= 0.01 * more + 1, (shown, more)
        assert any(look["rates"]["mallocs"] > 0 for look in looks)
        picture, _ = run("stats", load.pid, "--count=1")
        assert "Process %d (load): 9 threads, as of " % load.pid in picture
        assert re.search(r'^ +\d+ load "7" +[\d,]+ +[\d,]+', picture, re.M), picture
        assert re.search(r"^arena +[\d,]+ +[\d,]+", picture, re.M), picture


def start(*arguments):
    return subprocess.Popen([COMMAND, *map(str, arguments)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, bufsize=0)


def ends(watching, status=0):
    output, errors = watching.communicate(timeout=60)
    assert watching.returncode == status, (watching.returncode, output, errors)
    return output.decode("ascii"), errors.decode("ascii")


def test_stats_ends():
    """With the process, with the count, when it is interrupted, when nobody reads."""
    with Load() as load:
        watching = start("stats", load.pid, "--interval=600")
        assert b"bytes in use" in watching.stdout.readline()
        load.tell("exit", "bye")
        load.process.wait()
        output, errors = ends(watching)
        assert errors == "poolmalloc stats: process %d (load) has ended\n" % load.pid, errors
        assert output.count("\n") in (1, 2), output
    with Load() as load:
        watching = start("stats", load.pid, "--json", "--interval=600")
        watching.stdout.readline()
        load.process.kill()  # nobody waits for it yet: it is dead all the same
        assert ends(watching)[1] == ""
        refused("stats", load.pid, words=r"process %d \(.*\) has ended" % load.pid)
    with Load() as load:
        watching = start("stats", load.pid, "--interval=600")
        watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        assert ends(watching)[1] == ""
        output, _ = run("stats", load.pid, "--json", "--interval=0.01", "--count=3")
        assert output.count("\n") == 3, output
        watching = start("stats", load.pid, "--json", "--interval=0.01")
        watching.stdout.readline()
        watching.stdout.close()
        assert watching.wait(60) == -signal.SIGPIPE
        watching.stderr.close()
        with open("/dev/full", "wb") as full:
            done = subprocess.run([COMMAND, "stats", str(load.pid)], stdout=full,
                                  stderr=subprocess.PIPE, check=False, timeout=60)
        assert done.returncode == 1 and b"No space left" in done.stderr, done


def test_stats_exec():
    """Another program in the same process is another page, or none."""
    with Load(threads=0) as load:
        watching = start("stats", load.pid, "--json", "--interval=0.02")
        first = json.loads(watching.stdout.readline())
        load.process.stdin.write(b"exec\n")
        load.process.stdin.flush()
        while first["program"] == "load":
            line = watching.stdout.readline()
            assert line, watching.stderr.read()
            first = json.loads(line)
        assert first["program"] == "sleep" and first["seconds"] == 0, first
        load.process.kill()
        ends(watching)
    with Load(program=STATIC, threads=0) as load:
        watching = start("stats", load.pid, "--interval=0.02")
        watching.stdout.readline()
        watching.stdout.readline()
        load.process.stdin.write(b"exec\n")
        load.process.stdin.flush()
        errors = ends(watching, status=1)[1]
        assert re.search(r"process \d+ \((load|sleep).*\) does not use poolmalloc", errors), errors


# ---- top ----

KEPT_SMALL, KEPT_LARGE = THREADS * COUNT * CLASS, THREADS * LARGE * (5 << 20)


def pictures_of_top(text):
    """Of each: functions {name: (flat, with callees)}, stacks {text: (bytes, blocks, all)}."""
    pictures = []
    for picture in text.split("Process ")[1:]:
        functions, stacks = picture.split("\n\n")[1:3]
        rows = re.findall(r"^ *([\d,]+) +[\d.]+% +([\d,]+) +[\d.]+%  (.*)$", functions, re.M)
        pictures.append((
            {row[2]: (whole(row[0]), whole(row[1])) for row in rows},
            [(whole(row[0]), whole(row[1]), whole(row[2]), row[3]) for row in re.findall(
                r"^ *([\d,]+) +([\d,]+) +([\d,]+) [ \d,+-]+  (.*)$", stacks, re.M)]))
    return pictures


def whole(text):
    return int(text.replace(",", ""))


def top(*arguments):
    output, errors = run("top", *arguments)
    if "libdw" in errors:
        skip("the command was built without libdw: it does not know functions")
    assert errors == "", errors
    return pictures_of_top(output)


def test_top_known():
    """With every block sampled, figures are exact while eight threads work."""
    with Load(options="profile=1,profile_page=on") as load:
        functions, stacks = top(load.pid, "--count=1", "--depth=3")[0]
        assert functions["keep_block"] == 2 * (KEPT_SMALL + KEPT_LARGE,), functions
        assert functions["keep_all"] == (0, KEPT_SMALL + KEPT_LARGE), functions
        assert functions["work"][1] >= functions["keep_all"][1] + functions["work"][0]
        # Two stacks, as there are two calls, and shown as one.
        kept = [row[:3] for row in stacks if row[3] == "keep_block < keep_all < work"]
        assert kept == [(KEPT_LARGE + KEPT_SMALL, THREADS * (LARGE + COUNT),
                         KEPT_LARGE + KEPT_SMALL)], stacks
    with Load(options="profile=1,profile_page=on", program=STATIC) as load:
        # Frames of the library are functions of the program here.
        functions, _ = top(load.pid, "--count=1", "--cumulative")[0]
        for name in ("keep_block", "keep_all"):
            assert functions[name][1] == KEPT_SMALL + KEPT_LARGE, functions


def test_top_estimates():
    """What is sampled is scaled: large blocks are known, and of small ones the sum is; twelve
    deviations off is what the test cannot bear."""
    with Load(options="profile=4096,profile_page=on") as load:
        functions, stacks = top(load.pid, "--count=1", "--depth=2")[0]
        held, blocks = [row[:2] for row in stacks if row[3] == "keep_block < keep_all"][0]
        small, small_blocks = held - KEPT_LARGE, blocks - THREADS * LARGE
        deviation = 1 / (KEPT_SMALL / 4096) ** 0.5
        assert abs(small / KEPT_SMALL - 1) < 12 * deviation, (small, deviation)
        assert abs(small_blocks / (THREADS * COUNT) - 1) < 12 * deviation, (blocks, deviation)
        assert functions["keep_block"] == (held, held), functions


def test_top_sorts():
    with Load(options="profile=1,profile_page=on", threads=2) as load:
        for key, column in (("live", 0), ("blocks", 1), ("all", 2)):
            functions, stacks = top(load.pid, "--count=1", "--sort=" + key)[0]
            values = [row[column] for row in stacks]
            assert values == sorted(values, reverse=True) and len(values) >= 2, stacks
            flats = [flat for flat, _ in functions.values()]
            assert flats == sorted(flats, reverse=True) and flats[0] > 0, functions
        functions, _ = top(load.pid, "--count=1", "--cumulative")[0]
        sums = [callees for _, callees in functions.values()]
        assert sums == sorted(sums, reverse=True) and len(sums) >= 4, functions
        assert all(" < " not in row[3] for row in top(load.pid, "--count=1", "--depth=1")[0][1])
        pictures = top(load.pid, "--count=3", "--interval=0.02", "--sort=all", "--depth=1")
        totals = [sum(row[2] for row in stacks) for _, stacks in pictures]
        assert totals == sorted(totals) and totals[0] < totals[2], totals


def test_top_ends():
    """A look at what there was in the end, and who cannot be looked at."""
    with Load(options="profile=1,profile_page=on") as load:
        watching = start("top", load.pid, "--interval=600", "--depth=3")
        assert b"Process %d (load): about " % load.pid in watching.stdout.readline()
        load.tell("exit", "bye")
        load.process.wait()
        output, errors = ends(watching)
        assert errors.endswith("process %d (load) has ended\n" % load.pid), errors
        assert output.count("Process %d" % load.pid) == 1, output
        if "libdw" not in errors:
            assert "  keep_block < keep_all < work\n" in output, output
    with Load() as load:
        refused("top", load.pid, words=r"process %d \(load\) has no profile page: start it by "
                r"'poolmalloc run --profile', or with POOLMALLOC_OPTIONS=profile=on,profile_page=on"
                % load.pid)
    refused("top", os.getpid(), words=r"process %d \(.*\) does not use poolmalloc, or .*"
            % os.getpid())


def test_top_pages():
    """Truncated, future, empty, foreign and damaged pages."""
    name = "poolmalloc-profile"
    with Load(options="profile=1,profile_page=on,profile_stacks=16", threads=1) as load:
        page = word(real_page(load, name), 3, os.getpid())
    size = len(page)
    said, _, header, row, room, rows = struct.unpack_from("=6Q", page, 16)
    assert said <= size and header + row * room <= said and 0 < rows <= room
    check_fakes("top", name, "profile page", [
        (b"", SEAL_SHRINK, "is truncated: 0 bytes, where .* were expected"),
        (page[:size // 2], SEAL_SHRINK, "is damaged: it has %d bytes and speaks of %d"
         % (size // 2, said)),
        (bytes(size), SEAL_SHRINK, "is empty"),
        (word(page, 0, 7), SEAL_SHRINK, "was not made by poolmalloc: it starts with 0x0+7"),
        (word(page, 1, 2), SEAL_SHRINK, "has version 2, this command knows version 1: .*"),
        (page, 0, "was not made by poolmalloc: its size can change"),
        (word(page, 4, size + 8), SEAL_SHRINK, "is damaged"),  # header_bytes
        (word(page, 4, 8), SEAL_SHRINK, "is damaged"),
        (word(page, 5, 8), SEAL_SHRINK, "is damaged"),  # row_bytes
        (word(page, 5, row + 1), SEAL_SHRINK, "is damaged"),
        (word(page, 6, 1 << 60), SEAL_SHRINK, "is damaged"),  # rows_room
    ])
    for good in (page, word(page, 7, 1 << 60), word(page, 8, 0), word(page, 9, 5),
                 word(page, header // 8 + 7, 1 << 60)):  # rows, mean_bytes, dropped, a row's depth
        file = fake(name, good)
        output, _ = run("top", os.getpid(), "--count=1")
        os.close(file)
        assert ("is stopped" in output) == (good[64:72] == bytes(8)), output
        assert ("no room for 5 samples" in output) == (good[72] == 5), output


# ---- who cannot be watched ----

def test_refused():
    with Load(options="") as load:
        refused("stats", load.pid, words=r"process %d \(load\) has no statistics page: start it "
                r"by 'poolmalloc run --stats', or with POOLMALLOC_OPTIONS=stats_page=on" % load.pid)
        thread = [task for task in os.listdir("/proc/%d/task" % load.pid)
                  if int(task) != load.pid][0]
        refused("stats", thread, words="%s is a thread of process %d" % (thread, load.pid))
    refused("stats", load.pid, words="process %d: No such process" % load.pid)
    refused("stats", os.getpid(), words=r"process %d \(.*\) does not use poolmalloc, or .*"
            % os.getpid())
    refused("stats", 2 ** 31 - 1, words="process 2147483647: No such process")


def test_child_of_fork():
    """It has its parent's page until it allocates."""
    with Load(threads=0) as load:
        child = int(load.tell("fork", ""))
        try:
            refused("stats", child, words=r"process %d \(load\) has the statistics page of its "
                    r"parent only: .*" % child)
        finally:
            os.kill(child, signal.SIGKILL)
        run("stats", load.pid, "--count=1")


def test_closed():
    """A program that closes descriptors that it did not open: the mapping is there still."""
    with Load() as load:
        watching = start("stats", load.pid, "--json", "--interval=0.02")
        watching.stdout.readline()
        load.tell("close", "closed")
        before = json.loads(watching.stdout.readline())["updates"]
        while json.loads(watching.stdout.readline())["updates"] < before + 3:
            pass
        try:
            place = "/proc/%d/map_files/" % load.pid
            os.close(os.open(place + os.listdir(place)[0], os.O_RDONLY))
        except PermissionError:
            print("the system does not let us open what is mapped")
        else:
            run("stats", load.pid, "--count=1")
        load.tell("exit", "bye")
        ends(watching)


def test_permission():
    if os.getuid() != 0:
        skip("only root can become somebody else")
    with Load() as load:
        output, errors, status = as_nobody("stats", load.pid)
        assert status == 1 and output == "", (status, output)
        assert errors == "poolmalloc stats: process %d (load) may not be looked at: Permission " \
            "denied\n" % load.pid, errors


def as_nobody(*arguments):
    """The command opened before: nobody may not be able to reach it."""
    file = os.open(COMMAND, os.O_RDONLY)

    def become():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    done = subprocess.run(["poolmalloc", *map(str, arguments)], pass_fds=[file], check=False,
                          executable="/proc/self/fd/%d" % file, preexec_fn=become,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    os.close(file)
    return done.stdout.decode(), done.stderr.decode(), done.returncode


def test_container():
    """A process that knows itself and its threads by other numbers."""
    unshare = ["unshare", "--pid", "--fork", "--kill-child"]
    if os.getuid() != 0 or subprocess.run([*unshare, "true"], check=False,
                                          stderr=subprocess.DEVNULL).returncode != 0:
        skip("no namespaces for processes")
    with Load(before=unshare) as load:
        children = "/proc/%d/task/%d/children" % (load.pid, load.pid)
        with open(children, encoding="ascii") as file:
            inside = int(file.read().split()[0])
        shown = wait_for_threads(inside)
        assert shown["pid"] == inside
        assert 1 in [row["thread_id"] for row in shown["threads"]], shown["threads"]
        names = sorted(row["name"] for row in shown["threads"])
        assert names == ["load"] + ['load "%d"' % i for i in range(THREADS)], names


# ---- pages that are none ----

F_ADD_SEALS, SEAL_SHRINK = 1033, 2


def fake(name, contents, seals=SEAL_SHRINK):
    file = os.memfd_create(name, os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.write(file, contents)
    if seals:
        fcntl.fcntl(file, F_ADD_SEALS, seals)
    return file


def real_page(load, name):
    folder = "/proc/%d/fd/" % load.pid
    for entry in os.listdir(folder):
        if name in os.readlink(folder + entry):
            with open(folder + entry, "rb") as file:
                return bytearray(file.read())
    raise AssertionError("no page " + name)


def word(page, index, value):
    copy = bytearray(page)
    copy[8 * index:8 * index + 8] = struct.pack("=Q", value)
    return copy


def check_fakes(command, name, title, cases):
    for contents, seals, words in cases:
        file = fake(name, contents, seals)
        refused(command, os.getpid(), "--count=1",
                words=r"the %s of process %d \(.*\) %s" % (title, os.getpid(), words))
        os.close(file)


def test_stats_pages():
    """Truncated, future, empty, foreign and damaged pages."""
    name = "poolmalloc-stats"
    with Load(threads=1) as load:
        load.rest()
        page = word(real_page(load, name), 4, os.getpid())
    size = len(page)
    assert struct.unpack_from("=Q", page, 16)[0] == size
    check_fakes("stats", name, "statistics page", [
        (b"", SEAL_SHRINK, "is truncated: 0 bytes, where %d were expected" % size),
        (page[:4096], SEAL_SHRINK, "is truncated: 4096 bytes, where %d were expected" % size),
        (bytes(size), SEAL_SHRINK, "is empty"),
        (word(page, 0, 7), SEAL_SHRINK, "was not made by poolmalloc: it starts with 0x0+7"),
        (word(page, 1, 2), SEAL_SHRINK, "has version 2, this command knows version 1: .*"),
        (word(page, 2, size + 1), SEAL_SHRINK, "is damaged: it has %d bytes and speaks of %d"
         % (size, size + 1)),
        (page, 0, "was not made by poolmalloc: its size can change"),
        (word(page, 9, 1 << 40), SEAL_SHRINK, "is damaged"),
        (word(page, 10, 121), SEAL_SHRINK, "is damaged"),
    ])
    file = fake(name, word(page, 3, 5))
    refused("stats", os.getpid(), words=r"process \d+ \(.*\) is stopped in the middle .*")
    os.close(file)
    file = fake(name, page)  # what the others were made of is good
    before, _ = run("stats", os.getpid(), "--count=1")
    os.close(file)
    guarded_bytes = 13 + struct.unpack_from("=Q", page, 8 * 8)[0] - 1
    file = fake(name, word(page, guarded_bytes, 12345))  # which the program had none of
    picture, _ = run("stats", os.getpid(), "--count=1")
    os.close(file)
    assert number(picture, "in guarded blocks") == 12345 and "guarded" not in before
    assert number(picture, "bytes in use") == number(before, "bytes in use") + 12345


# ---- a terminal ----

class Terminal:
    def __init__(self, *arguments, rows=40, columns=90, environment=None):
        self.text = ""
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execve(COMMAND, ["poolmalloc", *map(str, arguments)],
                      dict(os.environ, **(environment or {})))

    def read_until(self, words, times):
        while self.text.count(words) < times:
            assert select.select([self.file], [], [], 60)[0], self.text
            try:
                part = os.read(self.file, 65536)
            except OSError:
                part = b""
            assert part, self.text
            self.text += part.decode("ascii")

    def press(self, key):
        os.write(self.file, key)

    def end(self):
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.file)
        return status


def check_pictures(text, rows, columns):
    pictures = text.split("\033[H")[1:]
    for picture in pictures[:-1]:
        lines = picture.replace("\033[2J", "").replace("\r", "").split("\n")
        assert lines[-1] == "\033[J", lines[-1]
        assert len(lines) <= rows, len(lines)
        for line in lines[:-1]:
            assert line.endswith("\033[K"), line
            assert len(re.sub(r"\033\[\w+", "", line)) <= columns, line
    return pictures


def test_terminal():
    """Pictures in place, of the terminal's size; bold unless NO_COLOR; ctrl-C ends it."""
    with Load() as load:
        for rows, columns, environment in ((40, 90, {}), (12, 60, {}), (40, 90, {"NO_COLOR": "1"}),
                                           (40, 90, {"TERM": "dumb"})):
            terminal = Terminal("stats", load.pid, "--interval=0.05", rows=rows, columns=columns,
                                environment=environment)
            terminal.read_until("bytes in use", 1)
            if "TERM" in environment:
                assert "\033" not in terminal.text
            else:
                terminal.read_until("\033[J", 3)
                if columns > 80:
                    terminal.read_until("per second", 1)
                pictures = check_pictures(terminal.text, rows, columns)
                assert ("\033[1m" in terminal.text) == (not environment)
                assert "per second" not in pictures[0], pictures[0]
            terminal.press(b"\x03")
            assert terminal.end() == 0
        terminal = Terminal("stats", load.pid, "--count=1", rows=10)
        terminal.read_until("\narena ", 1)  # a single one is whole
        assert terminal.end() == 0
        assert "\033[H" not in terminal.text and "\033[1m" in terminal.text
    with Load(options="profile=64k,profile_page=on") as load:
        terminal = Terminal("top", load.pid, "--interval=0.05", rows=14, columns=70)
        terminal.read_until("\033[J", 3)
        pictures = check_pictures(terminal.text, 14, 70)
        assert "function" in pictures[1] and "  stack" in pictures[1], pictures[1]
        terminal.press(b"\x03")
        assert terminal.end() == 0


def test_run_tells():
    """Where it will be written, to who sits at a terminal, and nobody else."""
    folder = os.getcwd()
    for flags, words in ((["--profile"], "the profile at exit goes to %s/poolmalloc.%%d.heap"),
                         (["--trace"], "the snapshot at exit goes to %s/poolmalloc.%%d.snap"),
                         (["--stats", "--output=/dev/null"],
                          "the statistics at exit go to /dev/null%s")):
        words %= folder if "%s/" in words else ""
        # The program ends without writing anything.
        terminal = Terminal("run", *flags, "--options=profile=off", "sh", "-c",
                            "echo; echo $$; kill -9 $$")
        terminal.read_until("\n", 3)
        assert terminal.end() == -9
        said = [line for line in terminal.text.splitlines() if line.startswith("poolmalloc run: ")]
        assert said == ["poolmalloc run: " + (words % terminal.pid if "%d" in words else words)], \
            terminal.text
    assert "goes to" not in run("run", "--profile", "sh", "-c", "kill -9 $$", status=-9)[1]


def test_usage():
    for word_, words in (("--sort=size", "'size' is nothing to sort by: live, all, blocks"),
                         ("--depth=0", "'0' is no depth"), ("--depth=65", "'65' is no depth"),
                         ("--depth=x", "'x' is no depth")):
        assert words in run("top", word_, "1", status=2)[1]
    for command in ("stats", "top"):
        for arguments, words in ((["1", "2"], "unexpected argument '2'"),
                                 ([], "the number of a process is missing"),
                                 (["x"], "'x' is not the number of a process"),
                                 (["-1"], "invalid option"), (["0"], "'0' is not the number"),
                                 (["1x"], "'1x' is not the number"),
                                 (["99999999999"], "is not the number of a process"),
                                 (["--interval=0", "1"], "'0' is no interval"),
                                 (["--interval=nan", "1"], "'nan' is no interval"),
                                 (["--interval=1x", "1"], "'1x' is no interval"),
                                 (["--interval=", "1"], "'' is no interval"),
                                 (["--count=0", "1"], "'0' is no count"),
                                 (["--count=-1", "1"], "'-1' is no count"),
                                 (["--nonsense", "1"], "unrecognized option")):
            output, errors = run(command, *arguments, status=2)
            assert output == "" and words in errors, (arguments, errors)
            assert "Try 'poolmalloc %s --help'" % command in errors
        output, errors = run(command, "--help")
        assert output.startswith("Usage: poolmalloc %s " % command) and errors == ""


def main():
    globals()["test_" + sys.argv[4].replace("-", "_")]()
    print(sys.argv[4] + ": ok")


if __name__ == "__main__":
    main()
