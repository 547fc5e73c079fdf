/* SPDX-License-Identifier: MIT */
/* See crew.h. A semaphore each way; whoever waits does nothing else. */
#include "crew.h"

#include "check.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>

struct member {
    pthread_t thread;
    bool alive;
    sem_t go, done;
    void (*work)(void *argument); /* NULL: end */
    void *argument;
};

static struct member members[crew_members + 1];

/* Signals may interrupt it: a fuzzer's alarm, a debugger. */
static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        continue;
}

static void *live(void *argument)
{
    struct member *member = argument;
    for (;;) {
        wait_for(&member->go);
        if (!member->work)
            return NULL;
        member->work(member->argument);
        sem_post(&member->done);
    }
}

static void start(struct member *member)
{
    sem_init(&member->go, 0, 0);
    sem_init(&member->done, 0, 0);
    int code = pthread_create(&member->thread, NULL, live, member);
    CHECK(code == 0, "pthread_create returned %d", code);
    member->alive = true;
}

void crew_do(unsigned number, void (*work)(void *argument), void *argument)
{
    struct member *member = &members[number];
    if (number == 0) {
        work(argument);
        return;
    }
    if (!member->alive)
        start(member);
    member->work = work;
    member->argument = argument;
    sem_post(&member->go);
    wait_for(&member->done);
}

void crew_end(unsigned number)
{
    struct member *member = &members[number];
    if (!member->alive)
        return;
    member->work = NULL;
    sem_post(&member->go);
    int code = pthread_join(member->thread, NULL);
    CHECK(code == 0, "pthread_join returned %d", code);
    sem_destroy(&member->go);
    sem_destroy(&member->done);
    member->alive = false;
}

void crew_end_all(void)
{
    for (unsigned number = 1; number <= crew_members; number++)
        crew_end(number);
}
