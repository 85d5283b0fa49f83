/* The life of a broker in its cluster: registration, heartbeats, controlled shutdown (KIP-631,
 * replication.md 11). One op; the controller's answers decide when it is fenced and when it may
 * leave.
 *
 *   NOT_RUNNING --lifecycle_start--> STARTING      registering until the controller takes us
 *   STARTING    --registered------> RECOVERY       our registration is to be applied, logs opened
 *   RECOVERY    --unfenced--------> RUNNING        heartbeats every broker.heartbeat.interval.ms
 *   RUNNING     --lifecycle_leave-> LEAVING        heartbeats that want to shut down
 *   LEAVING     --told so, or the wait is over--> LEFT
 *
 * A broker that cannot heartbeat keeps serving; only the rules of the ISR fence it off. */
#ifndef BROKER_LIFECYCLE_H
#define BROKER_LIFECYCLE_H

#include "broker/channel.h"
#include "broker/config.h"
#include "broker/controller/loader.h"
#include "broker/features.h"
#include "broker/log/log_dir.h"
#include "wire/broker_heartbeat.h"
#include "wire/broker_registration.h"

enum lifecycle_state {
    LIFECYCLE_NOT_RUNNING,
    LIFECYCLE_STARTING,
    LIFECYCLE_RECOVERY,
    LIFECYCLE_RUNNING,
    LIFECYCLE_LEAVING,
    LIFECYCLE_LEFT,
};
enum { LIFECYCLE_STATES = LIFECYCLE_LEFT + 1 };

struct lifecycle {
    enum lifecycle_state state;
    enum err failed;          /* registration that can never work; state is LEFT */
    int64_t broker_epoch;     /* -1 until registered */
    struct op_source changed; /* state, epoch */
    /* set by the node */
    struct str cluster_id;
    struct log_dir **dirs; /* log.dirs */
    uint32_t dirs_count;
    int64_t previous_broker_epoch; /* if nothing of that incarnation is lost; -1 */
    uint16_t port;                 /* where our listener really is */
    /* private */
    struct env *env;
    const struct config *config;
    struct channel *channel;
    const struct loader *loader;
    struct uuid incarnation;
    bool ready; /* logs are open: unfence us */
    bool leave;
    bool abandoned;
    bool hurry; /* a heartbeat now */
    int64_t give_up_ns;
    int64_t heard_ns; /* the controller answered last, or the leave began */
    int64_t failures;
    struct op op;
    struct op_source wake;
    struct call call;
    struct arena arena;
    struct uuid dir_ids[CONFIG_LOG_DIRS_MAX];
    struct broker_registration_request registration;
    struct broker_registration_request_listener listener;
    struct broker_registration_request_feature features[FEATURES_COUNT];
    struct broker_registration_response registered;
    struct broker_heartbeat_request heartbeat;
    struct broker_heartbeat_response answer;
};

void lifecycle_init(struct lifecycle *lifecycle, struct env *env, const struct config *config,
                    struct channel *channel, const struct loader *loader, struct uuid incarnation);
/* The listener is open (port) and the metadata log flows. */
void lifecycle_start(struct lifecycle *lifecycle);
/* Everything this broker should have is open: asks to be unfenced. */
void lifecycle_ready(struct lifecycle *lifecycle);
/* Begins the controlled shutdown; LEFT at the latest after controlled.shutdown.max.wait.ms, and as
 * soon as no controller has answered for longer than an election takes: all nodes of a cluster may
 * be stopped at once, and then nobody is left to ask. */
void lifecycle_leave(struct lifecycle *lifecycle);
/* A log directory failed: the next heartbeat, which says so, now. */
void lifecycle_dir_failed(struct lifecycle *lifecycle);
/* Ends without the controller's leave. LEFT after the call in flight is over. */
void lifecycle_abandon(struct lifecycle *lifecycle);
void lifecycle_deinit(struct lifecycle *lifecycle); /* NOT_RUNNING or LEFT */

const char *lifecycle_state_name(enum lifecycle_state state);

#endif
