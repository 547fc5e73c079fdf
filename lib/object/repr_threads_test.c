/* SPDX-License-Identifier: MIT */
/*
 * pm_repr of a list and a dictionary that other threads change: what is shown is what they held at
 * one moment, and every item that is asked is alive; a type that changes the container while it is
 * asked finds no lock held.
 */
#include "object/containers_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { WRITERS = 2, ITEMS = 5, KEYS = 8, STEPS = PM_SCHEDULE ? 50 : PM_TSAN ? 300 : 4000 };

/* Shows what it is worth; others see that it lives by a word that its maker wrote. */
static uint64_t lives = 0x6c69766573;

struct shown {
    struct number number;
    uint64_t mark;
};

static void shown_free(struct pm_object *object)
{
    ((struct shown *)object)->mark = 0;
    number_free(object);
}

static struct pm_object *shown_repr(struct pm_object *object)
{
    require(((struct shown *)object)->mark == lives);
    return pm_str_format("%ld", worth(object));
}

static struct pm_type shown_type = {
    .name = "shown",
    .size = sizeof(struct shown),
    .free = shown_free,
    .hash = number_hash,
    .equal = number_equal,
    .repr = shown_repr,
};

static struct pm_object *shown(long is)
{
    struct pm_object *object = number_of(&shown_type, is);
    ((struct shown *)object)->mark = lives;
    return object;
}

static struct pm_object *list, *dict;
static _Atomic unsigned writers;

/* The list holds the same number ITEMS times at any moment, each key of the dictionary itself. */
static void write_both(void *arg)
{
    uint64_t seed = *(uint64_t *)arg;
    for (unsigned i = 0; i < STEPS; i++) {
        struct pm_object *one = shown((long)test_random_below(&seed, 1000)), *items[ITEMS];
        for (int j = 0; j < ITEMS; j++)
            items[j] = one;
        struct pm_object *all = pm_tuple_new(items, ITEMS);
        require(all != NULL && pm_list_set_slice(list, 0, PM_SLICE_LAST, all));
        pm_decref(all);
        pm_decref(one);
        struct pm_object *key = shown((long)test_random_below(&seed, KEYS));
        if (i % 2 == 0)
            require(pm_dict_set(dict, key, key));
        else
            pm_dict_delete(dict, key);
        pm_decref(key);
        pm_safepoint();
    }
    atomic_fetch_sub(&writers, 1);
}

static bool is_of_one_moment(const char *text)
{
    long numbers[ITEMS];
    int end = 0;
    if (strcmp(text, "[]") == 0) /* nobody has written yet */
        return true;
    sscanf(text, "[%ld, %ld, %ld, %ld, %ld]%n", &numbers[0], &numbers[1], &numbers[2], &numbers[3],
           &numbers[4], &end);
    for (int i = 1; i < ITEMS; i++)
        if (end == 0 || numbers[i] != numbers[0])
            return false;
    return text[end] == '\0';
}

static bool is_of_keys(const char *text)
{
    long key, value;
    int more = 0;
    while (*text != '}') {
        if (sscanf(text + 1, "%ld: %ld%n", &key, &value, &more) != 2 || key != value)
            return text[0] == '{' && text[1] == '}';
        text += 1 + more;
        if (text[0] == ',')
            text++;
    }
    return text[1] == '\0';
}

static void read_both(void)
{
    struct pm_object *of_list = pm_repr(list), *of_dict = pm_repr(dict);
    require(of_list != NULL && is_of_one_moment(pm_str_text(of_list)));
    require(of_dict != NULL && is_of_keys(pm_str_text(of_dict)));
    pm_decref(of_list);
    pm_decref(of_dict);
}

static void what_others_change_is_shown_as_it_was_at_one_moment(void **state)
{
    (void)state;
    pthread_t threads[WRITERS];
    uint64_t seeds[WRITERS];
    struct test_call calls[WRITERS];
    list = pm_list_new(NULL, 0);
    dict = pm_dict_new();
    writers = WRITERS;
    for (unsigned i = 0; i < WRITERS; i++) {
        seeds[i] = i;
        calls[i] = (struct test_call){write_both, &seeds[i]};
        require(pthread_create(&threads[i], NULL, test_attached, &calls[i]) == 0);
    }
    while (atomic_load(&writers) > 0) {
        read_both();
        pm_safepoint();
    }
    pm_object_thread_pause();
    for (unsigned i = 0; i < WRITERS; i++)
        require(pthread_join(threads[i], NULL) == 0);
    pm_object_thread_resume();
    read_both();
    pm_decref(list);
    pm_decref(dict);
}

/* ---- what is asked changes what asks ---- */

static struct pm_object *empty_both(struct pm_object *object)
{
    (void)object;
    require(pm_list_clear(list) && pm_dict_clear(dict));
    return pm_str_new("me", 2);
}

static struct pm_type empties_type = {
    .name = "empties",
    .size = sizeof(struct number),
    .free = number_free,
    .repr = empty_both,
};

static void a_type_may_change_the_container_while_it_is_asked(void **state)
{
    (void)state;
    struct pm_object *items[] = {number_of(&empties_type, 1), shown(2)};
    for (int of_dict = 0; of_dict < 2; of_dict++) {
        list = pm_list_new(items, 2);
        dict = pm_dict_new();
        assert_true(pm_dict_set(dict, items[1], items[0]));
        struct pm_object *string = pm_repr(of_dict ? dict : list);
        assert_string_equal(pm_str_text(string), of_dict ? "{2: me}" : "[me, 2]");
        assert_true(pm_list_count(list) == 0 && pm_dict_count(dict) == 0);
        pm_decref(string);
        pm_decref(list);
        pm_decref(dict);
    }
    pm_decref(items[0]);
    pm_decref(items[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_others_change_is_shown_as_it_was_at_one_moment),
        cmocka_unit_test(a_type_may_change_the_container_while_it_is_asked),
    };
    return cmocka_run_group_tests(tests, attach_for_test, detach_and_count);
}
