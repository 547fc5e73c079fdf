/* SPDX-License-Identifier: MIT */
/*
 * Intrusive doubly linked lists with a head. Not for concurrent use: the owner, or the holder of
 * the lock that guards the list, is alone with it.
 */
#ifndef PM_BASE_LIST_H
#define PM_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct pm_link {
    struct pm_link *next, *prev;
};

/* A head is a link that points at itself when the list is empty; a zeroed head is empty too. */
static inline void pm_list_init(struct pm_link *head)
{
    head->next = head->prev = head;
}

static inline bool pm_list_empty(const struct pm_link *head)
{
    return head->next == NULL || head->next == head;
}

static inline void pm_list_push(struct pm_link *head, struct pm_link *link)
{
    if (head->next == NULL)
        pm_list_init(head);
    link->next = head->next;
    link->prev = head;
    head->next->prev = link;
    head->next = link;
}

static inline void pm_list_push_back(struct pm_link *head, struct pm_link *link)
{
    if (head->next == NULL)
        pm_list_init(head);
    pm_list_push(head->prev, link);
}

static inline void pm_list_remove(struct pm_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->next = link->prev = NULL;
}

#define pm_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif
