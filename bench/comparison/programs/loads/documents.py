# SPDX-License-Identifier: MIT
"""documents.py COUNT: nested documents written as JSON and read back.

Stands for a service that speaks JSON: dicts with few keys in lists in dicts, strings of which some
need escapes, numbers, all built by the parser and dropped after a look at them. Source: the
benchmarks json_dumps and json_loads of pyperformance, by their description; written anew.
"""

import hashlib
import json
import sys

PEOPLE = 260


def person(number):
    return {
        "id": number,
        "name": "Pérson \"%d\"" % number,
        "mail": "person.%d@mail.example" % number,
        "active": number % 3 == 0,
        "score": number / 7,
        "manager": None if number % 10 == 0 else number // 10,
        "tags": ["tag%d" % (number * k % 31) for k in range(1, 6)],
        "address": {"street": "Street %d" % (number % 50), "zip": "%05d" % (number * 37 % 99999),
                    "where": [number * 0.001, -number * 0.002]},
        "history": [{"year": 1990 + k, "text": "note %d of %d\n" % (k, number)}
                    for k in range(number % 6)],
    }


def run(count):
    digest = hashlib.sha256()
    for turn in range(count):
        people = {"turn": turn, "people": [person(turn + i) for i in range(PEOPLE)]}
        text = json.dumps(people, sort_keys=True)
        pretty = json.dumps(people, indent=2, ensure_ascii=False)
        back, again = json.loads(text), json.loads(pretty)
        assert back == again == people
        digest.update(text.encode())
    return digest.hexdigest()


print(run(int(sys.argv[1])))
