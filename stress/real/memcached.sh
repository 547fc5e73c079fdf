# SPDX-License-Identifier: MIT
# Values set, read, changed and deleted over several connections. Items lie in
# memcached's own slabs; malloc serves connections, buffers and the slabs.

needs memcached python3
least_mallocs=100

run()
{
    start memcached -s "$socket" -a 700 -m 64 -t 4 -u "$(id -un)"
    until_ready test -S "$socket" || return 1
    python3 - "$socket" <<'END' || return 1
import hashlib, socket, sys
digest = hashlib.sha256()
for turn in range(150):
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(sys.argv[1])
        requests, replies = [], server.makefile("rb")
        for i in range(100):
            key, value = "key%d" % (i * 7 % 61), "v" * (i * turn % 3000)
            requests.append("set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value))
            requests.append("append %s 0 0 4\r\nmore\r\n" % key)
            requests.append("delete key%d\r\n" % (i * 11 % 61))
        server.sendall("".join(requests).encode())
        for _ in requests:
            digest.update(replies.readline())
        server.sendall(("get " + " ".join("key%d" % i for i in range(61)) + "\r\n").encode())
        while (line := replies.readline()) != b"END\r\n":
            digest.update(line)
print(digest.hexdigest())
END
    end_server
}
