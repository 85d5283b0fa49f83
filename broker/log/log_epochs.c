#include "broker/log/log_epochs.h"

#include "broker/log/log_text.h"
#include "client/base/assert.h"
#include "client/base/text.h"

#include <string.h>

void log_epochs_init(struct log_epochs *epochs, struct mem *mem)
{
    *epochs = (struct log_epochs){.mem = mem};
}

void log_epochs_deinit(struct log_epochs *epochs)
{
    mem_free(epochs->mem, epochs->entries, epochs->room * sizeof *epochs->entries);
    *epochs = (struct log_epochs){.mem = epochs->mem};
}

enum err log_epochs_reserve(struct log_epochs *epochs, uint32_t more)
{
    /* Doubles; the first few one by one, as there is one of these for each partition. */
    uint32_t room = epochs->count + more < 4 ? epochs->count + more : epochs->room;
    struct log_epoch *entries;

    ASSERT(more <= LOG_EPOCHS_MAX);
    if (epochs->count + more <= epochs->room) return ERR_NONE;
    if (epochs->room >= LOG_EPOCHS_MAX) return ERR_NONE; /* the oldest will go */
    while (room < epochs->count + more && room < LOG_EPOCHS_MAX)
        room = room < 4 ? 4 : room * 2;
    entries = mem_alloc(epochs->mem, room * sizeof *entries);
    if (entries == NULL) return ERR_NO_MEMORY;
    if (epochs->count > 0) memcpy(entries, epochs->entries, epochs->count * sizeof *entries);
    mem_free(epochs->mem, epochs->entries, epochs->room * sizeof *entries);
    epochs->entries = entries;
    epochs->room = room;
    return ERR_NONE;
}

bool log_epochs_assign(struct log_epochs *epochs, int32_t epoch, int64_t start_offset)
{
    const struct log_epoch *last;

    ASSERT(epoch >= 0);
    ASSERT(start_offset >= 0);
    if (epochs->count > 0) {
        last = &epochs->entries[epochs->count - 1];
        if (epoch == last->epoch && start_offset >= last->start_offset) return false;
    }
    while (epochs->count > 0) {
        last = &epochs->entries[epochs->count - 1];
        if (last->epoch < epoch && last->start_offset < start_offset) break;
        epochs->count--;
    }
    if (epochs->count == LOG_EPOCHS_MAX) {
        memmove(epochs->entries, epochs->entries + 1,
                (epochs->count - 1) * sizeof *epochs->entries);
        epochs->count--;
    }
    ASSERT(epochs->count < epochs->room);
    epochs->entries[epochs->count++] = (struct log_epoch){epoch, start_offset};
    return true;
}

bool log_epochs_found(struct log_epochs *epochs, int32_t epoch, int64_t offset)
{
    struct log_epoch *entries = epochs->entries;
    uint32_t at = epochs->count, behind;

    ASSERT(offset >= 0);
    if (epoch < 0) return false; /* a batch that says none */
    while (at > 0 && entries[at - 1].start_offset > offset)
        at--;
    if (at > 0 && (entries[at - 1].epoch >= epoch || entries[at - 1].start_offset == offset))
        return false;
    behind = at; /* the first that stays */
    while (behind < epochs->count && entries[behind].epoch <= epoch)
        behind++;
    if (behind == at && epochs->count == LOG_EPOCHS_MAX) return false;
    ASSERT(behind > at || epochs->count < epochs->room);
    memmove(entries + at + 1, entries + behind, (epochs->count - behind) * sizeof *entries);
    epochs->count = epochs->count - behind + at + 1;
    entries[at] = (struct log_epoch){epoch, offset};
    return true;
}

struct log_epoch_end log_epochs_end_for(const struct log_epochs *epochs, int32_t epoch,
                                        int64_t log_end)
{
    const struct log_epoch *entries = epochs->entries;

    if (epoch < 0 || epochs->count == 0) return (struct log_epoch_end){-1, -1};
    if (epoch == entries[epochs->count - 1].epoch) return (struct log_epoch_end){epoch, log_end};
    if (epoch > entries[epochs->count - 1].epoch) return (struct log_epoch_end){-1, -1};
    if (epoch < entries[0].epoch) return (struct log_epoch_end){epoch, entries[0].start_offset};
    for (uint32_t i = epochs->count - 1;; i--) {
        ASSERT(i > 0);
        if (entries[i - 1].epoch <= epoch) {
            return (struct log_epoch_end){entries[i - 1].epoch, entries[i].start_offset};
        }
    }
}

int32_t log_epochs_at(const struct log_epochs *epochs, int64_t offset)
{
    for (uint32_t i = epochs->count; i > 0; i--) {
        if (epochs->entries[i - 1].start_offset <= offset) return epochs->entries[i - 1].epoch;
    }
    return -1;
}

bool log_epochs_begins(const struct log_epochs *epochs, int32_t epoch, int64_t offset)
{
    uint32_t low = 0, high = epochs->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (epochs->entries[middle].epoch < epoch) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < epochs->count && epochs->entries[low].epoch == epoch &&
           epochs->entries[low].start_offset == offset;
}

int32_t log_epochs_latest(const struct log_epochs *epochs)
{
    return epochs->count == 0 ? -1 : epochs->entries[epochs->count - 1].epoch;
}

bool log_epochs_cut_end(struct log_epochs *epochs, int64_t log_end)
{
    uint32_t before = epochs->count;

    while (epochs->count > 0 && epochs->entries[epochs->count - 1].start_offset >= log_end)
        epochs->count--;
    return epochs->count != before;
}

bool log_epochs_cut_start(struct log_epochs *epochs, int64_t log_start)
{
    uint32_t below = 0;

    while (below < epochs->count && epochs->entries[below].start_offset < log_start)
        below++;
    if (below < 2) return false;
    epochs->count -= below - 1;
    memmove(epochs->entries, epochs->entries + below - 1, epochs->count * sizeof *epochs->entries);
    return true;
}

/* "2147483647 9223372036854775807\n" and the two lines of the head. */
size_t log_epochs_text_max(uint32_t count)
{
    return 32 + (size_t)count * 32;
}

size_t log_epochs_print(const struct log_epochs *epochs, char *text, size_t size)
{
    struct text out;

    text_init(&out, text, size);
    text_format(&out, "0\n%u\n", epochs->count);
    for (uint32_t i = 0; i < epochs->count; i++) {
        text_format(&out, "%d %D\n", epochs->entries[i].epoch, epochs->entries[i].start_offset);
    }
    ASSERT(!out.truncated);
    return text_view(&out).length;
}

enum err log_epochs_parse(struct log_epochs *epochs, struct str text)
{
    struct log_text lines;
    struct log_epochs read;
    struct str word;
    enum err err = log_text_open(&lines, text);

    if (err != ERR_NONE) return err;
    if (lines.count > LOG_EPOCHS_MAX) return ERR_DAMAGED;
    log_epochs_init(&read, epochs->mem);
    err = log_epochs_reserve(&read, lines.count == 0 ? 1 : lines.count);
    if (err != ERR_NONE) return err;
    while ((err = log_text_next(&lines)) == ERR_NONE) {
        int64_t epoch, start;
        const struct log_epoch *last = read.count > 0 ? &read.entries[read.count - 1] : NULL;

        if (!log_text_word(&lines, &word) || !text_parse_i64(word, &epoch) ||
            !log_text_word(&lines, &word) || !text_parse_i64(word, &start) ||
            log_text_word(&lines, &word) || epoch < 0 || epoch > INT32_MAX || start < 0 ||
            (last != NULL && (last->epoch >= epoch || last->start_offset >= start))) {
            err = ERR_DAMAGED;
            break;
        }
        read.entries[read.count++] = (struct log_epoch){(int32_t)epoch, start};
    }
    if (err != ERR_EOF) {
        log_epochs_deinit(&read);
        return err;
    }
    log_epochs_deinit(epochs);
    *epochs = read;
    return ERR_NONE;
}
