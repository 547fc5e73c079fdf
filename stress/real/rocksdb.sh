# SPDX-License-Identifier: MIT
# RocksDB through its C interface: written, flushed, compacted, read back, counted. The library asks
# whether jemalloc's names are there, and uses them if so.

needs gcc
least_mallocs=500000

run()
{
    cat >"$folder/work.c" <<'END'
#include <rocksdb/c.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 60000 };

static void check(const char *what, char *error)
{
    if (error == NULL)
        return;
    fprintf(stderr, "%s: %s\n", what, error);
    exit(1);
}

static uint64_t mixed(uint64_t hash, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
    return hash;
}

static void write_all(rocksdb_t *db, unsigned round)
{
    rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();
    for (unsigned i = 0; i < KEYS; i++) {
        char key[40], value[600], *error = NULL;
        int length = sprintf(key, "key:%06u", i * 7919 % KEYS);
        size_t size = 20 + (i * 31 + round) % 500;
        memset(value, 'a' + (int)(i % 26), size);
        if (i % 11 == round)
            rocksdb_delete(db, options, key, (size_t)length, &error);
        else
            rocksdb_put(db, options, key, (size_t)length, value, size, &error);
        check("write", error);
    }
    rocksdb_writeoptions_destroy(options);
}

static void read_all(rocksdb_t *db)
{
    rocksdb_readoptions_t *options = rocksdb_readoptions_create();
    rocksdb_iterator_t *at = rocksdb_create_iterator(db, options);
    uint64_t hash = 0xcbf29ce484222325u;
    unsigned count = 0;
    for (rocksdb_iter_seek_to_first(at); rocksdb_iter_valid(at); rocksdb_iter_next(at)) {
        size_t size, found;
        char *error = NULL;
        const char *key = rocksdb_iter_key(at, &size);
        char *value = rocksdb_get(db, options, key, size, &found, &error);
        check("get", error);
        hash = mixed(mixed(hash, key, size), value, found);
        count++;
        rocksdb_free(value);
    }
    printf("%u keys, %016llx\n", count, (unsigned long long)hash);
    rocksdb_iter_destroy(at);
    rocksdb_readoptions_destroy(options);
}

int main(int count, char **arguments)
{
    char *error = NULL;
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_increase_parallelism(options, 2);
    rocksdb_options_set_write_buffer_size(options, 4 << 20);
    rocksdb_options_set_dump_malloc_stats(options, 1);
    rocksdb_t *db = rocksdb_open(options, count > 1 ? arguments[1] : "db", &error);
    check("open", error);
    for (unsigned round = 0; round < 3; round++) {
        write_all(db, round);
        rocksdb_flushoptions_t *flush = rocksdb_flushoptions_create();
        rocksdb_flush(db, flush, &error);
        check("flush", error);
        rocksdb_flushoptions_destroy(flush);
        rocksdb_compact_range(db, NULL, 0, NULL, 0);
        read_all(db);
    }
    rocksdb_close(db);
    rocksdb_options_destroy(options);
    return 0;
}
END
    [ -e /usr/include/rocksdb/c.h ] || {
        echo "run.sh: librocksdb-dev is not installed"
        exit $not_installed
    }
    [ -x "$folder/work" ] ||
        gcc -O2 -o "$folder/work" "$folder/work.c" -lrocksdb || return 1
    rm -rf "$folder/db"
    under "$folder/work" "$folder/db"
}
