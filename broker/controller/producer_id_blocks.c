/* Blocks of producer ids for brokers: each is given out once over the whole history (K26). */
#include "broker/controller/controller_parts.h"

enum { PRODUCER_IDS_BLOCK = 1000 };

enum err producer_id_blocks_allocate(struct controller *c,
                                     const struct allocate_producer_ids_request *request,
                                     struct allocate_producer_ids_response *response)
{
    int64_t first = c->image.next_producer_id;
    struct metadata_record *record;
    struct records records;
    enum err err = cluster_control_check_epoch(c, request->broker_id, request->broker_epoch);

    if (err == ERR_NONE && first > INT64_MAX - PRODUCER_IDS_BLOCK) err = ERR_UNKNOWN_SERVER_ERROR;
    response->error_code = (int16_t)err;
    if (err != ERR_NONE) return ERR_NONE;
    records_init(&records, &c->arena);
    record = records_add(&records, RECORD_PRODUCER_IDS);
    if (record == NULL) return records.error;
    record->producer_ids.broker_id = request->broker_id;
    record->producer_ids.broker_epoch = request->broker_epoch;
    record->producer_ids.next_producer_id = first + PRODUCER_IDS_BLOCK;
    err = controller_write(c, &records, CONTROLLER_ATOMIC);
    if (err != ERR_NONE) return err;
    TRACE(c->env->world, CONTROLLER_PRODUCER_IDS, request->broker_id, first, PRODUCER_IDS_BLOCK,
          c->written);
    response->producer_id_start = first;
    response->producer_id_len = PRODUCER_IDS_BLOCK;
    return ERR_NONE;
}
