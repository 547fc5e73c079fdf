/* SPDX-License-Identifier: MIT */
/*
 * What the tests of reclamation share: frees that are counted, and threads that do what they are
 * told. Only x_test.c files include it.
 */
#ifndef PM_OBJECT_QSBR_TESTING_H
#define PM_OBJECT_QSBR_TESTING_H

#include "object/qsbr_internal.h"
#include "object/testing.h"

static _Atomic unsigned freed;

static inline void count_free(void *ptr)
{
    (void)ptr;
    atomic_fetch_add(&freed, 1);
}

static inline void defer(size_t bytes)
{
    pm_qsbr_defer(count_free, NULL, bytes);
}

/* A thread that does what it is told, one word at a time. */
enum word { ATTACH, DETACH, QUIESCENT, POLL, DEFER, PAUSE, RESUME, SAFEPOINT, ATTACH_OBJECTS, END };

struct servant {
    pthread_t thread;
    pthread_barrier_t turn;
    enum word word;
};

static inline void obey(enum word word)
{
    switch (word) {
    case ATTACH:
        require(pm_qsbr_attach());
        break;
    case DETACH:
        pm_qsbr_detach();
        break;
    case QUIESCENT:
        pm_qsbr_quiescent();
        break;
    case POLL:
        pm_qsbr_poll();
        break;
    case DEFER:
        defer(1);
        break;
    case PAUSE:
        pm_object_thread_pause();
        break;
    case RESUME:
        pm_object_thread_resume();
        break;
    case SAFEPOINT:
        pm_safepoint();
        break;
    case ATTACH_OBJECTS:
        require(pm_object_thread_attach());
        break;
    case END:
        break;
    }
}

static inline void *serve(void *arg)
{
    struct servant *servant = arg;
    for (;;) {
        pthread_barrier_wait(&servant->turn);
        enum word word = servant->word;
        obey(word);
        pthread_barrier_wait(&servant->turn);
        if (word == END)
            return NULL;
    }
}

static inline void tell(struct servant *servant, enum word word)
{
    servant->word = word;
    pthread_barrier_wait(&servant->turn);
    pthread_barrier_wait(&servant->turn);
}

static inline void hire(struct servant *servant)
{
    pthread_barrier_init(&servant->turn, NULL, 2);
    require(pthread_create(&servant->thread, NULL, serve, servant) == 0);
}

static inline void dismiss(struct servant *servant)
{
    tell(servant, END);
    pthread_join(servant->thread, NULL);
    pthread_barrier_destroy(&servant->turn);
}

static inline bool frees_all_but(unsigned before, unsigned expected)
{
    pm_qsbr_quiescent();
    pm_qsbr_poll();
    return freed - before == expected;
}

#endif
