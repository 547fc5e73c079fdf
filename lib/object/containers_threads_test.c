/* SPDX-License-Identifier: MIT */
/*
 * Threads change and read one list and one dictionary; every item that is found is whole and alive,
 * keys are found that are there all the time, counts come out even, and in the end nothing is left.
 * For ThreadSanitizer above all.
 */
#include "object/containers_testing.h"
#include "object/dict.h"
#include "object/list.h"
#include "poolmalloc/qsbr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum {
    THREADS = 4,
    STEPS = PM_SCHEDULE           ? 300
            : PM_TSAN             ? 2000
            : PM_ASAN || PM_CHECK ? 4000
                                  : 10000,
};

/* Plain, of two words that are written by the maker only: a look at an item that is not ordered
 * after that is a race that ThreadSanitizer sees, and a look at freed memory finds no 7. */
struct twin {
    struct pm_object object;
    long worth, check;
};

static void twin_free(struct pm_object *object)
{
    ((struct twin *)object)->check = 0;
    atomic_fetch_sub(&numbers_alive, 1);
}

static struct pm_type twin_type = {
    .name = "twin",
    .size = sizeof(struct twin),
    .free = twin_free,
};

static struct pm_object *twin(long value)
{
    struct pm_object *object = pm_object_new(&twin_type);
    require(object != NULL);
    ((struct twin *)object)->worth = value;
    ((struct twin *)object)->check = value * 7;
    atomic_fetch_add(&numbers_alive, 1);
    return object;
}

static void drop_twin(struct pm_object *object)
{
    const struct twin *is = (const struct twin *)object;
    require(is->check == is->worth * 7);
    pm_decref(object);
}

/* A reference to the item is the caller's, who drops it. */
static bool dropped(struct pm_object *item)
{
    if (item != NULL)
        drop_twin(item);
    return item != NULL;
}

struct worker {
    struct pm_object *list, *dict;
    uint64_t seed;
    long number;  /* of the worker */
    long in, out; /* items that it put into the list, and took out */
    long keys_in, keys_out;
    void (*step)(struct worker *);
};

static void *work(void *arg)
{
    struct worker *worker = arg;
    require(pm_object_thread_attach());
    for (unsigned i = 0; i < STEPS; i++) {
        worker->step(worker);
        pm_safepoint();
        if (test_random_below(&worker->seed, 500) == 0) {
            pm_object_thread_pause();
            pm_object_thread_resume();
        }
    }
    pm_object_thread_detach();
    return NULL;
}

/* Runs the step in all threads, and adds up what they did. */
static struct worker run(void (*step)(struct worker *), struct pm_object *list,
                         struct pm_object *dict)
{
    struct worker workers[THREADS], sum = {.list = list, .dict = dict};
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){
            .list = list, .dict = dict, .seed = (uint64_t)i * 99, .number = i, .step = step};
        require(pthread_create(&threads[i], NULL, work, &workers[i]) == 0);
    }
    pm_object_thread_pause();
    for (int i = 0; i < THREADS; i++) {
        require(pthread_join(threads[i], NULL) == 0);
        sum.in += workers[i].in;
        sum.out += workers[i].out;
        sum.keys_in += workers[i].keys_in;
        sum.keys_out += workers[i].keys_out;
    }
    pm_object_thread_resume();
    return sum;
}

/* ---- one list ---- */

static void take_one(struct worker *worker, ptrdiff_t index)
{
    worker->out += dropped(pm_list_pop(worker->list, index));
}

static void change_slices(struct worker *worker, uint64_t what)
{
    struct pm_object *items[] = {twin(1), twin(2)}, *tuple = pm_tuple_new(items, 2);
    struct pm_object *slice;
    require(tuple != NULL);
    if (what == 0) {
        require(pm_list_extend(worker->list, tuple));
        worker->in += 2;
    } else if (what == 1) {
        slice = pm_list_slice(worker->list, 0, PM_SLICE_LAST, 3);
        while (dropped(pm_list_pop(slice, -1)))
            continue;
        pm_decref(slice);
    } else {
        require(pm_list_reverse(worker->list));
    }
    pm_decref(tuple);
    drop_twin(items[0]);
    drop_twin(items[1]);
}

static void use_list(struct worker *worker)
{
    uint64_t what = test_random_below(&worker->seed, 32);
    ptrdiff_t index = (ptrdiff_t)test_random_below(&worker->seed, 64);
    struct pm_object *item;
    if (what < 18) { /* look */
        dropped(pm_list_get(worker->list, index - (what == 0 ? 32 : 0)));
    } else if (what < 24) {
        item = twin(worker->number);
        if (what < 21 || pm_list_count(worker->list) > 60)
            pm_list_set(worker->list, index, item);
        else {
            require(pm_list_insert(worker->list, index, item));
            worker->in++;
        }
        drop_twin(item);
    } else if (what < 29) {
        take_one(worker, what < 27 ? -1 : index);
    } else {
        change_slices(worker, what - 29);
    }
}

static void threads_that_use_one_list_find_whole_items_and_lose_none(void **state)
{
    (void)state;
    struct pm_object *list = pm_list_new(NULL, 0);
    for (long i = 0; i < 40; i++) { /* by the owner: the list is private so far */
        struct pm_object *item = twin(i);
        require(pm_list_append(list, item));
        drop_twin(item);
    }
    struct worker sum = run(use_list, list, NULL);
    assert_int_equal(pm_list_count(list), 40 + sum.in - sum.out);
    pm_decref(list);
}

/* ---- one dictionary ---- */

enum { STABLE = 20, KEYS = 60 }; /* keys below STABLE are always there */

static void look_for_stable(struct worker *worker, struct pm_object *key)
{
    struct pm_object *value = pm_dict_get(worker->dict, key);
    require(value != NULL);
    drop_twin(value);
}

static void change_key(struct worker *worker, struct pm_object *key, uint64_t what)
{
    struct pm_object *value = twin(worth(key)), *there;
    if (what == 0 || worth(key) < STABLE) {
        there = pm_dict_set_default(worker->dict, key, value);
        worker->keys_in += there == value;
        require(dropped(there));
    } else {
        worker->keys_out += dropped(pm_dict_pop(worker->dict, key));
    }
    /* Only of keys that stay, so that it is no insertion. */
    if (worth(key) < STABLE)
        require(pm_dict_set(worker->dict, key, value));
    drop_twin(value);
}

static void look_at_all(struct worker *worker)
{
    struct pm_dict_position position = {0};
    struct pm_object *key, *value;
    long stable = 0;
    while (pm_dict_next(worker->dict, &position, &key, &value)) {
        stable += worth(key) < STABLE;
        pm_decref(key);
        drop_twin(value);
    }
    require(errno == EBUSY || stable == STABLE);
}

static void use_dict_of(struct worker *worker, struct pm_type *type)
{
    uint64_t what = test_random_below(&worker->seed, 32);
    struct pm_object *key = number_of(type, (long)test_random_below(&worker->seed, KEYS));
    if (what < 18) {
        if (worth(key) < STABLE)
            look_for_stable(worker, key);
        else
            dropped(pm_dict_get(worker->dict, key));
    } else if (what < 31) {
        change_key(worker, key, what % 2);
    } else {
        look_at_all(worker);
    }
    pm_decref(key);
}

static void use_dict(struct worker *worker)
{
    use_dict_of(worker, &number_type);
}

/* Not plain: the keys are asked without the lock. Few hashes, so that they are asked often. */
static uint64_t few_hashes(struct pm_object *object)
{
    return (uint64_t)worth(object) % 5;
}

static struct pm_type asked_type = {
    .name = "asked",
    .size = sizeof(struct number),
    .free = number_free,
    .hash = few_hashes,
    .equal = number_equal,
};

static void use_dict_of_asked(struct worker *worker)
{
    use_dict_of(worker, &asked_type);
}

static void run_with_keys(struct pm_type *type, void (*step)(struct worker *))
{
    struct pm_object *dict = pm_dict_new();
    for (long i = 0; i < STABLE; i++) {
        struct pm_object *key = number_of(type, i), *value = twin(i);
        require(pm_dict_set(dict, key, value));
        drop_twin(value);
        pm_decref(key);
    }
    struct worker sum = run(step, NULL, dict);
    assert_int_equal(pm_dict_count(dict), STABLE + sum.keys_in - sum.keys_out);
    assert_true(pm_table_check(((struct pm_dict *)dict)->table, pm_dict_count(dict)));
    pm_decref(dict);
}

static void threads_that_use_one_dictionary_find_what_stays_and_lose_nothing(void **state)
{
    (void)state;
    run_with_keys(&number_type, use_dict);
}

static void so_they_do_when_keys_have_to_be_asked(void **state)
{
    (void)state;
    run_with_keys(&asked_type, use_dict_of_asked);
}

/* ---- private and shared ---- */

static bool is_probed(struct pm_object *object)
{
    return (object->flags & PM_OBJECT_PROBED) != 0;
}

static bool is_shared(struct pm_object *object)
{
    return (object->flags & PM_OBJECT_SHARED) != 0;
}

static void look_once(void *list)
{
    require(dropped(pm_list_get(list, 0)));
}

static uint64_t deferred_items(void)
{
    struct pm_qsbr_stats stats;
    pm_qsbr_get_stats(&stats);
    return stats.items;
}

static void items_are_probed_and_arrays_go_later_once_another_thread_has_come(void **state)
{
    (void)state;
    struct pm_object *list = pm_list_new(NULL, 0), *first = twin(1), *second = twin(2);
    struct pm_object *small = pm_int_new(1);
    require(pm_list_append(list, first) && pm_list_append(list, small));
    assert_true(dropped(pm_list_get(list, 0)));
    assert_false(is_shared(list) || is_probed(first));
    test_in_thread(look_once, list);
    assert_true(is_shared(list) && is_probed(first));
    assert_false(is_probed(small)); /* immortal: nobody writes to it */
    require(pm_list_append(list, second));
    assert_true(is_probed(second));
    pm_qsbr_poll(); /* else the array may be the last of an open batch, which goes at once */
    uint64_t before = deferred_items();
    for (int i = 0; i < 4; i++)
        require(pm_list_append(list, second)); /* one of them makes it grow */
    assert_int_equal(deferred_items(), before + 1);
    pm_decref(list);
    drop_twin(first);
    drop_twin(second);
}

/* ---- the owner looks while another thread makes the container shared ---- */

struct pair {
    struct pm_object *list;
    _Atomic unsigned round, taken;
};

/* Takes the items away by which the owner is looking. */
static void *take_all(void *arg)
{
    struct pair *pair = arg;
    require(pm_object_thread_attach());
    while (dropped(pm_list_pop(pair->list, -1)))
        continue;
    pm_object_thread_detach();
    return NULL;
}

static void an_owner_who_looks_meanwhile_finds_whole_items(void **state)
{
    (void)state;
    for (unsigned round = 0; round < STEPS / 40; round++) {
        struct pair pair = {.list = pm_list_new(NULL, 0)};
        pthread_t thread;
        for (long i = 0; i < 20; i++) {
            struct pm_object *item = twin(i);
            require(pm_list_append(pair.list, item));
            drop_twin(item);
        }
        require(pthread_create(&thread, NULL, take_all, &pair) == 0);
        for (ptrdiff_t i = 0; pm_list_count(pair.list) > 0; i = (i + 1) % 20) {
            dropped(pm_list_get(pair.list, i));
            pm_safepoint();
        }
        pm_object_thread_pause();
        require(pthread_join(thread, NULL) == 0);
        pm_object_thread_resume();
        pm_decref(pair.list);
    }
}

/* ---- sorting beside readers ---- */

static struct pm_object *sorted_list;
static _Atomic bool done_sorting;

static void *look_at_sorted(void *arg)
{
    (void)arg;
    uint64_t seed = 3;
    require(pm_object_thread_attach());
    while (!atomic_load(&done_sorting)) {
        struct pm_object *item = pm_list_get(sorted_list, (ptrdiff_t)test_random_below(&seed, 100));
        if (item != NULL)
            require(worth_and_drop(item) < 1000);
        pm_safepoint();
    }
    pm_object_thread_detach();
    return NULL;
}

static void a_list_may_be_sorted_while_others_look(void **state)
{
    (void)state;
    uint64_t seed = 5;
    pthread_t thread;
    sorted_list = pm_list_new(NULL, 0);
    for (int i = 0; i < 100; i++)
        append(sorted_list, (long)test_random_below(&seed, 1000));
    require(pthread_create(&thread, NULL, look_at_sorted, NULL) == 0);
    for (unsigned i = 0; i < STEPS / 40; i++) {
        assert_true(pm_list_sort(sorted_list, i % 2));
        assert_int_equal(pm_list_count(sorted_list), 100);
        pm_safepoint();
    }
    atomic_store(&done_sorting, true);
    pm_object_thread_pause();
    require(pthread_join(thread, NULL) == 0);
    pm_object_thread_resume();
    pm_decref(sorted_list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_that_use_one_list_find_whole_items_and_lose_none),
        cmocka_unit_test(threads_that_use_one_dictionary_find_what_stays_and_lose_nothing),
        cmocka_unit_test(so_they_do_when_keys_have_to_be_asked),
        cmocka_unit_test(items_are_probed_and_arrays_go_later_once_another_thread_has_come),
        cmocka_unit_test(an_owner_who_looks_meanwhile_finds_whole_items),
        cmocka_unit_test(a_list_may_be_sorted_while_others_look),
    };
    return cmocka_run_group_tests(tests, attach_for_test, detach_and_count);
}
