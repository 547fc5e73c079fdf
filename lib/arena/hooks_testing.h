/* SPDX-License-Identifier: MIT */
/*
 * What the tests of hooks share: page hooks that keep a book of every page and refuse on request,
 * and work for the allocator. giver_testing.h has an arena hook. Only x_test.c files include it.
 * The book is in the C library's heap, which is not ours here.
 */
#ifndef PM_ARENA_HOOKS_TESTING_H
#define PM_ARENA_HOOKS_TESTING_H

#include "arena/testing.h"
#include "poolmalloc/hooks.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

enum { TEST_PIECES = 64 };

/* One reservation; a byte for each page: committed or not. */
struct test_piece {
    char *start;
    size_t bytes;
    unsigned char *committed;
};

struct test_book {
    struct pm_page_hooks plain; /* what does the work */
    pthread_mutex_t lock;
    struct test_piece pieces[TEST_PIECES];
    size_t reserved_bytes, committed_bytes;
    unsigned reserves, commits, purges, decommits, releases;
    unsigned calls, fail_nth; /* of those that can be refused; 0: none is */
    bool for_good;
    unsigned refuse_in; /* at random: one in so many; 0: none */
    uint64_t seed;
    void (*inside)(void); /* called by each hook, outside the lock */
};

static inline bool test_refused(struct test_book *book)
{
    unsigned call = ++book->calls;
    if (book->refuse_in != 0 && test_random_below(&book->seed, book->refuse_in) == 0)
        return true;
    return book->fail_nth != 0 &&
           (call == book->fail_nth || (call > book->fail_nth && book->for_good));
}

static inline struct test_piece *test_piece_of(struct test_book *book, const char *start)
{
    for (int i = 0; i < TEST_PIECES; i++) {
        struct test_piece *piece = &book->pieces[i];
        if (piece->start != NULL && start >= piece->start && start < piece->start + piece->bytes)
            return piece;
    }
    return NULL;
}

/* Every hook starts here: the call is booked, and errno is spoiled. */
static inline bool test_book_open(struct test_book *book, unsigned *count)
{
    if (book->inside != NULL)
        book->inside();
    pthread_mutex_lock(&book->lock);
    errno = ENOTTY;
    *count += 1;
    return !test_refused(book);
}

static inline void test_book_piece(struct test_book *book, char *start, size_t bytes)
{
    for (int i = 0; i < TEST_PIECES; i++) {
        if (book->pieces[i].start != NULL)
            continue;
        unsigned char *pages = calloc(bytes / pm_os_page_bytes(), 1);
        require(pages != NULL);
        book->pieces[i] = (struct test_piece){start, bytes, pages};
        book->reserved_bytes += bytes;
        return;
    }
    require(!"there is room in the book");
}

static inline void *test_book_reserve(void *context, size_t bytes, size_t alignment)
{
    struct test_book *book = context;
    char *start = NULL;
    require(bytes > 0 && bytes % pm_os_page_bytes() == 0 && pm_is_pow2(alignment));
    require(alignment >= pm_os_page_bytes());
    if (test_book_open(book, &book->reserves))
        start = book->plain.reserve(book->plain.context, bytes, alignment);
    if (start != NULL)
        test_book_piece(book, start, bytes);
    pthread_mutex_unlock(&book->lock);
    return start;
}

/* The pages of the range change from one state (2: any) to another. */
static inline void test_book_pages(struct test_book *book, char *start, size_t bytes, int from,
                                   int to)
{
    size_t page = pm_os_page_bytes();
    struct test_piece *piece = test_piece_of(book, start);
    require(piece != NULL && bytes > 0 && bytes <= (size_t)(piece->start + piece->bytes - start));
    require((uintptr_t)start % page == 0 && bytes % page == 0);
    for (size_t i = (size_t)(start - piece->start) / page; bytes > 0; i++, bytes -= page) {
        require(from == 2 || piece->committed[i] == from);
        book->committed_bytes += page * (size_t)to;
        book->committed_bytes -= page * piece->committed[i];
        piece->committed[i] = (unsigned char)to;
    }
}

static inline bool test_book_commit(void *context, void *start, size_t bytes)
{
    struct test_book *book = context;
    bool done = test_book_open(book, &book->commits) &&
                book->plain.commit(book->plain.context, start, bytes);
    if (done)
        test_book_pages(book, start, bytes, 2, 1);
    pthread_mutex_unlock(&book->lock);
    return done;
}

static inline bool test_book_purge(void *context, void *start, size_t bytes)
{
    struct test_book *book = context;
    bool done =
        test_book_open(book, &book->purges) && book->plain.purge(book->plain.context, start, bytes);
    test_book_pages(book, start, bytes, 1, 1);
    pthread_mutex_unlock(&book->lock);
    return done;
}

static inline bool test_book_decommit(void *context, void *start, size_t bytes)
{
    struct test_book *book = context;
    bool done = test_book_open(book, &book->decommits) &&
                book->plain.decommit(book->plain.context, start, bytes);
    test_book_pages(book, start, bytes, 1, done ? 0 : 1);
    pthread_mutex_unlock(&book->lock);
    return done;
}

/* Of whole reservations only. */
static inline void test_book_release(void *context, void *start, size_t bytes)
{
    struct test_book *book = context;
    pthread_mutex_lock(&book->lock);
    errno = ENOTTY;
    struct test_piece *piece = test_piece_of(book, start);
    require(piece != NULL && piece->start == start && piece->bytes == bytes);
    test_book_pages(book, start, bytes, 2, 0);
    book->releases++;
    book->reserved_bytes -= bytes;
    book->plain.release(book->plain.context, start, bytes);
    free(piece->committed);
    *piece = (struct test_piece){0};
    pthread_mutex_unlock(&book->lock);
}

static inline struct pm_page_hooks test_book_hooks(struct test_book *book)
{
    return (struct pm_page_hooks){book,
                                  test_book_reserve,
                                  test_book_commit,
                                  test_book_purge,
                                  test_book_decommit,
                                  test_book_release};
}

/* From now on all goes through the book, to the functions that were in force. */
static inline void test_open_book(struct test_book *book)
{
    pm_get_page_hooks(&book->plain);
    require(pthread_mutex_init(&book->lock, NULL) == 0);
    struct pm_page_hooks hooks = test_book_hooks(book);
    require(pm_set_page_hooks(&hooks));
}

static inline bool test_in_book(struct test_book *book, const void *block)
{
    return test_piece_of(book, block) != NULL;
}

/* ---- shared memory: it keeps what it held, whatever is advised ---- */

static inline void *test_shared_reserve(void *context, size_t bytes, size_t alignment)
{
    (void)context;
    char *start = mmap(NULL, bytes + alignment, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return start == MAP_FAILED ? NULL : start + (-(uintptr_t)start & (alignment - 1));
}

static inline bool test_shared_commit(void *context, void *start, size_t bytes)
{
    (void)context, (void)start, (void)bytes;
    return true;
}

static inline bool test_shared_refuse(void *context, void *start, size_t bytes)
{
    (void)context, (void)start, (void)bytes;
    return false;
}

static inline void test_shared_release(void *context, void *start, size_t bytes)
{
    (void)context, (void)start, (void)bytes; /* where it starts is not known any more */
}

static const struct pm_page_hooks test_shared = {NULL,
                                                 test_shared_reserve,
                                                 test_shared_commit,
                                                 test_shared_refuse,
                                                 test_shared_refuse,
                                                 test_shared_release};

/* ---- work: blocks of all kinds, with marks ---- */

enum { TEST_BLOCKS = 96 };

struct test_work {
    unsigned char *blocks[TEST_BLOCKS];
    size_t sizes[TEST_BLOCKS];
    unsigned refused;
};

static inline bool test_is_marked(const unsigned char *block, size_t size, unsigned mark)
{
    for (size_t i = 0; i < size; i += 1 + size / 64) {
        if (block[i] != (unsigned char)mark)
            return false;
    }
    return block[size - 1] == (unsigned char)mark;
}

/* Every byte is as the one before. */
static inline bool test_all_zero(const unsigned char *block, size_t size)
{
    return block[0] == 0 && memcmp(block, block + 1, size - 1) == 0;
}

/* Small ones, medium ones, large ones, those of whole arenas. */
static inline size_t test_some_size(uint64_t *seed)
{
    static const size_t most[] = {600, 600, 600, 40000, 40000, 400000, 3 * PM_ARENA_BYTES};
    return 1 + test_random_below(seed, most[test_random_below(seed, 7)]);
}

static inline unsigned char *test_some_block(uint64_t *seed, size_t size)
{
    size_t align = (size_t)64 << test_random_below(seed, 16);
    switch (test_random_below(seed, 4)) {
    case 0: {
        unsigned char *block = pm_calloc(1, size);
        require(block == NULL || test_all_zero(block, size));
        return block;
    }
    case 1: {
        unsigned char *block = pm_aligned_alloc(align, size);
        require((uintptr_t)block % align == 0);
        return block;
    }
    default:
        return pm_malloc(size);
    }
}

static inline void test_work_free(struct test_work *work, unsigned i)
{
    if (work->blocks[i] == NULL)
        return;
    require(test_is_marked(work->blocks[i], work->sizes[i], i + 1));
    errno = ERANGE;
    pm_free(work->blocks[i]);
    require(errno == ERANGE);
    work->blocks[i] = NULL;
}

/* One step of the work: a block is made, resized or freed; a refusal leaves all as it was. */
static inline void test_work_step(struct test_work *work, uint64_t *seed)
{
    unsigned i = (unsigned)test_random_below(seed, TEST_BLOCKS);
    size_t size = test_some_size(seed);
    unsigned char *block;
    errno = 0;
    if (work->blocks[i] == NULL) {
        block = test_some_block(seed, size);
    } else if (test_random_below(seed, 2)) {
        test_work_free(work, i);
        return;
    } else {
        size_t less = size < work->sizes[i] ? size : work->sizes[i];
        block = pm_realloc(work->blocks[i], size);
        require(block == NULL || test_is_marked(block, less, i + 1) || less < work->sizes[i]);
        require(block == NULL || block[0] == (unsigned char)(i + 1));
    }
    if (block == NULL) {
        require(errno == ENOMEM);
        work->refused++;
        return;
    }
    work->blocks[i] = block;
    work->sizes[i] = size;
    memset(block, (int)(i + 1), size);
}

static inline void test_work_free_all(struct test_work *work)
{
    for (unsigned i = 0; i < TEST_BLOCKS; i++)
        test_work_free(work, i);
}

static inline void test_work_steps(struct test_work *work, uint64_t seed, unsigned steps)
{
    for (unsigned i = 0; i < steps; i++)
        test_work_step(work, &seed);
    require(pm_check());
}

#endif
