#include "client/posix/posix_work.h"

#include "client/posix/posix_ready.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum err posix_inbox_init(struct posix_inbox *inbox)
{
    inbox->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (inbox->wake_fd < 0) return ERR_TOO_MANY;
    pthread_mutex_init(&inbox->mutex, NULL);
    list_init(&inbox->plain);
    list_init(&inbox->disk);
    atomic_init(&inbox->count, 0);
    atomic_init(&inbox->sleeping, false);
    return ERR_NONE;
}

void posix_inbox_deinit(struct posix_inbox *inbox)
{
    close(inbox->wake_fd);
    pthread_mutex_destroy(&inbox->mutex);
}

static void inbox_put(struct posix_inbox *inbox, struct list *done, struct world_req *req)
{
    uint64_t one = 1;

    pthread_mutex_lock(&inbox->mutex);
    list_push(done, &req->link);
    atomic_fetch_add(&inbox->count, 1);
    pthread_mutex_unlock(&inbox->mutex);
    /* Sequentially consistent with posix_inbox_sleep(): either it sees the count, or we see that it
     * sleeps. One writer wakes it; the exchange keeps the others from doing it again. */
    if (atomic_exchange(&inbox->sleeping, false)) {
        ssize_t n = write(inbox->wake_fd, &one, sizeof one);

        ASSERT(n == (ssize_t)sizeof one);
    }
}

void posix_inbox_drain(struct posix_inbox *inbox, struct list *plain, struct list *disk)
{
    if (atomic_load(&inbox->count) == 0) return;
    pthread_mutex_lock(&inbox->mutex);
    list_splice(plain, &inbox->plain);
    list_splice(disk, &inbox->disk);
    atomic_store(&inbox->count, 0);
    pthread_mutex_unlock(&inbox->mutex);
}

bool posix_inbox_sleep(struct posix_inbox *inbox)
{
    atomic_store(&inbox->sleeping, true);
    if (atomic_load(&inbox->count) == 0) return true;
    posix_inbox_awake(inbox);
    return false;
}

void posix_inbox_awake(struct posix_inbox *inbox)
{
    atomic_store(&inbox->sleeping, false);
}

static void *pool_thread(void *argument)
{
    struct posix_pool *pool = argument;

    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        struct list *link;
        struct world_req *req;

        while (!pool->quit && list_empty(&pool->queue)) {
            pool->idle++;
            pthread_cond_wait(&pool->wanted, &pool->mutex);
            pool->idle--;
        }
        if (pool->quit) break;
        link = pool->queue.next;
        list_remove(link);
        pthread_mutex_unlock(&pool->mutex);
        req = LIST_ENTRY(link, struct world_req, link);
        pool->run(pool->owner, req);
        inbox_put(pool->inbox, pool->done, req);
        pthread_mutex_lock(&pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

enum err posix_pool_init(struct posix_pool *pool, struct posix_inbox *inbox, struct list *done,
                         uint32_t threads, void *owner,
                         void (*run)(void *owner, struct world_req *req))
{
    sigset_t all;
    sigset_t before;
    int error = 0;

    ASSERT(threads >= 1 && threads <= POSIX_WORKERS_MAX);
    *pool = (struct posix_pool){.inbox = inbox, .done = done, .owner = owner, .run = run};
    list_init(&pool->queue);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wanted, NULL);
    /* Signals are the business of the thread that runs the loop. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    while (error == 0 && pool->threads_count < threads) {
        error = pthread_create(&pool->threads[pool->threads_count], NULL, pool_thread, pool);
        if (error == 0) pool->threads_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pool->threads_count > 0) return ERR_NONE; /* fewer than asked for will do */
    posix_pool_deinit(pool);
    return ERR_NO_MEMORY;
}

void posix_pool_deinit(struct posix_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    pool->quit = true;
    pthread_cond_broadcast(&pool->wanted);
    pthread_mutex_unlock(&pool->mutex);
    for (uint32_t i = 0; i < pool->threads_count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->wanted);
    pthread_mutex_destroy(&pool->mutex);
}

void posix_pool_submit(struct posix_pool *pool, struct world_req *req)
{
    bool wake;

    pthread_mutex_lock(&pool->mutex);
    list_push(&pool->queue, &req->link);
    wake = pool->idle > 0;
    pthread_mutex_unlock(&pool->mutex);
    if (wake) pthread_cond_signal(&pool->wanted);
}

void posix_pool_submit_quick(struct posix_pool *pool, struct world_req *req)
{
    if (!pool->in_turn) {
        posix_pool_submit(pool, req);
        return;
    }
    pthread_mutex_lock(&pool->mutex);
    list_push(&pool->queue, &req->link);
    pthread_mutex_unlock(&pool->mutex);
    pool->later = true;
}

void posix_pool_turn_begin(struct posix_pool *pool)
{
    pool->in_turn = true;
}

void posix_pool_turn_end(struct posix_pool *pool)
{
    bool wake;

    pool->in_turn = false;
    if (!pool->later) return;
    pool->later = false;
    pthread_mutex_lock(&pool->mutex);
    wake = pool->idle > 0 && !list_empty(&pool->queue);
    pthread_mutex_unlock(&pool->mutex);
    if (wake) pthread_cond_signal(&pool->wanted);
}
