/* One request and its answer (declared in peer.h, which it cannot do without). */
#include "client/peer.h"

void call_init(struct call *call, int16_t api)
{
    *call = (struct call){
        .api = api, .version_min = 0, .version_max = INT16_MAX, .version = -1, .correlation = -1};
    op_source_init(&call->done);
    list_init(&call->link);
}

void call_finish(struct call *call, enum err result)
{
    ASSERT(!call->finished && !list_linked(&call->link));
    call->peer = NULL;
    call->result = result;
    call->finished = true;
    op_wake(&call->done);
}

void call_cancel(struct call *call)
{
    struct peer *peer = call->peer;

    if (peer == NULL) return;
    if (list_linked(&call->link)) {
        list_remove(&call->link);
        peer->queued_count--;
    }
    for (uint32_t i = 0; i < peer->flight_count; i++) {
        struct peer_flight *flight = &peer->flights[(peer->flight_first + i) % PEER_IN_FLIGHT_MAX];

        if (flight->call == call) flight->call = NULL;
    }
    call->peer = NULL;
    call->result = ERR_CANCELED;
    call->finished = true;
}

void call_release(struct call *call)
{
    connection_frame_release(&call->frame);
}
