# SPDX-License-Identifier: MIT
"""Real programs as rows: servers under load, and batch programs.

A row that needs no code of its own but a script has it in loads/.
"""


def all_rows(build=None):
    """The rows; `build` is the folder of the release build, with pm_run, pm_load and pm_provider.
    Every row is there whatever is installed: what is missing, measure() names."""
    # pylint: disable=import-outside-toplevel
    from comparison.programs import (compiler, interpreters, memcached, nginx, postgres, python,
                                     redis, tools)
    if build is not None:
        tools.use_build(build)
    modules = (redis, memcached, nginx, postgres, python, interpreters, compiler)
    return [row for module in modules for row in module.all_rows()]
