/* A scenario as YAML again: what a shrinker writes down and a person reads. Only what differs from
 * the defaults is written, in one fixed order, so that equal scenarios have equal files; quantities
 * in the largest unit that holds them. A pattern (with choices) is written as its tree was read. */
#include "sim/scenario/write.h"

/* ---- head ------------------------------------------------------------------------------------ */

static void write_seeds(const struct write *w, const struct scenario *s)
{
    bool run = true;

    for (uint32_t i = 1; i < s->seed_count; i++)
        run = run && s->seeds[i] == s->seeds[0] + i;
    if (s->seed_count == 1) {
        write_format(w, "seeds: %llu\n", (unsigned long long)s->seeds[0]);
    } else if (run) {
        write_format(w, "seeds: {from: %llu, count: %u}\n", (unsigned long long)s->seeds[0],
                     s->seed_count);
    } else {
        write_text(w, "seeds: [");
        for (uint32_t i = 0; i < s->seed_count; i++)
            write_format(w, "%s%llu", i > 0 ? ", " : "", (unsigned long long)s->seeds[i]);
        write_text(w, "]\n");
    }
}

static void write_head(const struct write *w, const struct scenario *s)
{
    write_format(w, "gregor: 1\nname: %s\n", s->name);
    if (s->about != NULL && s->about[0] != '\0') {
        write_text(w, "about: ");
        write_scalar(w, s->about);
        write_text(w, "\n");
    }
    for (uint32_t i = 0; i < s->tag_count; i++)
        write_format(w, "%s%s%s", i == 0 ? "tags: [" : ", ", s->tags[i],
                     i + 1 == s->tag_count ? "]\n" : "");
    write_seeds(w, s);
    write_text(w, "stop: {");
    write_quantity(w, "time", UNIT_TIME, (struct unit_range){s->stop_ns, s->stop_ns});
    if (s->stop_events > 0) write_format(w, ", events: %llu", (unsigned long long)s->stop_events);
    if (s->stop_wall_ns > 0) {
        write_text(w, ", ");
        write_quantity(w, "wall", UNIT_TIME, (struct unit_range){s->stop_wall_ns, s->stop_wall_ns});
    }
    write_text(w, "}\n");
}

/* ---- cluster --------------------------------------------------------------------------------- */

static void write_configs(const struct write *w, const struct scenario_config *configs,
                          uint32_t count, int32_t node)
{
    const char *comma = "";

    write_text(w, "{");
    for (uint32_t i = 0; i < count; i++) {
        if (configs[i].node != node) continue;
        write_text(w, comma);
        write_scalar(w, configs[i].key);
        write_text(w, ": ");
        write_scalar(w, configs[i].value);
        comma = ", ";
    }
    write_text(w, "}");
}

static bool has_configs(const struct scenario *s, int32_t node)
{
    for (uint32_t i = 0; i < s->config_count; i++) {
        if (s->configs[i].node == node) return true;
    }
    return false;
}

static void write_profile(const struct write *w, enum sim_disk_profile profile)
{
    static const char *const names[] = {"nvme", "ssd", "hdd"};

    write_format(w, "profile: %s", names[profile]);
}

/* As written it is always by shares: what is not kept, torn or noise is dropped. */
static void write_loss(const struct write *w, const struct sim_loss *loss)
{
    uint32_t drop =
        RNG_MILLION - loss->keep_per_million - loss->tear_per_million - loss->garbage_per_million;

    write_text(w, "power_loss: {");
    write_share(w, "keep", loss->keep_per_million);
    write_text(w, ", ");
    write_share(w, "drop", drop);
    write_text(w, ", ");
    write_share(w, "tear", loss->tear_per_million);
    write_text(w, ", ");
    write_share(w, "garbage", loss->garbage_per_million);
    write_text(w, "}");
}

static bool same_loss(const struct sim_loss *a, const struct sim_loss *b)
{
    return a->policy == b->policy && a->keep_per_million == b->keep_per_million &&
           a->tear_per_million == b->tear_per_million &&
           a->garbage_per_million == b->garbage_per_million;
}

static bool same_range(struct unit_range a, struct unit_range b)
{
    return a.min == b.min && a.max == b.max;
}

static void write_clock(const struct write *w, const struct unit_range *skew,
                        const struct unit_range *drift)
{
    write_text(w, "clock: {");
    if (skew != NULL) write_quantity(w, "skew", UNIT_TIME, *skew);
    if (skew != NULL && drift != NULL) write_text(w, ", ");
    if (drift != NULL) write_quantity(w, "drift", UNIT_DRIFT, *drift);
    write_text(w, "}");
}

static void write_cluster_clock(const struct write *w, const struct scenario *s,
                                const struct scenario *usual)
{
    const struct {
        const char *key;
        enum unit unit;
        struct unit_range is;
        struct unit_range was;
    } parts[] = {{"skew", UNIT_TIME, s->skew_ns, usual->skew_ns},
                 {"drift", UNIT_DRIFT, s->drift_ppb, usual->drift_ppb},
                 {"step", UNIT_TIME, s->clock_step_ns, usual->clock_step_ns},
                 {"coarse", UNIT_TIME, s->coarse_ns, usual->coarse_ns},
                 {"late", UNIT_TIME, s->late_ns, usual->late_ns}};
    bool none = true;
    bool some = false;

    for (uint32_t i = 0; i < COUNT_OF(parts); i++)
        none = none && parts[i].is.min == 0 && parts[i].is.max == 0;
    for (uint32_t i = 0; i < COUNT_OF(parts) && !none; i++) {
        if (same_range(parts[i].is, parts[i].was)) continue;
        write_text(w, some ? ", " : "  clock: {");
        write_quantity(w, parts[i].key, parts[i].unit, parts[i].is);
        some = true;
    }
    if (none) write_text(w, "  clock: none\n");
    if (some) write_text(w, "}\n");
}

static void write_network(const struct write *w, const struct sim_net_config *net,
                          const struct sim_net_config *usual)
{
    const char *comma = "";

    if (net->latency_min_ns == usual->latency_min_ns &&
        net->latency_max_ns == usual->latency_max_ns && net->jitter_ns == usual->jitter_ns &&
        net->bytes_per_us == usual->bytes_per_us &&
        net->pieces_per_million == usual->pieces_per_million) {
        return;
    }
    write_text(w, "  network: {");
    if (net->latency_min_ns != usual->latency_min_ns ||
        net->latency_max_ns != usual->latency_max_ns) {
        write_quantity(w, "latency", UNIT_TIME,
                       (struct unit_range){net->latency_min_ns, net->latency_max_ns});
        comma = ", ";
    }
    if (net->jitter_ns != usual->jitter_ns) {
        write_text(w, comma);
        write_quantity(w, "jitter", UNIT_TIME, (struct unit_range){net->jitter_ns, net->jitter_ns});
        comma = ", ";
    }
    if (net->bytes_per_us != usual->bytes_per_us) {
        int64_t rate = net->bytes_per_us * 1000000;

        write_text(w, comma);
        write_quantity(w, "bandwidth", UNIT_SIZE, (struct unit_range){rate, rate});
        comma = ", ";
    }
    if (net->pieces_per_million != usual->pieces_per_million) {
        write_text(w, comma);
        write_share(w, "pieces", net->pieces_per_million);
    }
    write_text(w, "}\n");
}

static void write_node(const struct write *w, const struct scenario *s,
                       const struct scenario_node *node)
{
    const char *comma = "";

    write_format(w, "    %d: {", (int)node->id);
    if (has_configs(s, node->id)) {
        write_text(w, "config: ");
        write_configs(w, s->configs, s->config_count, node->id);
        comma = ", ";
    }
    if (node->has_profile || node->has_loss) {
        write_format(w, "%sdisk: {", comma);
        if (node->has_profile) write_profile(w, node->profile);
        if (node->has_profile && node->has_loss) write_text(w, ", ");
        if (node->has_loss) write_loss(w, &node->loss);
        write_text(w, "}");
        comma = ", ";
    }
    if (node->has_skew || node->has_drift) {
        write_text(w, comma);
        write_clock(w, node->has_skew ? &node->skew_ns : NULL,
                    node->has_drift ? &node->drift_ppb : NULL);
    }
    write_text(w, "}\n");
}

static void write_cluster(const struct write *w, const struct scenario *s,
                          const struct scenario *usual)
{
    bool loss = !same_loss(&s->loss, &usual->loss);
    bool profile = s->disk_profile != usual->disk_profile;

    write_format(w, "cluster:\n  controllers: %u\n  brokers: %u\n", s->controllers, s->brokers);
    if (s->voters > 0) write_format(w, "  voters: %u\n", s->voters);
    if (s->combined) write_text(w, "  combined: true\n");
    if (s->racks[0] != NULL) {
        write_text(w, "  racks: [");
        for (uint32_t i = 0; i < s->brokers; i++)
            write_format(w, "%s%s", i > 0 ? ", " : "", s->racks[i]);
        write_text(w, "]\n");
    }
    if (has_configs(s, -1)) {
        write_text(w, "  config: ");
        write_configs(w, s->configs, s->config_count, -1);
        write_text(w, "\n");
    }
    if (s->node_count > 0) write_text(w, "  node:\n");
    for (uint32_t i = 0; i < s->node_count; i++)
        write_node(w, s, &s->nodes[i]);
    write_network(w, &s->net, &usual->net);
    if (profile || loss) {
        write_text(w, "  disk: {");
        if (profile) write_profile(w, s->disk_profile);
        if (profile && loss) write_text(w, ", ");
        if (loss) write_loss(w, &s->loss);
        write_text(w, "}\n");
    }
    write_cluster_clock(w, s, usual);
    if (s->free_cpu) write_text(w, "  cpu: free\n");
}

/* ---- topics and clients ---------------------------------------------------------------------- */

static void write_topics(const struct write *w, const struct scenario *s)
{
    bool first = true;

    for (uint32_t i = 0; i < s->topic_count; i++) {
        const struct scenario_topic *topic = &s->topics[i];

        if (topic->late) continue;
        write_format(w, "%s  %s: {", first ? "topics:\n" : "", topic->name);
        first = false;
        write_quantity(w, "partitions", UNIT_COUNT, topic->partitions);
        write_text(w, ", ");
        if (topic->assignment_count > 0) {
            write_text(w, "replicas: [");
            for (uint32_t j = 0; j < topic->assignment_count; j++)
                write_format(w, "%s%d", j > 0 ? ", " : "", (int)topic->assignment[j]);
            write_text(w, "]");
        } else {
            write_quantity(w, "replicas", UNIT_COUNT, topic->replicas);
        }
        if (topic->config_count > 0) {
            write_text(w, ", config: ");
            write_configs(w, topic->configs, topic->config_count, -1);
        }
        write_text(w, "}\n");
    }
}

static void write_producer(const struct write *w, const struct scenario *s,
                           const struct scenario_client *client)
{
    write_format(w, "  - {producer: %s, topic: %s, acks: %s, idempotent: %s, ", client->name,
                 s->topics[client->topics[0]].name,
                 client->acks < 0    ? "all"
                 : client->acks == 1 ? "1"
                                     : "0",
                 client->idempotent ? "true" : "false");
    write_quantity(w, "rate", UNIT_RATE, client->rate);
    if (client->batch != 1) write_format(w, ", batch: %u", client->batch);
    if (client->records > 0) write_format(w, ", records: %lld", (long long)client->records);
    write_text(w, ", ");
    write_quantity(w, "record_size", UNIT_SIZE, client->record_size);
    if (client->keys > 0) write_format(w, ", keys: %u", client->keys);
    if (client->linger_ns > 0) {
        write_text(w, ", ");
        write_quantity(w, "linger", UNIT_TIME,
                       (struct unit_range){client->linger_ns, client->linger_ns});
    }
    if (client->delivery_timeout_ns > 0) {
        write_text(w, ", ");
        write_quantity(
            w, "timeout", UNIT_TIME,
            (struct unit_range){client->delivery_timeout_ns, client->delivery_timeout_ns});
    }
    if (client->tombstones > 0) write_format(w, ", tombstones: %u", client->tombstones);
    if (client->transaction > 0) write_format(w, ", transaction: %u", client->transaction);
    if (client->first_sequence > 0) write_format(w, ", first_sequence: %d", client->first_sequence);
    write_text(w, "}\n");
}

static void write_time(const struct write *w, const char *key, int64_t ns)
{
    write_text(w, ", ");
    write_quantity(w, key, UNIT_TIME, (struct unit_range){ns, ns});
}

static void write_member(const struct write *w, const struct scenario_client *client)
{
    static const char *const assignors[] = {"range", "roundrobin", "sticky", "cooperative-sticky"};
    static const char *const protocols[] = {"classic", "consumer", "mixed", "rolling"};

    if (client->group == NULL) return;
    write_format(w, ", group: %s", client->group);
    if (client->members > 1) write_format(w, ", members: %u", client->members);
    if (client->crowd > 0) write_format(w, ", crowd: %u", client->crowd);
    if (client->instance != NULL) write_text(w, ", static: true");
    if (client->protocol != SCENARIO_SPEAKS_CLASSIC)
        write_format(w, ", protocol: %s", protocols[client->protocol]);
    write_format(w, ", assignor: %s, commit: {", assignors[client->assignor]);
    write_quantity(w, "every", UNIT_TIME,
                   (struct unit_range){client->commit_ns, client->commit_ns});
    write_text(w, "}");
    write_time(w, "session", client->session_ns);
    write_time(w, "poll", client->poll_max_ns);
    if (client->work.max > 0) {
        write_text(w, ", ");
        write_quantity(w, "work", UNIT_TIME, client->work);
    }
}

static void write_workload(const struct write *w, const struct scenario *s)
{
    bool first = true;

    for (uint32_t i = 0; i < s->client_count; i++) {
        const struct scenario_client *client = &s->clients[i];

        if (client->copy_of >= 0) continue; /* a step makes it */
        if (first) write_text(w, "workload:\n");
        first = false;
        if (client->kind == SCENARIO_PRODUCER) {
            write_producer(w, s, client);
            continue;
        }
        write_format(w, "  - {consumer: %s, topics: [", client->name);
        for (uint32_t j = 0; j < client->topic_count; j++)
            write_format(w, "%s%s", j > 0 ? ", " : "", s->topics[client->topics[j]].name);
        write_text(w, "]");
        if (client->rack != NULL) write_format(w, ", rack: %s", client->rack);
        if (client->seek.max > 0) {
            write_text(w, ", ");
            write_quantity(w, "seek", UNIT_TIME, client->seek);
        }
        write_member(w, client);
        write_text(w, "}\n");
    }
}

/* ---- the end --------------------------------------------------------------------------------- */

static void write_liveness(const struct write *w, const struct scenario *s)
{
    const char *comma = "";

    if (!s->liveness) {
        write_text(w, "liveness: off\n");
        return;
    }
    if (s->core == SCENARIO_CORE_ALL && s->converge_ns == 0) return;
    write_text(w, "liveness: {");
    if (s->core == SCENARIO_CORE_RANDOM) write_text(w, "core: random");
    if (s->core == SCENARIO_CORE_LIST) {
        write_text(w, "core: [");
        for (uint32_t i = 0; i < s->core_count; i++)
            write_format(w, "%s%d", i > 0 ? ", " : "", (int)s->core_nodes[i]);
        write_text(w, "]");
    }
    if (s->core != SCENARIO_CORE_ALL) comma = ", ";
    if (s->converge_ns > 0) {
        write_text(w, comma);
        write_quantity(w, "converge", UNIT_TIME,
                       (struct unit_range){s->converge_ns, s->converge_ns});
    }
    write_text(w, "}\n");
}

static void write_invariants(const struct write *w, const struct scenario *s)
{
    if (s->off_count == 0 && s->only_count == 0 && s->every == 0) return;
    write_text(w, "invariants:\n");
    for (uint32_t i = 0; i < s->off_count; i++) {
        write_format(w, "%s    - {name: %s, why: ", i == 0 ? "  off:\n" : "", s->offs[i].name);
        write_scalar(w, s->offs[i].why);
        write_text(w, "}\n");
    }
    for (uint32_t i = 0; i < s->only_count; i++)
        write_format(w, "%s%s%s", i == 0 ? "  only: [" : ", ", s->onlys[i],
                     i + 1 == s->only_count ? "]\n" : "");
    if (s->every > 0) write_format(w, "  every: %u\n", s->every);
}

void scenario_write(const struct scenario *scenario, const struct text_sink *sink)
{
    const struct write w = {sink, &scenario->names};
    struct scenario *usual;

    if (scenario->varies) {
        write_pattern(&w, scenario);
        return;
    }
    usual = scenario_empty();
    write_head(&w, scenario);
    write_cluster(&w, scenario, usual);
    write_topics(&w, scenario);
    write_workload(&w, scenario);
    write_steps(&w, scenario);
    write_expects(&w, scenario);
    write_invariants(&w, scenario);
    if (scenario->loss_budget >= 0) {
        write_format(&w, "loss_budget: {replicas: %d}\n", (int)scenario->loss_budget);
    }
    write_liveness(&w, scenario);
    scenario_destroy(usual);
}
