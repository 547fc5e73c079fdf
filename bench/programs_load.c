/* SPDX-License-Identifier: MIT */
/*
 * pm_load SOCKET BATCHES ENDING CONNECTIONS: sends prepared requests to a server and times the
 * replies. comparison/programs/replay.py writes the file BATCHES and reads what is printed here.
 *
 * BATCHES is a row of records: a uint32_t of the machine's byte order, then so many bytes, which
 * are sent at once. A batch ends with a request whose reply is ENDING, which no other reply may
 * look like. Each connection to the unix socket has one batch under way; the connections take the
 * batches in turn. The latency of a batch is from its first byte sent to its last received.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 64,
    ENDING_MAX = 32,
    RECEIVE_BYTES = 1 << 16,
    SILENCE_MS = 60000,
    STATUS_FAILED = 1,
    STATUS_USAGE = 2,
    NS_PER_SECOND = 1000000000
};

struct connection {
    int socket;
    const unsigned char *unsent;
    size_t unsent_bytes;
    uint64_t sent_at_ns;
    size_t tail_bytes;
    char tail[ENDING_MAX]; /* the last bytes received of this batch */
};

static struct connection connections[CONNECTIONS_MAX];
static const unsigned char *next_batch, *batches_end;
static uint64_t *latencies_ns;
static size_t latencies;
static const char *ending;
static size_t ending_bytes;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "pm_load: %s: %s\n", what, why);
    exit(STATUS_FAILED);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static size_t batch_bytes(const unsigned char *batch)
{
    uint32_t bytes;
    if ((size_t)(batches_end - batch) < sizeof(bytes))
        fail("batches", "the file is cut off");
    memcpy(&bytes, batch, sizeof(bytes));
    if ((size_t)(batches_end - batch) - sizeof(bytes) < bytes)
        fail("batches", "the file is cut off");
    return bytes;
}

static void open_batches(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat about;
    if (file < 0 || fstat(file, &about) != 0)
        fail(path, strerror(errno));
    size_t size = (size_t)about.st_size, count = 0;
    next_batch = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (next_batch == MAP_FAILED)
        fail(path, strerror(errno));
    close(file);
    batches_end = next_batch + size;
    for (const unsigned char *at = next_batch; at != batches_end; count++)
        at += sizeof(uint32_t) + batch_bytes(at);
    latencies_ns = calloc(count, sizeof(*latencies_ns));
    if (latencies_ns == NULL)
        fail(path, strerror(errno));
}

static void open_connection(struct connection *to, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        fail(path, "the path is too long for a socket");
    strcpy(address.sun_path, path);
    to->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (to->socket < 0 || connect(to->socket, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        fcntl(to->socket, F_SETFL, O_NONBLOCK) != 0)
        fail(path, strerror(errno));
}

static void send_some(struct connection *to)
{
    while (to->unsent_bytes > 0) {
        ssize_t sent = send(to->socket, to->unsent, to->unsent_bytes, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent < 0)
            fail("send", strerror(errno));
        to->unsent += sent;
        to->unsent_bytes -= (size_t)sent;
    }
}

/* False when no batch is left: the connection then is done. */
static bool start_batch(struct connection *on)
{
    if (next_batch == batches_end)
        return false;
    on->unsent_bytes = batch_bytes(next_batch);
    on->unsent = next_batch + sizeof(uint32_t);
    next_batch = on->unsent + on->unsent_bytes;
    on->tail_bytes = 0;
    on->sent_at_ns = now_ns();
    send_some(on);
    return true;
}

static void keep_tail(struct connection *from, const char *data, size_t bytes)
{
    if (bytes >= ending_bytes) {
        memcpy(from->tail, data + bytes - ending_bytes, ending_bytes);
        from->tail_bytes = ending_bytes;
        return;
    }
    size_t kept = from->tail_bytes;
    if (kept + bytes > ending_bytes)
        kept = ending_bytes - bytes;
    memmove(from->tail, from->tail + from->tail_bytes - kept, kept);
    memcpy(from->tail + kept, data, bytes);
    from->tail_bytes = kept + bytes;
}

/* Has the reply to the whole batch come? */
static bool receive_some(struct connection *from)
{
    static char data[RECEIVE_BYTES];
    ssize_t got = recv(from->socket, data, sizeof(data), 0);
    if (got < 0 && errno == EAGAIN)
        return false;
    if (got <= 0)
        fail("receive", got == 0 ? "the server closed the connection" : strerror(errno));
    keep_tail(from, data, (size_t)got);
    return from->unsent_bytes == 0 && from->tail_bytes == ending_bytes &&
           memcmp(from->tail, ending, ending_bytes) == 0;
}

static void run(int count)
{
    struct pollfd polled[CONNECTIONS_MAX];
    int under_way = 0;
    for (int i = 0; i < count; i++) {
        bool started = start_batch(&connections[i]);
        polled[i].fd = started ? connections[i].socket : -1;
        under_way += started;
    }
    while (under_way > 0) {
        for (int i = 0; i < count; i++)
            polled[i].events = connections[i].unsent_bytes > 0 ? POLLIN | POLLOUT : POLLIN;
        if (poll(polled, (nfds_t)count, SILENCE_MS) <= 0)
            fail("replies", "the server has been silent for a minute");
        for (int i = 0; i < count; i++) {
            struct connection *one = &connections[i];
            if (polled[i].fd < 0 || polled[i].revents == 0)
                continue;
            send_some(one);
            if (!receive_some(one))
                continue;
            latencies_ns[latencies++] = now_ns() - one->sent_at_ns;
            if (!start_batch(one)) {
                polled[i].fd = -1;
                under_way--;
            }
        }
    }
}

static int by_value(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
    int count = argc == 5 ? atoi(argv[4]) : 0;
    if (count < 1 || count > CONNECTIONS_MAX || strlen(argv[3]) > ENDING_MAX || argv[3][0] == 0) {
        fputs("usage: pm_load SOCKET BATCHES ENDING CONNECTIONS\n", stderr);
        return STATUS_USAGE;
    }
    ending = argv[3];
    ending_bytes = strlen(ending);
    open_batches(argv[2]);
    for (int i = 0; i < count; i++)
        open_connection(&connections[i], argv[1]);
    uint64_t start_ns = now_ns();
    run(count);
    double seconds = (double)(now_ns() - start_ns) / NS_PER_SECOND;
    qsort(latencies_ns, latencies, sizeof(*latencies_ns), by_value);
    printf("batches %zu\nseconds %.6f\np99_us %.3f\n", latencies, seconds,
           (double)latencies_ns[latencies * 99 / 100] / 1000);
    return 0;
}
