/* A controller makes itself known to the active one (KIP-919): who it is, where it is found, which
 * features it knows. A level of a feature goes up only when every registered controller knows it.
 *
 * Looks at the committed image: as long as that does not have this incarnation it asks, the active
 * controller over the quorum's connection, or itself. */
#ifndef BROKER_REGISTRAR_H
#define BROKER_REGISTRAR_H

#include "broker/controller/controller.h"
#include "broker/controller/loader.h"
#include "broker/features.h"
#include "broker/raft/quorum.h"
#include "wire/controller_registration.h"

struct registrar {
    struct op op;
    struct op_source wake;
    bool stopping;
    struct env *env;
    const struct config *config;
    const struct loader *loader;
    struct quorum *quorum;
    struct controller *controller;
    struct uuid incarnation;
    /* private */
    bool local; /* the present attempt is at our own controller */
    struct call call;
    struct controller_call own;
    struct arena arena;
    struct controller_registration_request request;
    struct controller_registration_response response;
    struct controller_registration_request_listener listener;
    struct controller_registration_request_feature features[FEATURES_COUNT];
};

void registrar_start(struct registrar *registrar, struct env *env, const struct config *config,
                     const struct loader *loader, struct quorum *quorum,
                     struct controller *controller, struct uuid incarnation);
/* Ends by itself, at the latest when the quorum has closed its connections. */
void registrar_stop(struct registrar *registrar);
bool registrar_stopped(const struct registrar *registrar);

#endif
