/* A message as one line of text, for traces, reports and people:
 *   produce_request{transactional_id=null acks=-1 ... topic_data=[{name="t" ...}]}
 * Fields that the version does not have are left out; payload shows its length only. */
#ifndef CLIENT_WIRE_WIRE_PRINT_H
#define CLIENT_WIRE_WIRE_PRINT_H

#include "client/base/text.h"
#include "client/wire/wire.h"

void wire_print(struct text *text, const struct wire_message *message, int16_t version,
                const void *value);

#endif
