# SPDX-License-Identifier: MIT
"""The row that loads an nginx with wrk.

A static file alone would hardly allocate. So the pages are compressed, put together from parts
(SSI), listed, rewritten (sub_filter), and fetched from a second server of the same nginx.
"""

import os
import re
import socket

from comparison.process import Failure, environment
from comparison.programs import tools
from comparison.programs.server import Load, Server, ServerRow

CONNECTIONS = 16
# wrk ends by itself after its count; this only bounds one that does not, and a reply: of itself wrk
# takes one for failed that a busy machine delays for two seconds.
WRK_SECONDS = 100
REPLY_SECONDS = 5

CONFIG = """
%(user)s
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr error;
events { worker_connections 256; }
http {
    access_log off;
    default_type text/html;
    types { text/html html; text/plain txt; }
    keepalive_requests 1000000;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {
        listen 127.0.0.1:%(port)d;
        root files;
        gzip on;
        gzip_comp_level 1;
        gzip_min_length 100;
        location /static/ { alias files/; }
        location /parts/ { alias files/; ssi on; }
        location /list/ { alias files/; autoindex on; }
        location /changed/ {
            alias files/;
            sub_filter_once off;
            sub_filter word changed;
        }
        location /proxy/ { proxy_pass http://unix:upstream:/; }
    }
    server {
        listen unix:upstream;
        root files;
    }
}
"""


def free_port():
    """A TCP port of loopback that nobody has now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def write_site(folder, port):
    files = os.path.join(folder, "files")
    for name in ("body", "proxy", "fastcgi", "uwsgi", "scgi", "files"):
        os.mkdir(os.path.join(folder, name))
    texts = {"small.html": "<p>a word</p>\n" * 20,
             "large.html": "".join("<p>line %d with a word</p>\n" % i for i in range(400)),
             "parts.html": "".join('<!--#include virtual="/static/small.html" -->\n'
                                   '<!--#echo var="DATE_GMT" -->\n' for _ in range(5))}
    for i in range(20):
        texts["note-%02d.txt" % i] = "a note\n"
    for name, text in texts.items():
        with open(os.path.join(files, name), "w", encoding="ascii") as file:
            file.write(text)
    config = os.path.join(folder, "nginx.conf")
    with open(config, "w", encoding="ascii") as file:
        file.write(CONFIG % {"port": port, "user": "user root;" if os.geteuid() == 0 else ""})
    return config


def parse_wrk(said):
    """Of what requests.lua prints at its end."""
    found = re.search(r"^requests (\d+) us (\d+) p99_us (\d+) errors (\d+)$", said, re.MULTILINE)
    if found is None:
        raise Failure("the report of wrk could not be read")
    requests, spent_us, p99_us, errors = (int(value) for value in found.groups())
    if errors > 0:
        raise Failure("%d of %d requests to nginx failed" % (errors, requests))
    return Load(requests, spent_us / 1e6, p99_us)


class NginxRow(ServerRow):
    many = True

    def __init__(self, name, what, count):
        super().__init__(name, what, "nginx")
        self.count = count
        self.port = None

    def start(self, provider, scale, folder):
        path = tools.program("nginx", "nginx-light")
        tools.program("wrk", "wrk")
        self.port = free_port()
        config = write_site(folder, self.port)
        return Server(self.program, [path, "-p", folder, "-c", config, "-e", "stderr"],
                      provider.server_environment(), folder, many=True)

    def is_ready(self, server):
        with socket.create_connection(("127.0.0.1", self.port), REPLY_SECONDS) as client:
            client.settimeout(REPLY_SECONDS)
            client.sendall(b"GET /static/small.html HTTP/1.0\r\n\r\n")
            return client.recv(64).startswith(b"HTTP/1.1 200")

    def load(self, server, scale):
        said = server.run_tool(
            [tools.program("wrk", "wrk"), "-t", "1", "-c", str(CONNECTIONS), "-d",
             "%ds" % WRK_SECONDS, "--timeout", "%ds" % WRK_SECONDS,
             "-s", tools.load("requests.lua"),
             "http://127.0.0.1:%d" % self.port, "--", str(tools.times(self.count, scale))],
            environment(None))
        return parse_wrk(said)

    def least_mallocs(self, requests):
        return requests


def all_rows():
    return [NginxRow("nginx/pages", "nginx: gzip, parts, lists, rewriting and a proxy, by wrk; "
                     "memory of all processes (Pss)", 16000)]
