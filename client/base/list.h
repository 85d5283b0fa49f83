/* Intrusive doubly linked list. A head is a link that points to itself when empty; so does a link
 * that is in no list, which makes list_remove() harmless on it. */
#ifndef CLIENT_BASE_LIST_H
#define CLIENT_BASE_LIST_H

#include "client/base/assert.h"

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *head)
{
    head->next = head;
    head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline bool list_linked(const struct list *link)
{
    return link->next != link;
}

/* Inserts before `place`; with place == head that is the tail. */
static inline void list_push(struct list *place, struct list *link)
{
    ASSERT(!list_linked(link));
    link->prev = place->prev;
    link->next = place;
    place->prev->next = link;
    place->prev = link;
}

static inline void list_push_front(struct list *head, struct list *link)
{
    list_push(head->next, link);
}

static inline void list_remove(struct list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/* First link, removed; NULL when empty. */
static inline struct list *list_pop(struct list *head)
{
    struct list *first = head->next;

    if (first == head) return NULL;
    list_remove(first);
    return first;
}

/* Moves all of `from` to the tail of `to`. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_empty(from)) return;
    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev->next = from->next;
    to->prev = from->prev;
    list_init(from);
}

#define LIST_ENTRY(link, type, member) CONTAINER_OF(link, type, member)

#define LIST_FOR_EACH(link, head) \
    for (struct list *link = (head)->next; link != (head); link = link->next)

/* The body may remove `link` (and only it). */
#define LIST_FOR_EACH_SAFE(link, after, head)                                   \
    for (struct list *link = (head)->next, *after = link->next; link != (head); \
         link = after, after = link->next)

#endif
