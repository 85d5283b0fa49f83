/* Threads for what blocks: a pool takes requests from a list, runs one function on each, and hands
 * them back through a `posix_inbox`, whose owner is woken by an eventfd only when it sleeps.
 *
 * The lists hold the requests themselves (world_req.link), so neither needs memory: what bounds
 * them is the number of requests that the node owns. */
#ifndef CLIENT_POSIX_POSIX_WORK_H
#define CLIENT_POSIX_POSIX_WORK_H

#include "client/base/err.h"
#include "client/base/list.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct world_req;

/* Requests done by workers, on their way to the loop. */
struct posix_inbox {
    pthread_mutex_t mutex;
    struct list plain; /* guarded by mutex, as `disk`: have their result and need no more */
    struct list disk;  /* change the table of files when they come back */
    atomic_uint count; /* of both; read without the mutex as a hint */
    atomic_bool sleeping;
    int wake_fd; /* eventfd */
};

MUST_USE enum err posix_inbox_init(struct posix_inbox *inbox);
void posix_inbox_deinit(struct posix_inbox *inbox);
/* Moves all that is done to the tails of the two. */
void posix_inbox_drain(struct posix_inbox *inbox, struct list *plain, struct list *disk);
/* Around a sleep. False: something is done already, do not sleep. */
bool posix_inbox_sleep(struct posix_inbox *inbox);
void posix_inbox_awake(struct posix_inbox *inbox);

enum { POSIX_WORKERS_MAX = 8 };

struct posix_pool {
    pthread_mutex_t mutex;
    pthread_cond_t wanted;
    struct list queue; /* guarded by mutex, as `idle` and `quit` */
    uint32_t idle;
    bool quit;
    bool in_turn; /* of the loop's thread, as `later` */
    bool later;   /* work is queued for which nobody was woken */
    uint32_t threads_count;
    pthread_t threads[POSIX_WORKERS_MAX];
    struct posix_inbox *inbox;
    struct list *done; /* of the inbox */
    void *owner;
    void (*run)(void *owner, struct world_req *req); /* on a worker */
};

MUST_USE enum err posix_pool_init(struct posix_pool *pool, struct posix_inbox *inbox,
                                  struct list *done, uint32_t threads, void *owner,
                                  void (*run)(void *owner, struct world_req *req));
/* Waits for what runs; forgets what is queued. */
void posix_pool_deinit(struct posix_pool *pool);
void posix_pool_submit(struct posix_pool *pool, struct world_req *req);
/* Of work that takes hardly longer than to wake somebody: one worker is woken at the end of the
 * turn for all that it submitted. */
void posix_pool_submit_quick(struct posix_pool *pool, struct world_req *req);
void posix_pool_turn_begin(struct posix_pool *pool);
void posix_pool_turn_end(struct posix_pool *pool);

#endif
