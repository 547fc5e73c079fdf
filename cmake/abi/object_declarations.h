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
};
PM_API void pm_qsbr_get_stats(struct pm_qsbr_stats *stats);
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
