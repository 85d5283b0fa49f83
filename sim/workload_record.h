/* Which record is this? Every record of the workload has a name that no other one has, and tells it
 * to who reads it: in the first eight bytes of its value; a tombstone in a header. */
#ifndef SIM_WORKLOAD_RECORD_H
#define SIM_WORKLOAD_RECORD_H

#include "client/producer.h"

/* One record that is under way. */
struct workload_record {
    struct producer_record record; /* first: the pool knows it by its address */
    struct record_header header;   /* of a tombstone */
    uint8_t key[8];
    uint8_t name[8];
    uint8_t value[];
};

/* There is room for `length` bytes in `value`, and for 8 at least. */
void workload_record_value(struct workload_record *record, uint32_t length, uint64_t name);
void workload_record_tombstone(struct workload_record *record, uint64_t name);
void workload_record_key(struct workload_record *record, uint64_t key);
/* Its name from its bytes, with CHECK_TOMBSTONE when it has no value; -1: none of ours. */
int64_t workload_record_name(const struct record *record);

#endif
