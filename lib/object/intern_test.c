/* SPDX-License-Identifier: MIT */
/*
 * Interned strings: one object for each value, which dies like any other. The cases of CPython that
 * are named are those of Lib/test/test_sys.py and Lib/test/test_code.py.
 */
#include "object/values_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* A string that nobody else has made. */
static struct pm_object *of_number(unsigned number)
{
    struct pm_object *string = pm_str_format("never interned before %u", number);
    require(string != NULL);
    return string;
}

static struct pm_object *interned_of_number(unsigned number)
{
    struct pm_object *string = of_number(number);
    require(pm_str_intern(&string));
    return string;
}

/* ---- which, and what of it ---- */

static void the_first_of_a_value_is_the_one(void **state)
{
    (void)state;
    struct pm_object *first = of_number(1), *second = of_number(1), *kept = first;
    uint64_t before = test_entries();
    assert_true(pm_str_intern(&first));
    assert_ptr_equal(first, kept);
    assert_true(pm_str_is_interned(first));
    assert_int_equal(pm_refcount(first), 1); /* the table has none */
    assert_int_equal(test_entries(), before + 1);
    assert_false(pm_str_is_interned(second));
    assert_true(pm_str_intern(&second));
    assert_ptr_equal(second, first);
    assert_int_equal(pm_refcount(first), 2);
    assert_true(pm_str_intern(&second)); /* again */
    assert_ptr_equal(second, first);
    assert_int_equal(pm_refcount(first), 2);
    pm_decref(first);
    pm_decref(second);
    assert_int_equal(test_entries(), before);
}

/* s = "never interned before" + str(n); sys.intern(s) is s; s2 = s.swapcase().swapcase();
 * sys.intern(s2) is s */
static void cpython_test_sys_intern(void **state)
{
    (void)state;
    struct pm_object *s = of_number(2), *head = pm_str_slice(s, 0, 7);
    struct pm_object *tail = pm_str_slice(s, 7, SIZE_MAX), *s2 = pm_str_concat(head, tail);
    struct pm_object *interned = s;
    assert_true(pm_str_intern(&interned));
    assert_ptr_equal(interned, s);
    assert_true(s2 != s);
    assert_true(pm_equal(s2, s));
    assert_true(pm_str_intern(&s2));
    assert_ptr_equal(s2, s);
    pm_decref(s);
    pm_decref(s2);
    pm_decref(head);
    pm_decref(tail);
}

/* test_interned_string, test_interned_string_with_null: constants that look like names are, others
 * are not. */
static void cpython_test_code_interned_string(void **state)
{
    (void)state;
    static const char *const names[] = {"str_value", "_", "X9", "0", ""};
    static const char *const others[] = {"str value", "str-value!", "\xc3\xa9t\xc3\xa9", "a.b",
                                         "@"};
    for (size_t i = 0; i < 5; i++) {
        struct pm_object *one = pm_str_literal(names[i]), *other = pm_str_literal(names[i]);
        assert_true(pm_str_is_interned(one));
        assert_ptr_equal(one, other);
        pm_decref(other);
        assert_true(test_reads(one, names[i]));
    }
    for (size_t i = 0; i < 5; i++) {
        struct pm_object *one = pm_str_literal(others[i]), *other = pm_str_literal(others[i]);
        assert_false(pm_str_is_interned(one));
        assert_true(one != other);
        pm_decref(other);
        assert_true(test_reads(one, others[i]));
    }
}

static void strings_of_run_time_are_interned_on_request_only(void **state)
{
    (void)state;
    struct pm_object *name = pm_str_literal("name"), *made = test_str("name");
    assert_true(made != name);
    assert_false(pm_str_is_interned(made));
    assert_true(pm_equal(made, name));
    struct pm_object *part = pm_str_slice(made, 0, 3);
    assert_false(pm_str_is_interned(part));
    struct pm_object *asked = pm_str_interned("name", 4);
    assert_ptr_equal(asked, name);
    pm_decref(asked);
    pm_decref(part);
    pm_decref(made);
    pm_decref(name);
}

static void of_interned_strings_only_the_same_one_is_equal(void **state)
{
    (void)state;
    struct pm_object *one = pm_str_literal("one"), *two = pm_str_literal("two");
    assert_false(pm_equal(one, two));
    assert_true(pm_equal(one, one));
    pm_decref(one);
    pm_decref(two);
}

/* ---- death ---- */

static void an_interned_string_dies_with_its_last_reference_and_comes_anew(void **state)
{
    (void)state;
    uint64_t before = test_entries();
    for (unsigned i = 0; i < 100; i++) {
        struct pm_object *string = interned_of_number(3);
        assert_int_equal(test_entries(), before + 1);
        assert_true(test_reads(string, "never interned before 3"));
        assert_int_equal(test_entries(), before);
    }
}

static void make_interned(void *string)
{
    *(struct pm_object **)string = interned_of_number(4);
}

static void a_string_of_a_thread_that_is_gone_is_found_and_dies(void **state)
{
    (void)state;
    struct pm_object *string, *found;
    uint64_t before = test_entries();
    test_in_thread(make_interned, &string);
    found = interned_of_number(4);
    assert_ptr_equal(found, string);
    pm_decref(found);
    pm_decref(string);
    assert_int_equal(test_entries(), before);
}

/* A string whose last reference was dropped, before it has taken itself out. */
static struct pm_str *dying_of_number(unsigned number)
{
    struct pm_object *string = interned_of_number(number);
    pm_store_relaxed(pm_owned_of(string), 0);
    pm_store_relaxed(pm_shared_of(string), PM_SHARED_DEAD);
    return (struct pm_str *)string;
}

static void a_dying_string_is_not_found_and_leaves_its_successor_alone(void **state)
{
    (void)state;
    uint64_t before = test_entries();
    struct pm_str *dying = dying_of_number(5);
    assert_null(pm_intern_find(pm_str_hash(dying), dying->text, dying->var.count));
    struct pm_object *next = interned_of_number(5), *again = interned_of_number(5);
    assert_true(next != &dying->var.object);
    assert_ptr_equal(again, next);
    assert_int_equal(test_entries(), before + 1); /* in its place */
    pm_intern_remove(dying);
    assert_int_equal(test_entries(), before + 1);
    pm_decref(again);
    again = interned_of_number(5);
    assert_ptr_equal(again, next);
    pm_decref(again);
    pm_decref(next);
    assert_int_equal(test_entries(), before);
    pm_object_memory_give(&dying->var.object);
}

/* ---- for ever ---- */

ISOLATED(an_immortal_one_stays_and_its_count_is_frozen)
{
    require(pm_object_thread_attach());
    struct pm_object *string = of_number(6), before;
    require(pm_str_intern_immortal(&string));
    require(pm_refcount(string) == UINT32_MAX);
    before = *string;
    pm_decref(string);
    pm_decref(string);
    require(memcmp(&before, string, sizeof before) == 0);
    require(pm_str_intern_immortal(&string) && interned_of_number(6) == string);
    require(memcmp(&before, string, sizeof before) == 0);
    require(test_entries() == 1);
}

ISOLATED(one_that_others_have_is_kept_by_one_reference_more)
{
    require(pm_object_thread_attach());
    struct pm_object *string = interned_of_number(7), *same = of_number(7);
    for (int i = 0; i < 3; i++)
        require(pm_str_intern_immortal(&string) && pm_refcount(string) == 2);
    require(pm_str_intern_immortal(&same) && same == string && pm_refcount(string) == 3);
    pm_decref(same);
    pm_decref(string);
    require(test_entries() == 1 && pm_refcount(string) == 1);
    require(interned_of_number(7) == string);
}

/* ---- without a lock ---- */

static void hit(void *string)
{
    for (int i = 0; i < 1000; i++) {
        struct pm_object *found = pm_str_interned("key", 3);
        require(found == string);
        pm_decref(found);
        struct pm_object *made = test_str("key");
        require(pm_str_intern(&made) && made == string);
        pm_decref(made);
    }
}

static void a_hit_takes_no_lock(void **state)
{
    (void)state;
    struct pm_intern_stats before, after;
    struct pm_object *key = pm_str_literal("key");
    pm_intern_get_stats(&before);
    hit(key);
    pm_intern_get_stats(&after);
    assert_int_equal(after.locks, before.locks);
    pm_intern_lock_all(); /* a hit that took one would wait for ever */
    test_in_thread(hit, key);
    pm_intern_unlock_all();
    pm_decref(key);
    pm_intern_get_stats(&after);
    assert_int_equal(after.locks, before.locks + 1); /* who leaves the table takes one */
}

ISOLATED(a_hit_allocates_nothing)
{
    require(pm_object_thread_attach());
    struct pm_object *key = pm_str_literal("key");
    test_memory_watch();
    for (int i = 0; i < 1000; i++) {
        struct pm_object *found = pm_str_literal("key");
        require(found == key);
        pm_decref(found);
    }
    require(test_memory.calls == 0);
}

/* ---- the table ---- */

enum { MANY = 20000 };

static void the_table_grows_and_shrinks_with_what_is_in_it(void **state)
{
    (void)state;
    static struct pm_object *strings[MANY];
    struct pm_intern_stats stats;
    uint64_t before = test_entries(), seed = 1, bytes;
    for (unsigned i = 0; i < MANY; i++)
        strings[i] = interned_of_number(i);
    pm_intern_get_stats(&stats);
    assert_int_equal(stats.entries, before + MANY);
    assert_true(stats.table_bytes < MANY * 64);
    bytes = stats.table_bytes;
    for (unsigned left = MANY; left > 0; left--) { /* in any order */
        unsigned i = (unsigned)test_random_below(&seed, left);
        struct pm_object *string = strings[i],
                         *made = pm_str_new(pm_str_text(string), pm_str_bytes(string));
        require(pm_str_intern(&made) && made == string);
        strings[i] = strings[left - 1];
        pm_decref(made);
        pm_decref(string);
    }
    pm_intern_get_stats(&stats);
    assert_int_equal(stats.entries, before);
    assert_true(stats.table_bytes * 20 < bytes);
}

ISOLATED(each_refusal_of_memory_is_enomem_and_loses_nothing)
{
    static struct pm_object *strings[200];
    require(pm_object_thread_attach());
    test_memory_watch();
    for (int for_good = 0; for_good < 2; for_good++)
        for (unsigned call = 1; call < 300; call++) {
            test_memory_refuse(call, for_good);
            for (unsigned i = 0; i < 200; i++) {
                errno = 0;
                strings[i] = pm_str_interned((char *)&i, 1 + i % 2);
                require(strings[i] != NULL || errno == ENOMEM || errno == EILSEQ);
            }
            test_memory.refuse_at = 0;
            for (unsigned i = 0; i < 200; i++)
                if (strings[i] != NULL)
                    pm_decref(strings[i]);
            require(test_entries() == 0);
        }
    /* What stays are the smallest arrays, one for each shard. */
    struct pm_intern_stats stats;
    pm_intern_get_stats(&stats);
    require(test_memory_live() <= 16 && stats.table_bytes <= 16 * 512);
}

ISOLATED(a_string_that_cannot_be_interned_is_as_it_was)
{
    require(pm_object_thread_attach());
    struct pm_object *string = of_number(8), *kept = string;
    test_memory_watch();
    test_memory_refuse(1, true);
    errno = 0;
    require(!pm_str_intern(&string) && errno == ENOMEM);
    require(string == kept && !pm_str_is_interned(string) && pm_refcount(string) == 1);
    test_memory.refuse_at = 0;
    require(pm_str_intern(&string) && string == kept);
}

/* ---- fork and misuse ---- */

static void a_child_of_fork_has_the_table_too(void **state)
{
    (void)state;
    struct pm_object *string = interned_of_number(9);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct pm_object *found = interned_of_number(9), *other = interned_of_number(10);
        _exit(found == string && other != string ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    pm_decref(string);
}

static void *intern_unattached(void *arg)
{
    (void)arg;
    pm_str_interned("key", 3);
    return NULL;
}

static void intern_elsewhere(const void *arg)
{
    pthread_t thread;
    (void)arg;
    pthread_create(&thread, NULL, intern_unattached, NULL);
    pthread_join(thread, NULL);
}

static void a_thread_that_interns_without_attaching_is_told(void **state)
{
    (void)state;
    struct pm_object *key = pm_str_literal("key");
    assert_true(test_aborts(intern_elsewhere, NULL, "type str: the thread is not attached"));
    pm_decref(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_immortal_one_stays_and_its_count_is_frozen),
        cmocka_unit_test(one_that_others_have_is_kept_by_one_reference_more),
        cmocka_unit_test(a_hit_allocates_nothing),
        cmocka_unit_test(each_refusal_of_memory_is_enomem_and_loses_nothing),
        cmocka_unit_test(a_string_that_cannot_be_interned_is_as_it_was),
        cmocka_unit_test(the_first_of_a_value_is_the_one),
        cmocka_unit_test(cpython_test_sys_intern),
        cmocka_unit_test(cpython_test_code_interned_string),
        cmocka_unit_test(strings_of_run_time_are_interned_on_request_only),
        cmocka_unit_test(of_interned_strings_only_the_same_one_is_equal),
        cmocka_unit_test(an_interned_string_dies_with_its_last_reference_and_comes_anew),
        cmocka_unit_test(a_string_of_a_thread_that_is_gone_is_found_and_dies),
        cmocka_unit_test(a_dying_string_is_not_found_and_leaves_its_successor_alone),
        cmocka_unit_test(a_hit_takes_no_lock),
        cmocka_unit_test(the_table_grows_and_shrinks_with_what_is_in_it),
        cmocka_unit_test(a_child_of_fork_has_the_table_too),
        cmocka_unit_test(a_thread_that_interns_without_attaching_is_told),
    };
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
