#include "broker/api/api.h"

const struct server_api api_broker[] = {
    {API_PRODUCE, api_produce_handle},
    {API_FETCH, api_fetch_handle},
    {API_LIST_OFFSETS, api_offsets_list_handle},
    {API_METADATA, api_metadata_handle},
    {API_FIND_COORDINATOR, api_metadata_coordinator_handle},
    {API_API_VERSIONS, api_versions_handle},
    {API_CREATE_TOPICS, api_topics_handle},
    {API_DELETE_TOPICS, api_topics_handle},
    {API_INIT_PRODUCER_ID, api_producer_id_handle},
    {API_OFFSET_FOR_LEADER_EPOCH, api_offsets_epoch_handle},
    {API_DELETE_RECORDS, api_records_handle},
    {API_DESCRIBE_CONFIGS, api_configs_handle},
    {API_DESCRIBE_LOG_DIRS, api_log_dirs_handle},
    {API_ALTER_CONFIGS, api_forward_handle},
    {API_CREATE_PARTITIONS, api_forward_handle},
    {API_ELECT_LEADERS, api_forward_handle},
    {API_INCREMENTAL_ALTER_CONFIGS, api_forward_handle},
    {API_DESCRIBE_QUORUM, api_forward_handle},
    {API_DESCRIBE_CLUSTER, api_metadata_cluster_handle},
};
const uint32_t api_broker_count = sizeof api_broker / sizeof api_broker[0];

const struct server_api api_controller[] = {
    {API_FETCH, api_quorum_fetch_handle},
    {API_API_VERSIONS, api_versions_handle},
    {API_CREATE_TOPICS, api_decide_handle},
    {API_DELETE_TOPICS, api_decide_handle},
    {API_ALTER_CONFIGS, api_decide_handle},
    {API_CREATE_PARTITIONS, api_decide_handle},
    {API_ELECT_LEADERS, api_decide_handle},
    {API_INCREMENTAL_ALTER_CONFIGS, api_decide_handle},
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
