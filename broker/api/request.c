#include "broker/api/request.h"

#include "broker/api/server.h"

#include <string.h>

void *request_alloc(struct request *request, size_t size)
{
    return arena_zalloc(&request->arena, size);
}

enum err request_decode(struct request *request, void *body)
{
    const struct api_entry *entry = api_find(request->header.request_api_key);
    enum err err = entry->request->decode(&request->reader, request->header.request_api_version,
                                          &request->arena, body);

    if (err == ERR_NONE) return ERR_NONE;
    if (err == ERR_NO_MEMORY) { /* more than the arena may hold: refused, not hostile */
        request_abandon(request, err);
        return err;
    }
    request->session->server->hostile++;
    connection_hostile(&request->session->connection, request->header.request_api_key,
                       request->header.request_api_version, err, STR("undecodable body"));
    request->answered = true;
    request_finish(request);
    return err;
}

enum err request_hold(struct request *request, struct buf *buf)
{
    if (request->holds_count == request->holds_max) {
        uint32_t max = request->holds_max == 0 ? 8 : request->holds_max * 2;
        struct buf **holds = arena_alloc(&request->arena, max * sizeof *holds);

        if (holds == NULL) return ERR_NO_MEMORY;
        if (request->holds_count > 0) {
            memcpy(holds, request->holds, request->holds_count * sizeof *holds);
        }
        request->holds = holds;
        request->holds_max = max;
    }
    request->holds[request->holds_count++] = buf_ref(buf);
    return ERR_NONE;
}

void request_drop_holds(struct request *request)
{
    for (uint32_t i = 0; i < request->holds_count; i++)
        buf_unref(request->holds[i]);
    request->holds_count = 0;
}

static enum err request_encode(struct request *request, const void *response)
{
    const struct api_entry *entry = api_find(request->header.request_api_key);
    struct connection *connection = &request->session->connection;
    struct wire_size size = entry->response->measure(response, request->version);
    size_t head = api_response_overhead(entry->key, request->version) + size.bytes - size.payload;
    struct connection_out *out =
        connection_out_create(connection, head, size.slices + 1, request->holds_count);
    struct wire_writer writer;
    struct wire_frame frame;
    enum err err;

    if (out == NULL) return ERR_NO_MEMORY;
    wire_writer_init(&writer, out->head, out->head_size);
    wire_writer_gather(&writer, out->slices, out->slices_max);
    frame =
        api_begin_response(&writer, entry->key, request->version, request->header.correlation_id);
    err = entry->response->encode(&writer, request->version, response);
    wire_frame_end(&writer, frame);
    if (err == ERR_NONE) err = wire_writer_finish(&writer);
    if (err != ERR_NONE) {
        connection_out_destroy(connection, out);
        return err;
    }
    for (uint32_t i = 0; i < request->holds_count; i++) {
        connection_out_hold(out, request->holds[i]);
    }
    out->bytes = head + size.payload; /* what session_drainable() asks room for */
    request->out = out;
    request->out_slices = writer.slices_count;
    TRACE(request->env->world, RPC_ANSWERED, (int64_t)connection->net.id,
          request->header.correlation_id, entry->key, (int64_t)(head + size.payload));
    return ERR_NONE;
}

void request_reply(struct request *request, const void *response)
{
    struct connection *connection = &request->session->connection;
    enum err err;

    ASSERT(!request->answered);
    request->answered = true;
    if (connection->state == CONNECTION_OPEN) {
        err = request_encode(request, response);
        if (err != ERR_NONE) connection_close(connection, err);
    }
    request_drop_holds(request);
    op_resume(&request->session->op);
}

void request_reply_nothing(struct request *request, bool close)
{
    ASSERT(!request->answered);
    request->answered = true;
    request_drop_holds(request);
    if (close) connection_finish(&request->session->connection);
    op_resume(&request->session->op);
}

void request_finish(struct request *request)
{
    ASSERT(request->answered);
    ASSERT(!request->finished);
    request->finished = true;
    op_resume(&request->session->op);
}

void request_answer(struct request *request, const void *response)
{
    request_reply(request, response);
    request_finish(request);
}

void request_abandon(struct request *request, enum err err)
{
    if (!request->answered) {
        request->answered = true;
        connection_close(&request->session->connection, err);
    }
    request_drop_holds(request);
    request_finish(request);
}
