/* Between the files of this folder; nobody else includes it. */
#ifndef BROKER_REPLICA_MANAGER_INTERNAL_H
#define BROKER_REPLICA_MANAGER_INTERNAL_H

#include "broker/config.h"
#include "broker/controller/image.h"
#include "broker/replica/manager.h"

/* ---- partition.c */
/* The metadata wants another role, and the log is open and quiet. */
bool partition_may_settle(const struct partition *part);
void partition_settle(struct partition *part);
/* Back inside the log and not above `at_most`: after a cut. */
void partition_clamp_high_watermark(struct partition *part, int64_t at_most);
void partition_begin_high_watermark(struct partition *part); /* from the checkpoint */
struct isr_facts partition_facts(const struct partition *part);
void partition_wake_readers(struct partition *part);
/* A leader's log end may have moved: the in-sync set is told once per move. */
void partition_note_end(struct partition *part);
/* The log start moved: readers are told, and who deletes, and the leader by the next fetch. */
void partition_note_start(struct partition *part);
void partition_trace_isr(const struct partition *part);
/* The pending change of part->isr goes to the controller. */
void partition_alter(struct partition *part);

/* Gives its role up, for as long as its log is in nobody's hands. */
void partition_step_down(struct partition *part);

/* ---- partition_life.c */
/* No role, no append, no cut, until partition_free_hold(): awaited by the move of the replica, and
 * said in part->move. */
void partition_hold(struct partition *part);
void partition_free_hold(struct partition *part);
/* part->log is another one with the same content. */
void partition_moved(struct partition *part, struct log *old);

/* ---- manager.c */
/* The log of this partition is open, or will not be. */
void manager_opened(struct manager *manager, struct partition *part);
/* It has ended: the struct goes back. */
void manager_forget(struct partition *part);
/* A log of this name was closed or deleted. */
void manager_name_freed(struct manager *manager);
/* No other partition has a log of this name in the directory. */
bool manager_name_free(const struct manager *manager, const struct partition *part);
struct log_dir *manager_dir(const struct manager *manager, const struct partition *part);
/* Of the topic; until its settings change. */
const struct log_config *manager_log_config(const struct manager *manager,
                                            const struct partition *part);
int32_t manager_min_isr(const struct manager *manager, struct str topic);
/* Creates topic and partition as far as they are not there. `promised`: in sync by metadata,
 * so its log may not be begun anew when a directory is missing. */
MUST_USE enum err manager_host(struct manager *manager, struct uuid topic_id, struct str name,
                               int32_t index, bool promised, struct partition **part);
/* The replica leaves: out of the lookup at once, its log deleted. */
void manager_unhost(struct manager *manager, struct partition *part);
struct manager_topic *manager_topic(const struct manager *manager, struct uuid topic_id);
/* It is deleted: its name is free for another. */
void manager_topic_deleted(struct manager *manager, struct manager_topic *topic);
/* One leader less is followed: who waited for its place begins. */
void manager_fetcher_ended(struct manager *manager);
void manager_check_stopped(struct manager *manager);
void manager_timers_start(struct manager *manager);

/* ---- manager_alter.c */
MUST_USE enum err manager_alter_init(struct manager *manager);
void manager_alter_start(struct manager *manager);
void manager_alter_stop(struct manager *manager);
bool manager_alter_ended(const struct manager *manager);
void manager_alter_deinit(struct manager *manager);

/* ---- manager_lost.c */
MUST_USE enum err manager_lost_init(struct manager *manager);
void manager_lost_start(struct manager *manager);
void manager_lost_stop(struct manager *manager);
bool manager_lost_ended(const struct manager *manager);
void manager_lost_deinit(struct manager *manager);
/* A replica went offline or is damaged, or the metadata changed of one that is. */
void manager_lost_look(struct manager *manager);

/* ---- manager_retain.c */
void manager_retain_start(struct manager *manager);
void manager_retain_stop(struct manager *manager);
bool manager_retain_ended(const struct manager *manager);

/* ---- manager_move.c */
MUST_USE enum err manager_move_init(struct manager *manager);
void manager_move_start(struct manager *manager);
void manager_move_wake(struct manager *manager); /* a stop, or a directory that has failed */
bool manager_move_ended(const struct manager *manager);
void manager_move_deinit(struct manager *manager);
/* It is held, leaves, or has another role. */
void manager_move_look(struct partition *part);

/* ---- manager_clean.c */
void manager_clean_start(struct manager *manager);
void manager_clean_stop(struct manager *manager);
bool manager_clean_ended(const struct manager *manager);

/* ---- manager_scrub.c */
void manager_scrub_start(struct manager *manager);
void manager_scrub_stop(struct manager *manager);
bool manager_scrub_ended(const struct manager *manager);
/* It leaves: no scrub stands in it any more. */
void manager_scrub_left(struct partition *part);

/* ---- manager_quota.c */
/* Which of its traffic counts against the quotas, by the topic's settings. */
void manager_throttle(struct partition *part);
/* Says that a quota holds it back; `replica`: who gets nothing. */
void manager_throttled(struct partition *part, int32_t replica, const struct quota *quota);
/* As a leader, what counts. */
void manager_served(struct manager *manager, uint64_t bytes);
void manager_quotas(struct manager *manager);
void manager_quota_start(struct manager *manager);
void manager_quota_stop(struct manager *manager);
bool manager_quota_ended(const struct manager *manager);

/* ---- manager_stray.c */
/* Starts to rename; NULL: no memory, or a name that is too long. */
enum manager_stray_kind {
    MANAGER_STRAY_AWAY, /* T-P is none of ours */
    MANAGER_STRAY_TAKE, /* T-P.I-moved takes the name T-P (log_move.h) */
    MANAGER_STRAY_DROP, /* T-P.I-moved is not needed: the next start unlinks it */
};
struct manager_stray *manager_stray_begin(struct manager *manager, struct log_dir *dir,
                                          struct str topic, int32_t index,
                                          enum manager_stray_kind kind);
void manager_stray_end(struct manager *manager, struct manager_stray *stray);
/* At the start: every directory that no replica claims. */
void manager_stray_start(struct manager *manager);

/* ---- manager_apply.c */
void manager_retry_fetchers(struct manager *manager);
/* Those that found no memory are tried again. */
void manager_retry_replicas(struct manager *manager);
/* By metadata a topic of that name has its partition here. */
bool manager_assigned(const struct manager *manager, struct str name, int32_t index);

#endif
