/* SPDX-License-Identifier: MIT */
/* The binary interface, as it was: check_abi.py --write makes this of the public headers. */
#ifndef POOLMALLOC_OBJECT_H
#define POOLMALLOC_OBJECT_H
#ifdef __cplusplus
extern "C" {
#endif
struct pm_object;
typedef int (*pm_visit)(struct pm_object *object, void *arg);
#define PM_TYPE_GC 1u
#define PM_TYPE_PLAIN 2u
struct pm_type {
    const char *name;
    size_t size;
    size_t item_size;
    unsigned flags;
    int (*traverse)(struct pm_object *object, pm_visit visit, void *arg);
    void (*clear)(struct pm_object *object);
    void (*finalize)(struct pm_object *object);
    void (*free)(struct pm_object *object);
    uint64_t (*hash)(struct pm_object *object);
    bool (*equal)(struct pm_object *object, struct pm_object *other);
    int (*compare)(struct pm_object *object, struct pm_object *other, int *result);
    struct pm_object *(*repr)(struct pm_object *object);
    uint64_t ready;
};
struct pm_object {
    uint32_t type_low;
    uint16_t type_high;
    uint8_t flags;
    uint8_t lock;
    uint32_t owned;
    uint32_t shared;
};
struct pm_var_object {
    struct pm_object object;
    size_t count;
};
PM_API void pm_type_ready(struct pm_type *type);
PM_API struct pm_object *pm_object_new(struct pm_type *type);
PM_API struct pm_var_object *pm_object_new_var(struct pm_type *type, size_t count);
static inline struct pm_type *pm_object_type(const struct pm_object *object)
{
    return (struct pm_type *)(object->type_low | (uintptr_t)object->type_high << 32);
}
PM_API size_t pm_object_bytes(const struct pm_object *object);
PM_API bool pm_object_thread_attach(void);
PM_API void pm_object_thread_detach(void);
PM_API void pm_object_thread_pause(void);
PM_API void pm_object_thread_resume(void);
#define PM_OBJECT_THREADS_MAX 65535
struct pm_object_self {
    uint32_t mine;
    uint32_t due;
    struct pm_deferred_frame *frames;
};
PM_API extern __thread struct pm_object_self pm_object_self
    __attribute__((tls_model("initial-exec")));
PM_API void pm_safepoint_slow(void);
static inline void pm_safepoint(void)
{
    if (__builtin_expect(__atomic_load_n(&pm_object_self.due, __ATOMIC_RELAXED) != 0, 0))
        pm_safepoint_slow();
}
#define PM_OBJECT_LOCAL_FULL 0xfffeu
#define PM_OBJECT_IMMORTAL 0x0000ffffu
PM_API void pm_incref_slow(struct pm_object *object);
PM_API void pm_decref_slow(struct pm_object *object);
static inline void pm_incref(struct pm_object *object)
{
    uint32_t owned = __atomic_load_n(&object->owned, __ATOMIC_RELAXED);
    if (__builtin_expect(owned - pm_object_self.mine < PM_OBJECT_LOCAL_FULL - 1, 1))
        __atomic_store_n(&object->owned, owned + 1, __ATOMIC_RELAXED);
    else
        pm_incref_slow(object);
}
static inline void pm_decref(struct pm_object *object)
{
    uint32_t left = __atomic_load_n(&object->owned, __ATOMIC_RELAXED) - 1;
    if (__builtin_expect(left - pm_object_self.mine < PM_OBJECT_LOCAL_FULL - 1, 1))
        __atomic_store_n(&object->owned, left, __ATOMIC_RELAXED);
    else
        pm_decref_slow(object);
}
PM_API uint32_t pm_refcount(const struct pm_object *object);
PM_API bool pm_is_unique(const struct pm_object *object);
PM_API bool pm_object_set_immortal(struct pm_object *object);
PM_API bool pm_try_incref(struct pm_object *object);
PM_API void pm_object_set_probed(struct pm_object *object);
#define PM_OBJECT_FINALIZED 1u
#define PM_OBJECT_PROBED 2u
#define PM_OBJECT_REGISTERED 4u
#define PM_OBJECT_UNTRACKED 16u
#define PM_OBJECT_SHARED 128u
#ifdef __cplusplus
}
#endif
#endif
#ifndef POOLMALLOC_VALUES_H
#define POOLMALLOC_VALUES_H
#ifdef __cplusplus
extern "C" {
#endif
PM_API bool pm_hash(struct pm_object *object, uint64_t *hash);
PM_API bool pm_equal(struct pm_object *object, struct pm_object *other);
PM_API bool pm_compare(struct pm_object *object, struct pm_object *other, int *result);
PM_API struct pm_object *pm_repr(struct pm_object *object);
PM_API uint64_t pm_hash_bytes(const void *data, size_t bytes);
PM_API extern struct pm_type pm_int_type;
PM_API struct pm_object *pm_int_new(int64_t value);
PM_API int64_t pm_int_get(const struct pm_object *integer);
PM_API struct pm_object *pm_int_add(const struct pm_object *a, const struct pm_object *b);
PM_API struct pm_object *pm_int_sub(const struct pm_object *a, const struct pm_object *b);
PM_API struct pm_object *pm_int_mul(const struct pm_object *a, const struct pm_object *b);
PM_API struct pm_object *pm_int_div(const struct pm_object *a, const struct pm_object *b);
PM_API struct pm_object *pm_int_mod(const struct pm_object *a, const struct pm_object *b);
PM_API struct pm_object *pm_int_from_text(const char *text, size_t bytes, int base);
PM_API struct pm_object *pm_int_to_str(const struct pm_object *integer);
PM_API extern struct pm_type pm_float_type;
PM_API struct pm_object *pm_float_new(double value);
PM_API double pm_float_get(const struct pm_object *number);
PM_API struct pm_object *pm_float_from_text(const char *text, size_t bytes);
PM_API struct pm_object *pm_float_to_str(const struct pm_object *number);
PM_API extern struct pm_type pm_str_type;
#define PM_STR_NOT_FOUND SIZE_MAX
PM_API struct pm_object *pm_str_new(const char *text, size_t bytes);
PM_API struct pm_object *pm_str_format(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
PM_API const char *pm_str_text(const struct pm_object *string);
PM_API size_t pm_str_bytes(const struct pm_object *string);
PM_API size_t pm_str_points(const struct pm_object *string);
PM_API bool pm_str_get(const struct pm_object *string, ptrdiff_t index, uint32_t *point);
PM_API bool pm_str_next(const struct pm_object *string, size_t *at, uint32_t *point);
PM_API struct pm_object *pm_str_concat(struct pm_object *a, struct pm_object *b);
PM_API struct pm_object *pm_str_slice(struct pm_object *string, size_t first, size_t end);
PM_API size_t pm_str_find(const struct pm_object *string, const struct pm_object *part,
                          size_t from);
PM_API bool pm_str_intern(struct pm_object **string);
PM_API bool pm_str_intern_immortal(struct pm_object **string);
PM_API struct pm_object *pm_str_interned(const char *text, size_t bytes);
PM_API struct pm_object *pm_str_literal(const char *text);
PM_API bool pm_str_is_interned(const struct pm_object *string);
struct pm_intern_stats {
    uint64_t entries;
    uint64_t table_bytes;
    uint64_t locks;
};
PM_API void pm_intern_get_stats(struct pm_intern_stats *stats);
PM_API extern struct pm_type pm_bytes_type;
PM_API struct pm_object *pm_bytes_new(const void *data, size_t bytes);
PM_API const void *pm_bytes_data(const struct pm_object *object);
PM_API size_t pm_bytes_size(const struct pm_object *object);
PM_API struct pm_object *pm_bytes_concat(struct pm_object *a, struct pm_object *b);
PM_API struct pm_object *pm_bytes_slice(struct pm_object *object, size_t first, size_t end);
PM_API size_t pm_bytes_find(const struct pm_object *object, const struct pm_object *part,
                            size_t from);
#ifdef __cplusplus
}
#endif
#endif
#ifndef POOLMALLOC_CONTAINERS_H
#define POOLMALLOC_CONTAINERS_H
#ifdef __cplusplus
extern "C" {
#endif
PM_API extern struct pm_type pm_tuple_type;
PM_API extern struct pm_type pm_list_type;
PM_API extern struct pm_type pm_dict_type;
#define PM_NESTING_MAX 500
#define PM_SLICE_FIRST PTRDIFF_MIN
#define PM_SLICE_LAST PTRDIFF_MAX
PM_API struct pm_object *pm_tuple_new(struct pm_object *const *items, size_t count);
PM_API struct pm_object *pm_tuple_from_list(struct pm_object *list);
PM_API size_t pm_tuple_count(const struct pm_object *tuple);
PM_API struct pm_object *pm_tuple_get(struct pm_object *tuple, ptrdiff_t index);
PM_API struct pm_object *pm_tuple_item(struct pm_object *tuple, ptrdiff_t index);
PM_API struct pm_object *pm_tuple_slice(struct pm_object *tuple, ptrdiff_t start, ptrdiff_t stop,
                                        ptrdiff_t step);
PM_API bool pm_tuple_find(struct pm_object *tuple, struct pm_object *value, size_t start,
                          size_t *index);
PM_API struct pm_object *pm_tuple_concat(struct pm_object *tuple, struct pm_object *other);
PM_API struct pm_object *pm_list_new(struct pm_object *const *items, size_t count);
PM_API size_t pm_list_count(const struct pm_object *list);
PM_API struct pm_object *pm_list_get(struct pm_object *list, ptrdiff_t index);
PM_API bool pm_list_set(struct pm_object *list, ptrdiff_t index, struct pm_object *item);
PM_API bool pm_list_insert(struct pm_object *list, ptrdiff_t index, struct pm_object *item);
PM_API bool pm_list_append(struct pm_object *list, struct pm_object *item);
PM_API bool pm_list_delete(struct pm_object *list, ptrdiff_t index);
PM_API struct pm_object *pm_list_pop(struct pm_object *list, ptrdiff_t index);
PM_API bool pm_list_clear(struct pm_object *list);
PM_API bool pm_list_extend(struct pm_object *list, struct pm_object *sequence);
PM_API struct pm_object *pm_list_slice(struct pm_object *list, ptrdiff_t start, ptrdiff_t stop,
                                       ptrdiff_t step);
PM_API struct pm_object *pm_list_copy(struct pm_object *list);
PM_API bool pm_list_set_slice(struct pm_object *list, ptrdiff_t start, ptrdiff_t stop,
                              struct pm_object *sequence);
PM_API bool pm_list_reserve(struct pm_object *list, size_t count);
PM_API bool pm_list_reverse(struct pm_object *list);
#define PM_SORT_DESCENDING 1u
PM_API bool pm_list_sort(struct pm_object *list, unsigned flags);
PM_API bool pm_list_find(struct pm_object *list, struct pm_object *value, size_t start,
                         size_t *index);
PM_API struct pm_object *pm_list_next(struct pm_object *list, size_t *position);
PM_API struct pm_object *pm_dict_new(void);
PM_API size_t pm_dict_count(const struct pm_object *dict);
PM_API struct pm_object *pm_dict_get(struct pm_object *dict, struct pm_object *key);
PM_API bool pm_dict_contains(struct pm_object *dict, struct pm_object *key);
PM_API bool pm_dict_set(struct pm_object *dict, struct pm_object *key, struct pm_object *value);
PM_API struct pm_object *pm_dict_set_default(struct pm_object *dict, struct pm_object *key,
                                             struct pm_object *value);
PM_API bool pm_dict_delete(struct pm_object *dict, struct pm_object *key);
PM_API struct pm_object *pm_dict_pop(struct pm_object *dict, struct pm_object *key);
PM_API bool pm_dict_pop_last(struct pm_object *dict, struct pm_object **key,
                             struct pm_object **value);
PM_API bool pm_dict_clear(struct pm_object *dict);
struct pm_dict_position {
    size_t next;
    uint64_t version;
};
PM_API bool pm_dict_next(struct pm_object *dict, struct pm_dict_position *position,
                         struct pm_object **key, struct pm_object **value);
PM_API struct pm_object *pm_dict_keys(struct pm_object *dict);
PM_API struct pm_object *pm_dict_values(struct pm_object *dict);
PM_API struct pm_object *pm_dict_items(struct pm_object *dict);
PM_API struct pm_object *pm_dict_copy(struct pm_object *dict);
PM_API bool pm_dict_update(struct pm_object *dict, struct pm_object *other, bool replace);
PM_API bool pm_dict_reserve(struct pm_object *dict, size_t count);
#ifdef __cplusplus
}
#endif
#endif
#ifndef POOLMALLOC_DEFERRED_H
#define POOLMALLOC_DEFERRED_H
#ifdef __cplusplus
extern "C" {
#endif
#define PM_OBJECT_DEFERRED 64u
PM_API bool pm_object_set_deferred(struct pm_object *object);
struct pm_deferred_frame {
    struct pm_deferred_frame *outer;
    uintptr_t *references;
    size_t count;
};
PM_API void pm_deferred_leave_slow(struct pm_deferred_frame *frame);
static inline void pm_deferred_enter(struct pm_deferred_frame *frame, uintptr_t *references,
                                     size_t count)
{
    for (size_t i = 0; i < count; i++)
        references[i] = 0;
    frame->references = references;
    frame->count = count;
    frame->outer = pm_object_self.frames;
    pm_object_self.frames = frame;
}
static inline struct pm_object *pm_deferred_get(const struct pm_deferred_frame *frame, size_t i)
{
    return (struct pm_object *)(frame->references[i] & ~(uintptr_t)1);
}
static inline void pm_deferred_clear(struct pm_deferred_frame *frame, size_t i)
{
    uintptr_t old = frame->references[i];
    frame->references[i] = 0;
    if (old != 0 && (old & 1) == 0)
        pm_decref((struct pm_object *)old);
}
static inline bool pm_deferred_is_set(const struct pm_object *object)
{
    return (__atomic_load_n(&object->flags, __ATOMIC_RELAXED) & PM_OBJECT_DEFERRED) != 0;
}
static inline void pm_deferred_set(struct pm_deferred_frame *frame, size_t i,
                                   struct pm_object *object)
{
    uintptr_t old = frame->references[i];
    if (pm_deferred_is_set(object)) {
        frame->references[i] = (uintptr_t)object | 1;
    } else {
        pm_incref(object);
        frame->references[i] = (uintptr_t)object;
    }
    if (old != 0 && (old & 1) == 0)
        pm_decref((struct pm_object *)old);
}
static inline bool pm_deferred_try_set(struct pm_deferred_frame *frame, size_t i,
                                       struct pm_object *object)
{
    uintptr_t old = frame->references[i], reference = 0;
    if (pm_deferred_is_set(object))
        reference = (uintptr_t)object | 1;
    else if (pm_try_incref(object))
        reference = (uintptr_t)object;
    frame->references[i] = reference;
    if (old != 0 && (old & 1) == 0)
        pm_decref((struct pm_object *)old);
    return reference != 0;
}
static inline void pm_deferred_leave(struct pm_deferred_frame *frame)
{
    if (__builtin_expect(pm_object_self.frames != frame, 0))
        pm_deferred_leave_slow(frame);
    for (size_t i = 0; i < frame->count; i++)
        pm_deferred_clear(frame, i);
    pm_object_self.frames = frame->outer;
}
PM_API size_t pm_deferred_reclaim(void);
struct pm_deferred_stats {
    size_t objects;
    uint64_t reclaims;
    uint64_t reclaimed;
};
PM_API void pm_deferred_get_stats(struct pm_deferred_stats *stats);
#ifdef __cplusplus
}
#endif
#endif
#ifndef POOLMALLOC_GC_H
#define POOLMALLOC_GC_H
#ifdef __cplusplus
extern "C" {
#endif
#define PM_GC_GENERATIONS 3
PM_API void pm_gc_enable(void);
PM_API void pm_gc_disable(void);
PM_API bool pm_gc_is_enabled(void);
enum pm_gc_mode { PM_GC_GENERATIONAL, PM_GC_WHOLE };
PM_API void pm_gc_set_mode(enum pm_gc_mode mode);
PM_API enum pm_gc_mode pm_gc_get_mode(void);
PM_API void pm_gc_set_thresholds(const unsigned thresholds[PM_GC_GENERATIONS]);
PM_API void pm_gc_get_thresholds(unsigned thresholds[PM_GC_GENERATIONS]);
PM_API void pm_gc_get_counts(size_t counts[PM_GC_GENERATIONS]);
struct pm_gc_result {
    size_t collected;
    size_t uncollectable;
};
PM_API bool pm_gc_collect(unsigned generation, struct pm_gc_result *result);
PM_API void pm_gc_track(struct pm_object *object);
PM_API void pm_gc_untrack(struct pm_object *object);
PM_API bool pm_gc_is_tracked(const struct pm_object *object);
PM_API bool pm_gc_is_finalized(const struct pm_object *object);
PM_API size_t pm_gc_get_objects(int generation, struct pm_object **found, size_t room);
PM_API size_t pm_gc_get_referrers(struct pm_object *const *targets, size_t count,
                                  struct pm_object **found, size_t room);
PM_API size_t pm_gc_get_referents(struct pm_object *const *objects, size_t count,
                                  struct pm_object **found, size_t room);
PM_API void pm_gc_freeze(void);
PM_API void pm_gc_unfreeze(void);
PM_API size_t pm_gc_get_freeze_count(void);
#define PM_GC_DEBUG_STATS 1u
#define PM_GC_DEBUG_COLLECTABLE 2u
#define PM_GC_DEBUG_UNCOLLECTABLE 4u
#define PM_GC_DEBUG_SAVEALL 32u
#define PM_GC_DEBUG_LEAK (PM_GC_DEBUG_COLLECTABLE | PM_GC_DEBUG_UNCOLLECTABLE | PM_GC_DEBUG_SAVEALL)
PM_API void pm_gc_set_debug(unsigned flags);
PM_API unsigned pm_gc_get_debug(void);
PM_API size_t pm_gc_get_garbage(struct pm_object **found, size_t room);
PM_API void pm_gc_clear_garbage(void);
struct pm_gc_info {
    bool stop;
    unsigned generation;
    struct pm_gc_result result;
};
typedef void (*pm_gc_callback)(const struct pm_gc_info *info, void *arg);
#define PM_GC_CALLBACKS_MAX 16
PM_API bool pm_gc_add_callback(pm_gc_callback callback, void *arg);
PM_API bool pm_gc_remove_callback(pm_gc_callback callback, void *arg);
#define PM_GC_PAUSES 24
struct pm_gc_stats {
    struct {
        uint64_t collections, collected, uncollectable;
    } generations[PM_GC_GENERATIONS];
    uint64_t put_off;
    uint64_t pauses[PM_GC_PAUSES];
    uint64_t pause_ns, pause_ns_max;
    uint64_t registered;
    uint64_t long_lived;
};
PM_API void pm_gc_get_stats(struct pm_gc_stats *stats);
#ifdef __cplusplus
}
#endif
#endif
#ifndef POOLMALLOC_QSBR_H
#define POOLMALLOC_QSBR_H
#ifdef __cplusplus
extern "C" {
#endif
#define PM_QSBR_ITEMS_MAX 1024
#define PM_QSBR_BYTES_MAX (1 << 20)
#define PM_QSBR_POOLS_MAX 512
PM_API bool pm_qsbr_attach(void);
PM_API void pm_qsbr_detach(void);
PM_API void pm_qsbr_quiescent(void);
PM_API void pm_qsbr_defer(void (*free)(void *ptr), void *ptr, size_t bytes);
PM_API size_t pm_qsbr_poll(void);
struct pm_qsbr_stats {
    uint64_t sequence;
    uint64_t threads;
    uint64_t items;
    uint64_t bytes;
    uint64_t waits;
    uint64_t pools;
    uint64_t items_max, bytes_max, pools_max;
};
PM_API void pm_qsbr_get_stats(struct pm_qsbr_stats *stats);
#ifdef __cplusplus
}
#endif
#endif
#ifndef POOLMALLOC_WEAK_H
#define POOLMALLOC_WEAK_H
#ifdef __cplusplus
extern "C" {
#endif
typedef void (*pm_weakref_callback)(struct pm_object *weakref, struct pm_object *arg);
PM_API struct pm_object *pm_weakref_new(struct pm_object *object, pm_weakref_callback callback,
                                        struct pm_object *arg);
PM_API struct pm_object *pm_weakref_get(struct pm_object *weakref);
PM_API bool pm_is_weakref(const struct pm_object *object);
PM_API size_t pm_weakref_count(const struct pm_object *object);
PM_API size_t pm_weakref_list(const struct pm_object *object, struct pm_object **weakrefs,
                              size_t room);
#define PM_OBJECT_WEAK 8u
#ifdef __cplusplus
}
#endif
#endif
