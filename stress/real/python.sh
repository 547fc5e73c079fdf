# SPDX-License-Identifier: MIT
# Debian's python with malloc for every object.

python=/usr/bin/python3
needs $python

run()
{
    cat >"$folder/work.py" <<'END'
import collections, json, re
tree = lambda depth: [] if depth == 0 else [tree(depth - 1), tree(depth - 1)]
size = lambda node: 1 + sum(map(size, node))
print(sum(size(tree(14)) for _ in range(6)))
records = [{"id": i, "name": "name %d" % i, "tags": [str(i * k) for k in range(8)]}
           for i in range(30000)]
text = json.dumps(records)
again = json.loads(text)
print(len(text), again == records)
words = collections.Counter(re.findall(r"[0-9]+", text))
print(len(words), words.most_common(3))
print(sum(len(str(3 ** n)) for n in range(1500)))
END
    under env PYTHONMALLOC=malloc PYTHONHASHSEED=0 "$python" -sSB "$folder/work.py"
}
