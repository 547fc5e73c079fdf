/* SPDX-License-Identifier: MIT */
/*
 * Hashes of bytes: SipHash-1-3 (Aumasson, Bernstein 2012, with fewer rounds), as CPython has it
 * since 3.11, under a key of the process's own, so that who chooses the bytes cannot choose where
 * they collide. Any thread.
 */
#include "object/value.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { GRND_NOW = 1 }; /* getrandom: do not wait */

static uint64_t key[2]; /* constant once key_is_made */
static _Atomic bool key_is_made;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ---- SipHash-1-3 ---- */

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void sip_round(struct sip *sip)
{
    sip->v0 += sip->v1;
    sip->v2 += sip->v3;
    sip->v1 = rotate(sip->v1, 13) ^ sip->v0;
    sip->v3 = rotate(sip->v3, 16) ^ sip->v2;
    sip->v0 = rotate(sip->v0, 32) + sip->v3;
    sip->v2 += sip->v1;
    sip->v3 = rotate(sip->v3, 21) ^ sip->v0;
    sip->v1 = rotate(sip->v1, 17) ^ sip->v2;
    sip->v2 = rotate(sip->v2, 32);
}

static inline void sip_word(struct sip *sip, uint64_t word)
{
    sip->v3 ^= word;
    sip_round(sip);
    sip->v0 ^= word;
}

static uint64_t sip_hash(const unsigned char *data, size_t bytes, const uint64_t with[2])
{
    struct sip sip = {
        with[0] ^ 0x736f6d6570736575u,
        with[1] ^ 0x646f72616e646f6du,
        with[0] ^ 0x6c7967656e657261u,
        with[1] ^ 0x7465646279746573u,
    };
    uint64_t word, last = (uint64_t)bytes << 56;
    size_t left = bytes;
    for (; left >= sizeof word; left -= sizeof word, data += sizeof word) {
        memcpy(&word, data, sizeof word); /* the first byte is the lowest: little-endian only */
        sip_word(&sip, word);
    }
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t)data[i] << 8 * i;
    sip_word(&sip, last);
    sip.v2 ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(&sip);
    return sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3;
}

/* ---- the key ---- */

/* Never waits: early in the start of the system there are no such numbers yet. Then the kernel's
 * for this process, which others make use of, too, go through the hash. */
static void key_from_system(void)
{
    if (syscall(SYS_getrandom, key, sizeof key, GRND_NOW) == (long)sizeof key)
        return;
    static const uint64_t labels[2][2] = {{1, 0}, {2, 0}};
    const unsigned char *at = (const void *)getauxval(AT_RANDOM); /* NOLINT: the kernel says so */
    if (at != NULL)
        for (int i = 0; i < 2; i++)
            key[i] = sip_hash(at, sizeof key, labels[i]);
}

/* CPython's way from PYTHONHASHSEED to a key (lcg_urandom of bootstrap_hash.c): 0 is no key. */
static void key_from_seed(uint32_t seed)
{
    unsigned char bytes[sizeof key];
    if (seed == 0)
        return;
    for (size_t i = 0; i < sizeof bytes; i++) {
        seed = seed * 214013 + 2531011;
        bytes[i] = (unsigned char)(seed >> 16);
    }
    memcpy(key, bytes, sizeof key);
}

static bool read_seed(const char *text, uint32_t *seed)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    *seed = (uint32_t)number;
    return *end == '\0' && errno == 0 && number <= UINT32_MAX;
}

static void make_key(void)
{
    char text[PM_OPTION_VALUE_BYTES] = "random";
    uint32_t seed;
    int saved_errno = errno;
    if (pm_option_get("hash_seed", text, sizeof text) && read_seed(text, &seed)) {
        key_from_seed(seed);
    } else {
        if (strcmp(text, "random") != 0)
            pm_object_warn("option hash_seed: \"%s\" is neither random nor a number up to "
                           "4294967295, and taken for random",
                           text);
        key_from_system();
    }
    errno = saved_errno;
    /* Release: the key; pairs with pm_hash_bytes. */
    pm_store_release(&key_is_made, true);
}

uint64_t pm_hash_bytes(const void *data, size_t bytes)
{
    if (bytes == 0)
        return 0;
    if (!pm_load_acquire(&key_is_made))
        pthread_once(&once, make_key);
    uint64_t hash = sip_hash(data, bytes, key);
    return hash == UINT64_MAX ? UINT64_MAX - 1 : hash;
}
