/* Writes traces that no run makes, for the checks of tests/reports and for the gallery:
 * traces DIR -> DIR/loss, DIR/failover, DIR/quorum, DIR/reigns (more key moments than a figure has
 * rows), DIR/open (transactions), DIR/real (as a real process tells), DIR/many (10^5 events),
 * DIR/million. Each a directory with trace.bin, as runs leave it. */
#include "tests/support/trace_builder.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int write_trace(const char *directory, const char *name, struct trace_builder *builder)
{
    struct bytes trace = trace_builder_finish(builder);
    char path[1024];
    FILE *file;
    size_t written;

    snprintf(path, sizeof path, "%s/%s", directory, name);
    mkdir(path, 0777);
    strcat(path, "/trace.bin");
    file = fopen(path, "wb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    written = fwrite(trace.data, 1, trace.length, file);
    if (fclose(file) != 0 || written != trace.length) {
        perror(path);
        return 1;
    }
    trace_builder_free(builder);
    return 0;
}

int main(int argc, char **argv)
{
    struct trace_builder builder;
    int failed = 0;

    if (argc != 2) {
        fputs("usage: traces DIR\n", stderr);
        return 2;
    }
    mkdir(argv[1], 0777);
    trace_builder_init(&builder);
    trace_builder_loss(&builder);
    failed |= write_trace(argv[1], "loss", &builder);
    trace_builder_init(&builder);
    trace_builder_failover(&builder, "orders");
    failed |= write_trace(argv[1], "failover", &builder);
    trace_builder_init(&builder);
    trace_builder_quorum(&builder);
    failed |= write_trace(argv[1], "quorum", &builder);
    trace_builder_init(&builder);
    trace_builder_reigns(&builder, 90);
    failed |= write_trace(argv[1], "reigns", &builder);
    trace_builder_init(&builder);
    for (int64_t i = 0; i < 30; i++) {
        if (i == 0) TELL(&builder, 0, 1, NODE_STARTED, NULL, 1, 1);
        TELL(&builder, 1000 + i * 100, 1, LOG_APPENDED, NULL, 77, 0, i, i, 1, 9, 100);
    }
    failed |= write_trace(argv[1], "real", &builder);
    trace_builder_init(&builder);
    trace_builder_txns(&builder);
    failed |= write_trace(argv[1], "open", &builder);
    trace_builder_init(&builder);
    trace_builder_steady(&builder, 6000);
    failed |= write_trace(argv[1], "many", &builder);
    trace_builder_init(&builder);
    trace_builder_steady(&builder, 60000);
    failed |= write_trace(argv[1], "million", &builder);
    return failed;
}
