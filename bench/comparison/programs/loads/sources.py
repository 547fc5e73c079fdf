# SPDX-License-Identifier: MIT
"""sources.py COUNT: so many modules of python's library parsed, rewritten and compiled.

Stands for tools that read programs: linters, formatters, build tools. The trees are made of many
small objects of different classes; the parser and the compiler take their arenas from malloc.
Source: the benchmark 2to3 of pyperformance and the startup of any large program without cached
bytecode, by their description; written anew.
"""

import ast
import hashlib
import os
import sys

MODULES = ("argparse.py", "ast.py", "dataclasses.py", "inspect.py", "shutil.py", "textwrap.py",
           "tokenize.py", "typing.py")


class Renamed(ast.NodeTransformer):
    """Makes a new tree, in which each local name is longer."""

    def visit_Name(self, node):  # pylint: disable=invalid-name
        if isinstance(node.ctx, ast.Store):
            return node
        return ast.copy_location(ast.Name(id=node.id + "_", ctx=node.ctx), node)


def sources():
    folder = os.path.dirname(os.__file__)
    for name in MODULES:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            yield file.read()


def run(count):
    digest = hashlib.sha256()
    texts = list(sources())
    for turn in range(count):
        tree = Renamed().visit(ast.parse(texts[turn % len(texts)]))
        code = compile(tree, "module", "exec")
        digest.update(code.co_code)
        digest.update(ast.unparse(tree).encode())
    return digest.hexdigest()


print(run(int(sys.argv[1])))
