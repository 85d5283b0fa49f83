#include "broker/api/api.h"

const struct server_api api_broker[] = {
    {API_PRODUCE, api_produce_handle},
    {API_FETCH, api_fetch_handle},
    {API_LIST_OFFSETS, api_offsets_list_handle},
    {API_METADATA, api_metadata_handle},
    {API_OFFSET_COMMIT, api_group_offsets_commit_handle},
    {API_OFFSET_FETCH, api_group_offsets_fetch_handle},
    {API_FIND_COORDINATOR, api_coordinator_find_handle},
    {API_JOIN_GROUP, api_group_join_handle},
    {API_HEARTBEAT, api_group_heartbeat_handle},
    {API_LEAVE_GROUP, api_group_leave_handle},
    {API_SYNC_GROUP, api_group_sync_handle},
    {API_DESCRIBE_GROUPS, api_group_admin_describe_handle},
    {API_LIST_GROUPS, api_group_admin_list_handle},
    {API_API_VERSIONS, api_versions_handle},
    {API_CREATE_TOPICS, api_topics_handle},
    {API_DELETE_TOPICS, api_topics_handle},
    {API_INIT_PRODUCER_ID, api_producer_id_handle},
    {API_OFFSET_FOR_LEADER_EPOCH, api_offsets_epoch_handle},
    {API_DELETE_GROUPS, api_group_admin_delete_handle},
    {API_OFFSET_DELETE, api_group_offsets_delete_handle},
    {API_DESCRIBE_CLUSTER, api_metadata_cluster_handle},
};
const uint32_t api_broker_count = sizeof api_broker / sizeof api_broker[0];

const struct server_api api_controller[] = {
    {API_FETCH, api_quorum_fetch_handle},
    {API_API_VERSIONS, api_versions_handle},
    {API_CREATE_TOPICS, api_decide_handle},
    {API_DELETE_TOPICS, api_decide_handle},
    {API_VOTE, api_quorum_vote_handle},
    {API_BEGIN_QUORUM_EPOCH, api_quorum_begin_handle},
    {API_END_QUORUM_EPOCH, api_quorum_end_handle},
    {API_DESCRIBE_QUORUM, api_quorum_describe_handle},
    {API_ALTER_PARTITION, api_decide_handle},
    {API_BROKER_REGISTRATION, api_decide_handle},
    {API_BROKER_HEARTBEAT, api_decide_handle},
    {API_ALLOCATE_PRODUCER_IDS, api_decide_handle},
    {API_FETCH_SNAPSHOT, api_quorum_snapshot_handle},
};
const uint32_t api_controller_count = sizeof api_controller / sizeof api_controller[0];
