/* What a run comes to, for people, for scripts and for test reports. */
#include "sim/campaign.h"

#include "sim/json.h"

#include <stdio.h>

void campaign_line(const struct scenario *scenario, const struct run_result *result, char *line,
                   size_t size)
{
    size_t used = (size_t)snprintf(
        line, size, "%s scenario=%s seed=%llu virtual=%lld.%03llds events=%llu hash=%016llx",
        run_verdict_name(result->verdict), scenario->name, (unsigned long long)result->seed,
        (long long)(result->virtual_ns / NS_PER_SEC),
        (long long)(result->virtual_ns % NS_PER_SEC / NS_PER_MS),
        (unsigned long long)result->events, (unsigned long long)result->hash);

    if (result->check[0] != '\0' && used < size) {
        used += (size_t)snprintf(line + used, size - used, " check=%s", result->check);
    }
    if (result->node >= 0 && used < size) {
        used += (size_t)snprintf(line + used, size - used, " node=%d", result->node);
    }
    if (result->partition[0] != '\0' && used < size) {
        used += (size_t)snprintf(line + used, size - used, " partition=%s", result->partition);
    }
    if (used < size) {
        (void)snprintf(line + used, size - used, "\twall=%lld.%02llds",
                       (long long)(result->wall_ns / NS_PER_SEC),
                       (long long)(result->wall_ns % NS_PER_SEC / (10 * NS_PER_MS)));
    }
}

void campaign_tell_numbers(const struct run_result *result)
{
    if (result->verdict == RUN_PASS) fputs(result->report, stderr);
    spread_print_faults(stderr, result->faults, result->spread);
    for (uint32_t i = 0; i < result->oracles; i++) {
        const struct check_info *info = check_list(i);

        if (info == NULL) break;
        fprintf(stderr, "  check %-5s %-36s evaluated %llu\n", info->id, info->name,
                (unsigned long long)result->evaluations[i]);
    }
    for (uint32_t i = 0; i < MARKS; i++) {
        if (result->marks[i] == 0) continue;
        fprintf(stderr, "  mark  %-26s %llu\n", mark_name((enum mark)i),
                (unsigned long long)result->marks[i]);
    }
}

void campaign_tell_json(FILE *file, const struct scenario *scenario,
                        const struct run_result *result)
{
    const char *comma = "";

    fprintf(file, "{\"verdict\":\"%s\",\"scenario\":", run_verdict_name(result->verdict));
    json_text(file, scenario->name);
    fprintf(file,
            ",\"seed\":%llu,\"virtual_ns\":%lld,\"events\":%llu,\"hash\":\"%016llx\",\"check\":",
            (unsigned long long)result->seed, (long long)result->virtual_ns,
            (unsigned long long)result->events, (unsigned long long)result->hash);
    json_text(file, result->check);
    fprintf(file, ",\"text\":");
    json_text(file, result->text);
    fprintf(file, ",\"faults\":{");
    for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
        if (result->faults[i].asked == 0) continue;
        fprintf(file,
                "%s\"%s\":{\"asked\":%llu,\"injected\":%llu,\"weakened\":%llu,"
                "\"refused\":%llu}",
                comma, sim_fault_word((enum sim_fault)i),
                (unsigned long long)result->faults[i].asked,
                (unsigned long long)result->faults[i].injected,
                (unsigned long long)result->faults[i].weakened,
                (unsigned long long)result->faults[i].refused);
        comma = ",";
    }
    fprintf(file, "},\"checks\":{");
    comma = "";
    for (uint32_t i = 0; i < result->oracles && check_list(i) != NULL; i++) {
        fprintf(file, "%s\"%s\":%llu", comma, check_list(i)->id,
                (unsigned long long)result->evaluations[i]);
        comma = ",";
    }
    fprintf(file, "},\"marks\":{");
    comma = "";
    for (uint32_t i = 0; i < MARKS; i++) {
        if (result->marks[i] == 0) continue;
        fprintf(file, "%s\"%s\":%llu", comma, mark_name((enum mark)i),
                (unsigned long long)result->marks[i]);
        comma = ",";
    }
    fprintf(file, "},\"wall_ns\":%lld}\n", (long long)result->wall_ns);
}

static void xml_text(FILE *file, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '<') {
            fputs("&lt;", file);
        } else if (*text == '&') {
            fputs("&amp;", file);
        } else if (*text == '"') {
            fputs("&quot;", file);
        } else {
            fputc(*text, file);
        }
    }
}

/* One case per seed; inconclusive and not exercised are errors, not skipped. */
void campaign_tell_junit(FILE *file, const struct scenario *scenario,
                         const struct run_result *result)
{
    bool failure = result->verdict == RUN_FAIL || result->verdict == RUN_STUCK ||
                   result->verdict == RUN_CRASH || result->verdict == RUN_NONDET;

    fprintf(file, "  <testcase classname=\"%s\" name=\"seed %llu\" time=\"%lld.%03lld\">",
            scenario->name, (unsigned long long)result->seed,
            (long long)(result->wall_ns / NS_PER_SEC),
            (long long)(result->wall_ns % NS_PER_SEC / NS_PER_MS));
    if (result->verdict != RUN_PASS) {
        fprintf(file, "<%s type=\"%s\" message=\"", failure ? "failure" : "error",
                run_verdict_name(result->verdict));
        xml_text(file, result->text);
        fprintf(file, "\">");
        xml_text(file, result->report);
        fprintf(file, "</%s>", failure ? "failure" : "error");
    }
    fprintf(file, "</testcase>\n");
}
