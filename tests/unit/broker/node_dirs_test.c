/* Proves: a node with several log directories opens them all, each with its own identity; formats
 * one that is new; refuses one of somebody else; starts without one that cannot be read, and then
 * begins nothing anew that it may have held (storage.md DF18). And a kill while the directories are
 * told of a registration, one by one, loses nothing (KIP-966). */
#include "tests/support/node_box.h"

#include <stdio.h>
#include <string.h>

static struct node_box box;

static void begin(uint64_t seed, const char *roles, const char *extra)
{
    node_box_init(&box, seed, roles, extra);
}

static void all_directories_are_formatted_opened_and_told_apart(void **state)
{
    const struct node *node;
    int64_t epoch;

    (void)state;
    begin(1, "a", "log.dirs=data,second,third\n");
    node_box_start_all(&box);
    node = box.node[0].node;
    assert_int_equal(node->dir_count, 3);
    assert_ptr_equal(node->meta_dir, &node->log_dirs[0]);
    assert_false(node->dirs_lossy);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(log_dir_online(&node->log_dirs[i]));
        assert_false(uuid_is_zero(node->log_dirs[i].meta.directory_id));
        for (uint32_t j = 0; j < i; j++)
            assert_false(uuid_equal(node->log_dirs[i].meta.directory_id,
                                    node->log_dirs[j].meta.directory_id));
    }
    assert_int_equal(image_broker(&node->loader.image, 1)->log_dirs_count, 3);
    epoch = node->lifecycle.broker_epoch;
    node_box_stop(&box, 0, 60000);
    node_box_start(&box, 0);
    assert_true(node_box_ready(&box, 0, 30000));
    assert_int_equal(box.node[0].node->lifecycle.previous_broker_epoch, epoch);
    node_box_stop(&box, 0, 60000);
    node_box_deinit(&box);
}

static void the_metadata_log_is_where_metadata_log_dir_says(void **state)
{
    (void)state;
    begin(2, "a", "log.dirs=data,second\nmetadata.log.dir=meta\n");
    node_box_start_all(&box);
    assert_int_equal(box.node[0].node->dir_count, 3);
    assert_string_equal(box.node[0].node->meta_dir->path, "meta");
    assert_int_equal(box.node[0].node->replicas.dirs_count, 2);
    assert_ptr_equal(box.node[0].node->metadata_log->dir, box.node[0].node->meta_dir);
    node_box_stop(&box, 0, 60000);
    assert_true(node_box_files(&box, 0, "meta/__cluster_metadata-0") > 0);
    node_box_deinit(&box);
    begin(2, "a", "log.dirs=data,second\nmetadata.log.dir=second\n");
    node_box_start_all(&box);
    assert_int_equal(box.node[0].node->dir_count, 2);
    assert_string_equal(box.node[0].node->meta_dir->path, "second");
    node_box_stop(&box, 0, 60000);
    node_box_deinit(&box);
}

static void set_dirs(const char *first, const char *second)
{
    struct config *config = &box.node[0].config;

    (void)snprintf(config->log_dirs[0], sizeof config->log_dirs[0], "%s", first);
    (void)snprintf(config->metadata_log_dir, sizeof config->metadata_log_dir, "%s", first);
    if (second != NULL) {
        (void)snprintf(config->log_dirs[1], sizeof config->log_dirs[1], "%s", second);
    }
    config->log_dir_count = second != NULL ? 2 : 1;
}

/* gregor-broker format --ignore-formatted. */
static void an_interrupted_format_can_be_finished(void **state)
{
    const struct sim_disk_rule rule = {
        .ops = 1u << DISK_MKDIR, .glob = "second", .times = 1, .error = ERR_IO};
    struct node_box_node *n = &box.node[0];
    struct uuid first;

    (void)state;
    begin(13, "a", "log.dirs=data,second\n");
    (void)snprintf(n->cluster_id, sizeof n->cluster_id, "cluster-of-the-test");
    (void)sim_disk_add_rule(n->world->disk, &rule);
    n->formatting = true;
    sim_node_start(n->world);
    assert_int_equal(node_box_wait_down(&box, 0, 10000), 1);
    n->formatting = true;
    sim_node_start(n->world);
    assert_int_equal(node_box_wait_down(&box, 0, 10000), 1);
    assert_non_null(strstr(n->error, "is formatted already"));

    n->format_keeps = true;
    (void)snprintf(n->cluster_id, sizeof n->cluster_id, "another-cluster");
    n->formatting = true;
    sim_node_start(n->world);
    assert_int_equal(node_box_wait_down(&box, 0, 10000), 1);
    assert_non_null(strstr(n->error, "belongs to cluster"));
    node_box_format_one(&box, 0, "cluster-of-the-test");
    node_box_start(&box, 0);
    assert_true(node_box_ready(&box, 0, 30000));
    assert_false(n->node->dirs_lossy);
    first = n->node->log_dirs[0].meta.directory_id;
    assert_false(uuid_equal(first, n->node->log_dirs[1].meta.directory_id));
    node_box_stop(&box, 0, 60000);
    node_box_format_one(&box, 0, "cluster-of-the-test"); /* nothing is left to do */
    node_box_start(&box, 0);
    assert_true(node_box_ready(&box, 0, 30000));
    assert_true(uuid_equal(first, n->node->log_dirs[0].meta.directory_id));
    node_box_stop(&box, 0, 60000);
    node_box_deinit(&box);
}

static void a_new_directory_is_formatted_and_told(void **state)
{
    (void)state;
    begin(3, "a", "");
    node_box_start_all(&box);
    node_box_stop(&box, 0, 60000);
    set_dirs("data", "second");
    node_box_start(&box, 0);
    assert_true(node_box_ready(&box, 0, 30000));
    assert_true(box.node[0].node->dirs_lossy);
    assert_true(log_dir_online(&box.node[0].node->log_dirs[1]));
    assert_int_equal(box.node[0].node->lifecycle.previous_broker_epoch, -1); /* no clean stop */
    node_box_stop(&box, 0, 60000);
    node_box_start(&box, 0);
    assert_true(node_box_ready(&box, 0, 30000));
    assert_false(box.node[0].node->dirs_lossy);
    node_box_stop(&box, 0, 60000);
    node_box_deinit(&box);
}

static void fails_with(const char *part)
{
    node_box_start(&box, 0);
    assert_int_equal(node_box_wait_down(&box, 0, 60000), 1);
    if (strstr(box.node[0].error, part) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", box.node[0].error, part);
    }
    assert_int_equal(box.node[0].errors, 1);
}

static void a_directory_of_another_cluster_is_refused(void **state)
{
    (void)state;
    begin(4, "a", "");
    set_dirs("second", NULL);
    node_box_format_one(&box, 0, "another-cluster");
    set_dirs("data", NULL);
    node_box_format_one(&box, 0, "cluster-of-the-test");
    set_dirs("data", "second");
    fails_with("second: belongs to cluster another-cluster");
    node_box_deinit(&box);
}

static void a_directory_of_another_node_is_refused(void **state)
{
    (void)state;
    begin(5, "a", "");
    set_dirs("second", NULL);
    box.node[0].config.node_id = 7;
    box.node[0].config.voters[0].id = 7;
    node_box_format_one(&box, 0, "cluster-of-the-test");
    box.node[0].config.node_id = 1;
    box.node[0].config.voters[0].id = 1;
    set_dirs("data", NULL);
    node_box_format_one(&box, 0, "cluster-of-the-test");
    set_dirs("data", "second");
    fails_with("second: belongs to node 7");
    node_box_deinit(&box);
}

/* All requests below it fail, as those of a device that is gone. */
static void a_start_goes_on_without_a_directory_that_cannot_be_read(void **state)
{
    (void)state;
    begin(6, "a", "log.dirs=data,second\n");
    node_box_start_all(&box);
    node_box_stop(&box, 0, 60000);
    sim_dir_gone(box.node[0].world, "second", SIM_GONE_FAILED);
    node_box_start(&box, 0);
    assert_true(node_box_ready(&box, 0, 30000));
    assert_true(box.node[0].node->dirs_lossy);
    assert_false(log_dir_online(&box.node[0].node->log_dirs[1]));
    assert_int_equal(image_broker(&box.node[0].node->loader.image, 1)->log_dirs_count, 1);
    node_box_stop(&box, 0, 60000);
    node_box_deinit(&box);
}

static bool is_registering(void *context)
{
    const struct node *node = box.node[0].node;

    (void)context;
    return node != NULL && node->state == NODE_REGISTERING;
}

/* KIP-966: the life that could not register has changed nothing, whatever ended the one before; and
 * it has not looked whether everything is on the device. */
static void a_stop_without_a_registration_keeps_what_the_life_before_vouched_for(void **state)
{
    (void)state;
    for (uint32_t killed = 0; killed < 2; killed++) {
        int64_t epoch;

        begin(7, "bc", "log.dirs=data,second\n");
        node_box_start_all(&box);
        epoch = box.node[0].node->lifecycle.broker_epoch;
        if (killed == 1) {
            sim_crash(box.node[0].world, SIM_DOWN_KILL);
        } else {
            node_box_stop(&box, 0, 60000);
        }
        sim_crash(box.node[1].world, SIM_DOWN_KILL);
        for (uint32_t life = 0; life < 2; life++) {
            node_box_start(&box, 0);
            assert_true(node_box_until(&box, 30000, is_registering, NULL));
            assert_int_equal(box.node[0].node->log_dirs[1].was_clean, killed == 0);
            node_box_run_ms(&box, 500);
            node_box_stop(&box, 0, 60000);
        }
        node_box_start(&box, 1);
        node_box_start(&box, 0);
        assert_true(node_box_ready(&box, 0, 60000));
        assert_int_equal(box.node[0].node->lifecycle.previous_broker_epoch, epoch);
        node_box_stop(&box, 0, 60000);
        node_box_stop(&box, 1, 60000);
        node_box_deinit(&box);
    }
}

static void kills(struct sim_disk_watch *watch, struct sim_world *node)
{
    (void)watch;
    sim_crash(node, SIM_DOWN_KILL);
}

static bool is_down(void *context)
{
    (void)context;
    return box.node[0].node == NULL;
}

static bool is_registered(void *context)
{
    const struct node *node = box.node[0].node;

    (void)context;
    return node != NULL && node->state == NODE_RECOVERING;
}

/* Before and after each request for the files that tell of it. */
static void a_kill_between_two_directories_is_a_kill_like_any(void **state)
{
    uint32_t told_apart = 0;
    bool killed = true;

    (void)state;
    for (uint32_t nth = 1; killed; nth++) {
        struct sim_disk_watch watch = {
            .ops = UINT32_MAX, .glob = "*/.gregor_running*", .nth = 1, .done = true, .fire = kills};
        const struct node *node;
        int64_t before;

        begin(8, "bc", "log.dirs=data,second\n");
        node_box_start_all(&box);
        before = box.node[0].node->lifecycle.broker_epoch;
        sim_crash(box.node[0].world, SIM_DOWN_KILL);
        node_box_start(&box, 0);
        assert_true(node_box_until(&box, 30000, is_registering, NULL));
        watch.nth = nth;
        sim_disk_watch(box.node[0].world->disk, &watch);
        assert_true(node_box_until(&box, 30000, is_registered, NULL));
        killed = node_box_until(&box, 300, is_down, NULL);
        sim_disk_unwatch(&watch);
        if (!killed) sim_crash(box.node[0].world, SIM_DOWN_KILL);
        node_box_start(&box, 0);
        assert_true(node_box_until(&box, 30000, is_registered, NULL));
        node = box.node[0].node;
        if (node->log_dirs[0].previous_broker_epoch != node->log_dirs[1].previous_broker_epoch)
            told_apart++;
        if (node->lifecycle.previous_broker_epoch < before)
            fail_msg("killed at request %u: %d, it was %d before", nth,
                     (int)node->lifecycle.previous_broker_epoch, (int)before);
        assert_int_equal(image_broker(&box.node[1].node->loader.image, 1)->kept_epoch,
                         node->lifecycle.previous_broker_epoch);
        assert_true(node_box_ready(&box, 0, 60000));
        node_box_stop(&box, 0, 60000);
        node_box_stop(&box, 1, 60000);
        node_box_deinit(&box);
    }
    assert_true(told_apart > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_directories_are_formatted_opened_and_told_apart),
        cmocka_unit_test(the_metadata_log_is_where_metadata_log_dir_says),
        cmocka_unit_test(an_interrupted_format_can_be_finished),
        cmocka_unit_test(a_new_directory_is_formatted_and_told),
        cmocka_unit_test(a_directory_of_another_cluster_is_refused),
        cmocka_unit_test(a_directory_of_another_node_is_refused),
        cmocka_unit_test(a_start_goes_on_without_a_directory_that_cannot_be_read),
        cmocka_unit_test(a_stop_without_a_registration_keeps_what_the_life_before_vouched_for),
        cmocka_unit_test(a_kill_between_two_directories_is_a_kill_like_any),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
