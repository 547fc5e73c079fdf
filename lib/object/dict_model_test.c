/* SPDX-License-Identifier: MIT */
/* Dictionaries: random operations beside an array in order of insertion. */
#include "object/dict_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { MODEL_MAX = 300, MODEL_STEPS = PM_TSAN || PM_ASAN || PM_CHECK ? 30000 : 150000 };

struct model {
    struct {
        long key, value;
    } pairs[MODEL_MAX];
    size_t count;
};

static size_t model_find(const struct model *model, long key)
{
    size_t i = 0;
    while (i < model->count && model->pairs[i].key != key)
        i++;
    return i;
}

static void model_remove(struct model *model, size_t at)
{
    memmove(&model->pairs[at], &model->pairs[at + 1], (--model->count - at) * sizeof *model->pairs);
}

static void step(struct pm_object *dict, struct model *model, long key, uint64_t *seed)
{
    size_t at = model_find(model, key);
    long value = (long)test_random_below(seed, 1000);
    struct pm_object *k, *v;
    switch (test_random_below(seed, 10)) {
    case 0:
    case 1:
    case 2:
        put(dict, key, value);
        model->pairs[at].key = key;
        model->pairs[at].value = value;
        model->count += at == model->count;
        break;
    case 3:
    case 4:
        require(remove_number(dict, key) == (at < model->count));
        if (at < model->count)
            model_remove(model, at);
        break;
    case 5:
        if (model->count == 0 || value >= 300)
            break;
        require(pm_dict_pop_last(dict, &k, &v));
        model->count--;
        require(worth_and_drop(k) == model->pairs[model->count].key);
        require(worth_and_drop(v) == model->pairs[model->count].value);
        break;
    default:
        require(get(dict, key) == (at < model->count ? model->pairs[at].value : -1));
    }
}

static void require_same(struct pm_object *dict, const struct model *model)
{
    struct pm_dict_position position = {0};
    struct pm_object *key, *value;
    size_t i = 0;
    for (; pm_dict_next(dict, &position, &key, &value); i++) {
        require(i < model->count);
        require(worth_and_drop(key) == model->pairs[i].key);
        require(worth_and_drop(value) == model->pairs[i].value);
    }
    require(errno == ENOENT && i == model->count && is_sound(dict));
}

static void random_operations_do_what_they_do_to_an_array(void **state)
{
    (void)state;
    struct pm_object *dict = pm_dict_new();
    struct model model = {.count = 0};
    uint64_t seed = 21;
    unsigned keys = 10;
    for (unsigned i = 0; i < MODEL_STEPS; i++) {
        if (i % 4096 == 0) /* small and large ones in turn */
            keys = 1 + (unsigned)test_random_below(&seed, i % 8192 == 0 ? 8 : MODEL_MAX);
        if (i % 9000 == 0) {
            assert_true(pm_dict_clear(dict));
            model.count = 0;
        }
        step(dict, &model, (long)test_random_below(&seed, keys), &seed);
        assert_true(pm_dict_count(dict) == model.count);
        if (i % 128 == 0)
            require_same(dict, &model);
    }
    pm_decref(dict);
    assert_int_equal(numbers_alive, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_do_what_they_do_to_an_array),
    };
    return cmocka_run_group_tests(tests, attach_for_test, detach_and_count);
}
