#include "broker/replica/quota.h"

#include "client/base/text.h"
#include "client/world/world.h"

void quota_init(struct quota *quota)
{
    *quota = (struct quota){.rate = INT64_MAX};
}

static int64_t window_ns(void)
{
    return (int64_t)QUOTA_WINDOW_MS * NS_PER_MS;
}

static bool counts(const struct quota_window *window, int64_t now_ns)
{
    return now_ns - window->start_ns < QUOTA_WINDOWS * window_ns();
}

void quota_note(struct quota *quota, int64_t now_ns, uint64_t bytes)
{
    struct quota_window *newest = &quota->windows[quota->newest];

    if (quota->count == 0 || now_ns - newest->start_ns >= window_ns()) {
        if (quota->count > 0) quota->newest = (quota->newest + 1) % QUOTA_WINDOWS;
        if (quota->count < QUOTA_WINDOWS) quota->count++;
        newest = &quota->windows[quota->newest];
        *newest = (struct quota_window){.start_ns = now_ns};
    }
    newest->bytes += (int64_t)bytes;
}

/* The mean since the oldest window that counts began, and at least over one whole window. */
int64_t quota_measure(const struct quota *quota, int64_t now_ns)
{
    int64_t oldest_ns = now_ns;
    int64_t bytes = 0;
    int64_t elapsed_ms;

    for (uint32_t i = 0; i < quota->count; i++) {
        const struct quota_window *window = &quota->windows[i];

        if (!counts(window, now_ns)) continue;
        bytes += window->bytes;
        if (window->start_ns < oldest_ns) oldest_ns = window->start_ns;
    }
    elapsed_ms = (now_ns - oldest_ns) / NS_PER_MS;
    if (elapsed_ms < QUOTA_WINDOW_MS) elapsed_ms = QUOTA_WINDOW_MS;
    return bytes > INT64_MAX / 1000 ? bytes / elapsed_ms * 1000 : bytes * 1000 / elapsed_ms;
}

bool quota_exceeded(const struct quota *quota, int64_t now_ns)
{
    return quota->rate != INT64_MAX && quota_measure(quota, now_ns) > quota->rate;
}

/* The first window that ends to count after `now_ns`; INT64_MAX: none counts. */
static int64_t next_end(const struct quota *quota, int64_t now_ns)
{
    int64_t end_ns = INT64_MAX;

    for (uint32_t i = 0; i < quota->count; i++) {
        int64_t ends = quota->windows[i].start_ns + QUOTA_WINDOWS * window_ns();

        if (ends > now_ns && ends < end_ns) end_ns = ends;
    }
    return end_ns;
}

/* As long as the same windows count the mean falls; without the oldest it may be higher again. */
int64_t quota_free_at(const struct quota *quota, int64_t now_ns)
{
    while (quota_exceeded(quota, now_ns)) {
        int64_t end_ns = next_end(quota, now_ns);
        int64_t low = now_ns, high = end_ns - 1;

        ASSERT(end_ns < INT64_MAX); /* what counts ends */
        now_ns = end_ns;
        if (quota_exceeded(quota, high)) continue;
        while (high - low > 1) {
            int64_t middle = low + (high - low) / 2;

            if (quota_exceeded(quota, middle)) {
                low = middle;
            } else {
                high = middle;
            }
        }
        return high;
    }
    return now_ns;
}

/* ---- lists ----------------------------------------------------------------------------------- */

/* The next "partition:broker"; false: the list is over or malformed, which `wrong` tells. */
static bool next_entry(struct str *rest, int64_t *partition, int64_t *broker, bool *wrong)
{
    uint32_t length = 0, colon = 0;
    struct str entry;

    *wrong = false;
    if (rest->length == 0) return false;
    while (length < rest->length && rest->data[length] != ',')
        length++;
    entry = (struct str){rest->data, length};
    *rest = length < rest->length ? (struct str){rest->data + length + 1, rest->length - length - 1}
                                  : (struct str){rest->data + length, 0};
    while (colon < entry.length && entry.data[colon] != ':')
        colon++;
    *wrong =
        colon == entry.length || !text_parse_i64((struct str){entry.data, colon}, partition) ||
        !text_parse_i64((struct str){entry.data + colon + 1, entry.length - colon - 1}, broker) ||
        *partition < 0 || *broker < 0 || *partition > INT32_MAX || *broker > INT32_MAX;
    return !*wrong;
}

bool quota_names(struct str list, int32_t partition, int32_t broker)
{
    int64_t listed_partition, listed_broker;
    bool wrong;

    if (str_equal(list, STR("*"))) return true;
    while (next_entry(&list, &listed_partition, &listed_broker, &wrong))
        if (listed_partition == partition && listed_broker == broker) return true;
    return false;
}

const char *quota_check_list(struct str list)
{
    int64_t partition, broker;
    bool wrong = false;

    if (list.length == 0 || str_equal(list, STR("*"))) return NULL;
    if (list.data[list.length - 1] == ',') wrong = true;
    while (!wrong && next_entry(&list, &partition, &broker, &wrong))
        continue;
    return wrong ? "Not a list of partition:broker,... and not *." : NULL;
}
