/* SPDX-License-Identifier: MIT */
/*
 * The few words of cmocka that the unit tests use, for C libraries and processors for which cmocka
 * is not packaged: the preset decides (PM_CMOCKA). A test that fails is left; the others go on.
 * Included once in a test program; cmocka's own header is used wherever the library is there.
 */
#ifndef PM_CMOCKA_WORDS_H
#define PM_CMOCKA_WORDS_H

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
    int (*setup)(void **state);
};

#define cmocka_unit_test_setup(function, setup)                                                    \
    {                                                                                              \
#function, function, setup                                                                 \
    }
#define cmocka_unit_test(function) cmocka_unit_test_setup(function, NULL)
#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    cmocka_words_run(tests, sizeof(tests) / sizeof *(tests), setup, teardown)

enum { CMOCKA_WORDS_FAILED = 1, CMOCKA_WORDS_SKIPPED };

static jmp_buf cmocka_words_left;

static inline _Noreturn void cmocka_words_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
    longjmp(cmocka_words_left, CMOCKA_WORDS_FAILED);
}

#define cmocka_words_require(condition, what)                                                      \
    ((condition) ? (void)0 : cmocka_words_fail(__FILE__, __LINE__, what))

#define skip() longjmp(cmocka_words_left, CMOCKA_WORDS_SKIPPED)
#define assert_true(a) cmocka_words_require((a), #a)
#define assert_false(a) cmocka_words_require(!(a), "not: " #a)
#define assert_null(a) cmocka_words_require((a) == NULL, #a " is NULL")
#define assert_non_null(a) cmocka_words_require((a) != NULL, #a " is not NULL")
#define assert_int_equal(a, b) cmocka_words_require((uintmax_t)(a) == (uintmax_t)(b), #a " == " #b)
#define assert_int_not_equal(a, b)                                                                 \
    cmocka_words_require((uintmax_t)(a) != (uintmax_t)(b), #a " != " #b)
#define assert_in_range(a, least, most)                                                            \
    cmocka_words_require((uintmax_t)(a) - (uintmax_t)(least) <=                                    \
                             (uintmax_t)(most) - (uintmax_t)(least),                               \
                         #a " is from " #least " to " #most)
#define assert_ptr_not_equal(a, b)                                                                 \
    cmocka_words_require((const void *)(a) != (const void *)(b), #a " != " #b)
#define assert_ptr_equal(a, b)                                                                     \
    cmocka_words_require((const void *)(a) == (const void *)(b), #a " == " #b)
#define assert_string_equal(a, b) cmocka_words_require(strcmp(a, b) == 0, #a " == " #b)
#define assert_memory_equal(a, b, bytes)                                                           \
    cmocka_words_require(memcmp(a, b, bytes) == 0, #a " holds what " #b " holds")

/* 1: it failed. */
static inline int cmocka_words_run_one(const struct CMUnitTest *test, void **state)
{
    switch (setjmp(cmocka_words_left)) {
    case 0:
        if (test->setup != NULL && test->setup(state) != 0)
            cmocka_words_fail(test->name, 0, "its setup");
        test->run(state);
        fprintf(stderr, "ok: %s\n", test->name);
        return 0;
    case CMOCKA_WORDS_SKIPPED:
        fprintf(stderr, "skipped: %s\n", test->name);
        return 0;
    default:
        fprintf(stderr, "FAILED: %s\n", test->name);
        return 1;
    }
}

static inline int cmocka_words_run(const struct CMUnitTest *tests, size_t count,
                                   int (*setup)(void **), int (*teardown)(void **))
{
    void *state = NULL;
    int failed = setup != NULL && setup(&state) != 0;
    for (size_t i = 0; i < count; i++)
        failed += cmocka_words_run_one(&tests[i], &state);
    if (teardown != NULL && teardown(&state) != 0)
        failed++;
    fprintf(stderr, "%d of %zu tests failed\n", failed, count);
    return failed;
}

#endif
