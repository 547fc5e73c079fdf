#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Trap 4: a dynamic access to thread-local storage may itself call malloc.

  tls_model.py LIBRARY

Passes when the shared library has thread-local storage, reaches all of it by
the initial-exec model (relocations *TPOFF*, flag STATIC_TLS) and none by a
dynamic model (*DTPMOD*, *DTPOFF*, *TLSDESC*, __tls_get_addr).
"""

import re
import subprocess
import sys


def readelf(option, path):
    return subprocess.run(["readelf", "-W", option, path], stdout=subprocess.PIPE, text=True,
                          check=True).stdout


def problems(path):
    relocations = readelf("-r", path)
    symbols = readelf("-s", path)
    found = []
    if " TLS " not in symbols:
        found.append("no thread-local variable was found: is this the library?")
    if not re.search(r"R_\S*TPOFF", relocations):
        found.append("no initial-exec relocation")
    for name in sorted(set(re.findall(r"R_\S*(?:DTPMOD|DTPOFF|DTPREL|TLSDESC)\S*", relocations))):
        found.append("dynamic thread-local storage: relocation " + name)
    if "__tls_get_addr" in symbols:
        found.append("dynamic thread-local storage: __tls_get_addr is called")
    if "STATIC_TLS" not in readelf("-d", path):
        found.append("the flag STATIC_TLS is missing")
    return found


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    found = problems(sys.argv[1])
    for line in found:
        print("%s: %s" % (sys.argv[1], line))
    if not found:
        print("all thread-local storage is initial-exec")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
