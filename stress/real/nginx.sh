# SPDX-License-Identifier: MIT
# Pages by two workers, some compressed, over connections that are kept and
# ones that are not. nginx takes memory for a request in one or a few blocks.

needs nginx python3
least_mallocs=50000

run()
{
    mkdir -p "$folder/pages"
    awk 'BEGIN { for (i = 0; i < 3000; i++) printf "line %d of a page %d\n", i, i * i }' \
        >"$folder/pages/large.txt"
    head -c 600 "$folder/pages/large.txt" >"$folder/pages/small.txt"
    cat >"$folder/nginx.conf" <<END
user $(id -un) $(id -gn);
daemon off;
worker_processes 2;
pid $folder/pid;
error_log $folder/error.log;
env LD_PRELOAD;
env POOLMALLOC_OPTIONS;
events {}
http {
    access_log off;
    gzip on;
    gzip_types text/plain;
    default_type text/plain;
    client_body_temp_path $folder/body;
    proxy_temp_path $folder/proxy;
    fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi;
    scgi_temp_path $folder/scgi;
    keepalive_requests 100000;
    server {
        listen unix:$socket;
        root $folder/pages;
        location /moved { return 301 /small.txt; }
    }
}
END
    start nginx -e "$folder/error.log" -c "$folder/nginx.conf"
    until_ready test -S "$socket" || return 1
    python3 - "$socket" <<'END' || return 1
import gzip, hashlib, socket, sys

def ask(path, packed):
    return ("GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n"
            % (path, "Accept-Encoding: gzip\r\n" if packed else "")).encode()

def answer(replies):
    status, fields = replies.readline(), {}
    while (line := replies.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode().partition(":")
        fields[name.lower()] = value.strip()
    if fields.get("transfer-encoding") == "chunked":
        body = b""
        while (size := int(replies.readline(), 16)) > 0:
            body += replies.read(size)
            replies.readline()
        replies.readline()
    else:
        body = replies.read(int(fields["content-length"]))
    return status, gzip.decompress(body) if "content-encoding" in fields else body

digest = hashlib.sha256()
paths = ["/small.txt"] * 12 + ["/large.txt", "/moved", "/none", "/small.txt?a=b"]
for turn in range(60):
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(sys.argv[1])
        replies = server.makefile("rb")
        for path in paths * 2:
            server.sendall(b"".join(ask(path, turn % 3 == 0) for _ in range(10)))
            for _ in range(10):
                for part in answer(replies):
                    digest.update(part)
print(digest.hexdigest())
END
    end_server
}
