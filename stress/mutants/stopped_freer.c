/* SPDX-License-Identifier: MIT */
/*
 * Trap 11: a freer that is preempted in the middle of a remote free must not stall the owner of the
 * pool. Seen as: a "busy" mark in a list of deferred frees, for whose end the owner waited a second
 * or more. Stands for: a worker thread that loses its processor while it frees what another made.
 *
 * The freer is stopped before each single instruction of its free of a block of the owner's pool.
 * At each such moment the owner allocates more than a pool holds and frees it again: it takes what
 * was freed, lets the pool float, gets it back. A stall is ended by alarm(2). Usage: stopped_freer
 */
#include "check.h"
#include "common.h"
#include "names.h"
#include "step.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <unistd.h>

enum {
    rounds = 12,
    block_bytes = 16,
    churn_blocks = 2100, /* more than a pool has, in all configurations */
    warm_up_blocks = 300,
    alarm_seconds = 100,
    skip_status = 77,
};

static sem_t stopped, go_on;
static void *block; /* handed over by the semaphores */
static bool round_ended;
static size_t stops;

static void free_it(void *argument)
{
    (void)argument;
    api_free(block);
}

static bool stop(size_t number, void *argument)
{
    (void)number;
    (void)argument;
    stops++;
    sem_post(&stopped);
    while (sem_wait(&go_on) != 0)
        continue;
    return true;
}

/* Of a size that the test does not use: it shall not adopt the owner's pool. */
static void get_a_heap(void)
{
    void *own[warm_up_blocks];
    for (int i = 0; i < warm_up_blocks; i++)
        own[i] = api_malloc(100);
    for (int i = 0; i < warm_up_blocks; i++)
        api_free(own[i]);
}

static void *free_step_by_step(void *argument)
{
    (void)argument;
    get_a_heap();
    for (int round = 0; round < rounds; round++) {
        while (sem_wait(&go_on) != 0)
            continue;
        step_through(free_it, stop, NULL);
        round_ended = true;
        sem_post(&stopped);
    }
    return NULL;
}

static void churn(void)
{
    static uint64_t *blocks[churn_blocks];
    for (uint64_t i = 0; i < churn_blocks; i++) {
        blocks[i] = api_malloc(block_bytes);
        CHECK(blocks[i], "no %d bytes", block_bytes);
        blocks[i][0] = blocks[i][1] = i;
    }
    for (uint64_t i = 0; i < churn_blocks; i++) {
        CHECK(blocks[i][0] == i && blocks[i][1] == i, "block %llu was handed out twice",
              (unsigned long long)i);
        api_free(blocks[i]);
    }
}

int main(void)
{
    pthread_t freer;
    if (!step_supported()) {
        puts("no thread can be stepped here");
        return skip_status;
    }
    alarm_guard(alarm_seconds);
    churn();
    int code = pthread_create(&freer, NULL, free_step_by_step, NULL);
    CHECK(code == 0, "pthread_create returned %d", code);
    for (int round = 0; round < rounds; round++) {
        block = api_malloc(block_bytes);
        round_ended = false;
        for (;;) {
            sem_post(&go_on);
            while (sem_wait(&stopped) != 0)
                continue;
            if (round_ended)
                break;
            churn();
        }
    }
    pthread_join(freer, NULL);
    churn();
    CHECK(stops >= (size_t)rounds * 10, "only %zu instructions in %d frees", stops, rounds);
    printf("stopped %zu times in %d remote frees; the owner made %zu pairs meanwhile\n", stops,
           rounds, stops * churn_blocks);
    return 0;
}
