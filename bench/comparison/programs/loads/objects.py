# SPDX-License-Identifier: MIT
"""objects.py COUNT: a small simulation of an office full of objects.

Stands for programs whose time goes into small objects: instances with a handful of attributes,
short tuples, dicts and strings, some dropped at once, some kept, and cycles that only the garbage
collector frees. Source: what the object-heavy benchmarks of pyperformance (richards, deltablue,
raytrace) are described to do; written anew.
"""

import sys


class Task:
    def __init__(self, number, owner):
        self.number = number
        self.name = "task-%d" % number
        self.owner = owner  # and the owner lists the task: a cycle
        self.notes = {"state": "open", "weight": number % 17}
        self.trail = []


class Vector:
    __slots__ = ("x", "y", "z")

    def __init__(self, x, y, z):
        self.x, self.y, self.z = x, y, z

    def plus(self, other):
        return Vector(self.x + other.x, self.y + other.y, self.z + other.z)


class Owner:
    def __init__(self, number):
        self.key = ("owner", number)
        self.tasks = [Task(number * 100 + i, self) for i in range(20)]
        self.place = Vector(float(number), 0.0, 1.0)

    def work(self, step):
        move = Vector(0.5, step * 0.25, -0.125)
        for task in self.tasks:
            task.trail.append((step, task.name + ":" + str(step)))
            if len(task.trail) > 6:
                task.trail = task.trail[3:]
            task.notes["seen %d" % (step % 5)] = (task.number, step)
            self.place = self.place.plus(move)
        return sum(len(task.trail) for task in self.tasks)


def run(count):
    total = 0
    for generation in range(count):
        owners = {("owner", i): Owner(i + generation) for i in range(150)}
        for step in range(12):
            for owner in owners.values():
                total += owner.work(step)
        words = {}
        for owner in owners.values():
            for task in owner.tasks:
                for _, text in task.trail:
                    words.setdefault(text.split(":")[0][-2:], []).append(text.upper())
        total += sum(len(word) for group in words.values() for word in group)
    return total


print(run(int(sys.argv[1])))
