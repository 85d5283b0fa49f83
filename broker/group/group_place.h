/* Where a group lives: the partition of __consumer_offsets its id hashes to (groups.md 1). */
#ifndef BROKER_GROUP_GROUP_PLACE_H
#define BROKER_GROUP_GROUP_PLACE_H

#include "client/base/str.h"

/* Java's String.hashCode: over UTF-16 units, so the UTF-8 of the wire is decoded first. Bytes that
 * are no UTF-8 count as U+FFFD each, as Java reads them. */
int32_t group_place_hash(struct str id);
/* count > 0. Utils.abs: that of INT32_MIN is 0. */
int32_t group_place(struct str id, uint32_t count);
/* Units of UTF-16: what Java calls the length of a string. */
uint32_t group_place_length(struct str text);

#endif
