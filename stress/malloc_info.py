#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What malloc_info writes, read by an XML parser: malloc_info.py PROGRAM

Runs PROGRAM (malloc_info.c), by the command in STRESS_EMULATOR if that is set,
and passes when the output is well-formed, has glibc's elements, adds up, and
shows the blocks that the program has.
"""

import os
import subprocess
import sys
import xml.etree.ElementTree

COUNT, SIZE, LARGE, LARGE_BYTES = 3000, 200, 4, 5 << 20


def document(program):
    command = os.environ.get("STRESS_EMULATOR", "").split()
    command += [program, str(COUNT), str(SIZE), str(LARGE)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60)
    return xml.etree.ElementTree.fromstring(done.stdout)


def number(element, name):
    text = element.get(name)
    assert text is not None and text.isdigit(), (element.tag, name, text)
    return int(text)


def one(parent, tag, kind):
    found = [element for element in parent.findall(tag) if element.get("type") == kind]
    assert len(found) == 1, (parent.tag, tag, kind, len(found))
    return found[0]


def check_sizes(heap):
    """Free and used blocks and bytes of all classes."""
    free, used, free_bytes, used_bytes, below, shown = 0, 0, 0, 0, 0, False
    for size in heap.find("sizes"):
        assert size.tag == "size", size.tag
        first, last, count = (number(size, name) for name in ("from", "to", "count"))
        if size.get("kind") == "gc":
            assert first == last - 15, (first, last)
        else:
            assert below < first <= last, (below, first, last)
            below = last
        assert number(size, "total") == count * last and number(size, "pools") > 0
        free, used = free + count, used + number(size, "used")
        free_bytes, used_bytes = free_bytes + count * last, used_bytes + number(size, "used") * last
        shown |= last >= SIZE and number(size, "used") >= COUNT
    assert shown, "the program's %d blocks are not shown" % COUNT
    return free, used, free_bytes, used_bytes


def check_summary(parent, sizes, large_bytes):
    free, used, free_bytes, used_bytes = sizes
    rest, in_use = one(parent, "total", "rest"), one(parent, "total", "used")
    assert number(one(parent, "total", "fast"), "size") == 0
    assert (number(rest, "count"), number(in_use, "count")) == (free, used)
    assert number(in_use, "size") == used_bytes and number(rest, "size") >= free_bytes
    current = number(one(parent, "system", "current"), "size")
    assert current == used_bytes + number(rest, "size") + large_bytes, current
    most = number(one(parent, "system", "max"), "size")
    assert current <= most == number(one(parent, "aspace", "mprotect"), "size")
    assert most <= number(one(parent, "aspace", "total"), "size")


def main():
    root = document(sys.argv[1])
    assert root.tag == "malloc" and root.get("version") == "1"
    heaps = root.findall("heap")
    assert len(heaps) == 1 and heaps[0].get("nr") == "0"
    sizes = check_sizes(heaps[0])
    mapped = one(root, "total", "mmap")
    assert number(mapped, "count") >= LARGE and number(mapped, "size") >= LARGE * LARGE_BYTES
    check_summary(heaps[0], sizes, 0)
    check_summary(root, sizes, number(mapped, "size"))
    print("malloc_info adds up: %d blocks in use, %d free" % sizes[:2])


if __name__ == "__main__":
    main()
