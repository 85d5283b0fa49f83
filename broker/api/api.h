/* The handlers of both listeners. Each file owns the requests of its name; a handler is reached
 * through the tables at the end of api.c only. */
#ifndef BROKER_API_API_H
#define BROKER_API_API_H

#include "broker/api/server.h"
#include "broker/controller/image.h"

/* What each listener serves; each key is in the api table of client/wire for it. */
extern const struct server_api api_broker[];
extern const uint32_t api_broker_count;
extern const struct server_api api_controller[];
extern const uint32_t api_controller_count;

/* api_versions.c */
void api_versions_handle(struct request *request);
/* api_metadata.c */
void api_metadata_handle(struct request *request);
void api_metadata_cluster_handle(struct request *request);
bool api_metadata_name_ok(struct str name);
MUST_USE enum err api_metadata_ids(struct request *request, struct image_ids from, int32_t **to,
                                   uint32_t *count);
/* As clients are told: -1 and LEADER_NOT_AVAILABLE, when its broker is not there. */
MUST_USE enum err api_metadata_leader(struct request *request, const struct image_partition *part,
                                      int32_t *leader);
/* Of the replicas those whose brokers are not there. */
MUST_USE enum err api_metadata_offline(struct request *request, struct image_ids replicas,
                                       int32_t **to, uint32_t *count);

void api_partitions_handle(struct request *request);
/* The endpoint of a broker that clients of this listener use; NULL: it has none. */
const struct image_endpoint *api_metadata_endpoint(const struct request *request,
                                                   const struct image_broker *broker);
/* api_topics.c: what a broker passes on to the active controller */
void api_topics_handle(struct request *request);
enum { API_TOPICS_AUTO_MAX = 16 };
void api_topics_init(struct node *node);
/* Asks the controller for a topic that a client named, unless that is under way; at most
 * API_TOPICS_AUTO_MAX at once. The client sees what came of it when it asks again. */
void api_topics_auto_create(struct node *node, struct str name);
/* api_forward.c: likewise, for settings, partitions, elections, the state of the quorum */
void api_forward_handle(struct request *request);
/* api_records.c, api_log_dirs.c, api_configs.c */
void api_records_handle(struct request *request);
void api_log_dirs_handle(struct request *request);
void api_log_dirs_alter_handle(struct request *request);
void api_configs_handle(struct request *request);
/* Topics that only the brokers write to. */
bool api_topics_internal(struct str name);
/* api_decide.c: what the active controller decides */
void api_decide_handle(struct request *request);
/* api_quorum.c: what the members of the quorum ask each other */
void api_quorum_vote_handle(struct request *request);
void api_quorum_begin_handle(struct request *request);
void api_quorum_end_handle(struct request *request);
void api_quorum_fetch_handle(struct request *request);
void api_quorum_describe_handle(struct request *request);
void api_quorum_snapshot_handle(struct request *request);
/* api_voters.c: who votes in the quorum */
void api_voters_add_handle(struct request *request);
void api_voters_remove_handle(struct request *request);
void api_voters_update_handle(struct request *request);
/* api_produce.c, api_fetch.c, api_offsets.c */
void api_produce_handle(struct request *request);
void api_fetch_handle(struct request *request);
void api_offsets_list_handle(struct request *request);
void api_offsets_epoch_handle(struct request *request);
/* api_hints.c: the brokers that an answer names as leaders, each once (KIP-951). Text is borrowed
 * from the image: the answer is encoded in the same turn. */
enum { API_HINTS_MAX = 16 }; /* what is beyond is found by Metadata */
struct api_hint {
    int32_t id;
    struct str host;
    int32_t port;
    struct str rack;
};
struct api_hints {
    uint32_t count;
    struct api_hint items[API_HINTS_MAX];
};
void api_hints_add(struct api_hints *hints, const struct request *request, int32_t leader);
/* api_markers.c */
void api_markers_handle(struct request *request);
/* api_producer_id.c */
void api_producer_id_handle(struct request *request);

/* api_coordinator.c */
void api_coordinator_find_handle(struct request *request);
/* api_consumer_group.c */
void api_consumer_group_heartbeat_handle(struct request *request);
void api_consumer_group_describe_handle(struct request *request);
/* api_group.c, api_group_offsets.c, api_group_admin.c */
/* As Java prints an InetAddress: "/10.0.0.1". */
struct str api_group_client_host(struct request *request);
void api_group_join_handle(struct request *request);
void api_group_sync_handle(struct request *request);
void api_group_heartbeat_handle(struct request *request);
void api_group_leave_handle(struct request *request);
void api_group_offsets_commit_handle(struct request *request);
void api_group_offsets_fetch_handle(struct request *request);
void api_group_offsets_delete_handle(struct request *request);
void api_group_admin_list_handle(struct request *request);
void api_group_admin_describe_handle(struct request *request);
void api_group_admin_delete_handle(struct request *request);

#endif
