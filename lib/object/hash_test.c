/* SPDX-License-Identifier: MIT */
/* The key of the process, and hashes of bytes under it. */
#include "object/values_testing.h"

#include "base/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* hash() of CPython 3.11 with the seed in PYTHONHASHSEED. */
static const struct {
    const char *seed, *text;
    uint64_t hash;
} vectors[] = {
    {"0", "a", 0x407448d2b89b1813},
    {"0", "abc", 0xc03bc3a0042630f2},
    {"0", "abcdefgh", 0x3f7b849c0b8e35ea},
    {"0", "abcdefghijklmnopqrstuvwxyz", 0x323ccd2fd30709df},
    {"0", " ", 0x67a1eba9a6ce1c00},
    {"0", "\xff", 0x30406ea523c53def},
    {"42", "a", 0xfe4a47335692551e},
    {"42", "abc", 0x35b382d0c5d675e9},
    {"42", "abcdefghijklmnopqrstuvwxyz", 0xc091e2aaff96625a},
    {"4294967295", "a", 0xace05e4e86f8e887},
    {"4294967295", " ", 0xeae427e682e57313},
};

static const char *seed_of_body;

static void set_seed(const char *seed)
{
    char setting[64];
    snprintf(setting, sizeof setting, "hash_seed=%s", seed);
    require(pm_options_parse(setting));
}

static void has_hashes_of_seed(void)
{
    set_seed(seed_of_body);
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        if (strcmp(vectors[i].seed, seed_of_body) == 0)
            require(pm_hash_bytes(vectors[i].text, strlen(vectors[i].text)) == vectors[i].hash);
    require(pm_hash_bytes("", 0) == 0);
}

static void a_seed_gives_the_hashes_of_cpython_with_the_same_seed(void **state)
{
    (void)state;
    static const char *const seeds[] = {"0", "42", "4294967295"};
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        seed_of_body = seeds[i];
        assert_int_equal(test_isolated(has_hashes_of_seed), 0);
    }
}

ISOLATED(equal_text_has_equal_hashes_in_every_type_that_has_it)
{
    set_seed("0");
    require(pm_object_thread_attach());
    struct pm_object *string = test_str("abc"), *bytes = pm_bytes_new("abc", 3);
    require(test_hash(string) == 0xc03bc3a0042630f2 && test_hash(string) == test_hash(bytes));
    require(test_hash(string) == 0xc03bc3a0042630f2); /* remembered */
    pm_decref(string);
    pm_decref(bytes);
}

static void print_hash(const void *seed)
{
    set_seed(seed);
    fprintf(stderr, "%llx\n", (unsigned long long)pm_hash_bytes("abc", 3));
}

static void without_a_seed_each_process_has_its_own_hashes(void **state)
{
    (void)state;
    char one[64], other[64];
    assert_int_equal(test_stderr_of(print_hash, "random", one, sizeof one), 0);
    assert_int_equal(test_stderr_of(print_hash, "random", other, sizeof other), 0);
    assert_true(strcmp(one, other) != 0);
}

static void what_is_no_seed_is_named_and_taken_for_random(void **state)
{
    (void)state;
    static const char *const none[] = {"4294967296", "-1", "7x", "99999999999999999999", "x"};
    char one[512], other[512];
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_int_equal(test_stderr_of(print_hash, none[i], one, sizeof one), 0);
        assert_int_equal(test_stderr_of(print_hash, none[i], other, sizeof other), 0);
        assert_non_null(strstr(one, "option hash_seed"));
        assert_non_null(strstr(one, none[i]));
        assert_true(strcmp(one, other) != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_gives_the_hashes_of_cpython_with_the_same_seed),
        cmocka_unit_test(equal_text_has_equal_hashes_in_every_type_that_has_it),
        cmocka_unit_test(without_a_seed_each_process_has_its_own_hashes),
        cmocka_unit_test(what_is_no_seed_is_named_and_taken_for_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
