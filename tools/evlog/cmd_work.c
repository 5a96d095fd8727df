/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog work: run a program on every event of a topic, as a member of a work group.
 *
 * 1. evlog_group_run() leases events and calls back in its worker threads, --concurrency of them.
 * 2. A callback runs COMMAND once: an event's payload, or a batch as lines of JSON, on its stdin; its end says what
 *    became of it (work_handler.c). Leases are kept while it runs, up to --handler-timeout.
 * 3. With --emit, the lines of its stdout travel with the acknowledgement of the event (of a batch: that each names).
 * 4. SIGINT and SIGTERM end it gracefully: handlers that run are waited for.
 *
 * A handler that cannot be started ends the command, and its event is given back.
 */
#include "cli.h"
#include "publishing.h"
#include "setting_words.h"
#include "work_drill.h"
#include "work_handler.h"

#include <core/alloc.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SETTING_MAX 64
#define SETTING_NAME_MAX 128
#define CONCURRENCY_MAX 256
#define BATCH_MAX 10000
#define TIMEOUT_MS 300000
#define DRILL_RUNS 3   /* of one handler, at most */
#define STEP_MS 50     /* between looks at whether to stop */
#define GRACE_MS 10000 /* leases are kept so much longer than a handler may run */
#define NS_PER_MS 1000000

struct work {
    struct cli *cli;
    const char *topic;
    const char *group;
    const char *emit;
    const char *drill_text;
    struct cli_list settings;
    int64_t batch, concurrency, seed, timeout_ms;
    bool until_caught_up, bisect;
    const char *const *command; /* NULL-terminated */
    struct work_drill drill;
    struct evlog_group *member;
    int start_error;      /* errno of a handler that did not start, 0; atomic */
    uint64_t drill_count; /* troubles made; atomic */
};

/* --- one run ------------------------------------------------------------------------------------------------------ */

static void pause_ms(int64_t ms)
{
    for (; ms > 0 && !cli_interrupted; ms -= STEP_MS) {
        int64_t step_ms = EL_MIN(ms, STEP_MS);
        struct timespec left = {step_ms / 1000, step_ms % 1000 * NS_PER_MS};
        (void)nanosleep(&left, NULL);
    }
}

static void count_up(uint64_t *counter)
{
    (void)__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

/* Run the handler, and run it into trouble first when the drill says so. */
static void run_drilled(struct work *work, const struct evlog_event *event, struct handler_run *run)
{
    struct work_drill_plan plan = work_drill_plan(&work->drill, event);
    if (plan.late_ms > 0) {
        count_up(&work->drill_count);
        pause_ms(plan.late_ms);
    }
    if (plan.crash_ms >= 0) {
        count_up(&work->drill_count);
        run->crash_ms = plan.crash_ms;
        handler_run(run);
        run->crash_ms = -1;
        handler_run_free(run);
    }
    if (run->end != HANDLER_NOT_STARTED) {
        handler_run(run);
    }
    if (plan.duplicate && run->end == HANDLER_EXITED && run->code == 0) {
        count_up(&work->drill_count);
        handler_run_free(run);
        handler_run(run);
    }
    if (run->end == HANDLER_NOT_STARTED) {
        __atomic_store_n(&work->start_error, run->code, __ATOMIC_RELAXED);
        evlog_group_stop(work->member);
    }
}

static struct handler_run new_run(const struct work *work)
{
    return (struct handler_run){
        .argv = work->command,
        .keeps_output = work->emit != NULL,
        .shows_errors = !work->cli->quiet,
        .timeout_ms = work->timeout_ms,
        .crash_ms = -1,
    };
}

static void no_memory(struct evlog_result *result)
{
    result->outcome = EVLOG_NACK;
    (void)snprintf(result->reason, sizeof result->reason, "no memory");
}

/* Tell of an event that was not done. */
static void tell(const struct work *work, const struct evlog_event *event, int32_t attempt,
                 const struct evlog_result *result)
{
    const char *const words[] = {
        [EVLOG_ACK] = "done",
        [EVLOG_NACK] = "failed",
        [EVLOG_DEAD] = "refused",
        [EVLOG_RELEASE] = "given back",
    };
    if (result->outcome != EVLOG_ACK || work->cli->verbose) {
        cli_say(work->cli, "%s[%d]@%lld attempt %d %s%s%s%s%s", event->topic, event->partition,
                (long long)event->offset, attempt, words[result->outcome], result->reason[0] == '\0' ? "" : ": ",
                result->reason, result->error[0] == '\0' ? "" : ": ", result->error);
    }
}

/* --- emit --------------------------------------------------------------------------------------------------------- */

/* Let an event publish one line of the handler's stdout. returns 0 | a library code */
static int emit_line(struct work *work, const struct evlog_lease *lease, struct el_slice line,
                     struct evlog_failure *failure)
{
    struct evlog_message message = EVLOG_MESSAGE_INIT;
    struct evlog_cloudevent *event = NULL;
    int rc = 0;
    message.key = lease->event->key;
    message.value = (struct evlog_bytes){line.data, line.len};
    if (memmem(line.data, line.len, "\"specversion\"", 13) != NULL && line.data[0] == '{') {
        rc = evlog_cloudevent_parse(line.data, line.len, &event, failure);
        if (rc == 0) {
            message = *evlog_cloudevent_message(event);
        }
    }
    message.topic = work->emit;
    if (rc == 0) {
        rc = evlog_emit(work->member, lease, &message, failure);
    }
    evlog_cloudevent_free(event);
    return rc;
}

/* Emit a line, not an empty one; the event failed when that may not be. */
static void emit(struct work *work, const struct evlog_lease *lease, struct el_slice line, size_t number,
                 struct evlog_result *result)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    if (line.len == 0 || result->outcome != EVLOG_ACK) {
        return;
    }
    if (emit_line(work, lease, line, &failure) != 0) {
        result->outcome = EVLOG_NACK;
        (void)snprintf(result->reason, sizeof result->reason, "emit");
        (void)snprintf(result->error, sizeof result->error, "line %zu of stdout: %.200s", number, failure.text);
    }
}

/* All lines of one event's handler. */
static void emit_lines(struct work *work, const struct evlog_lease *lease, struct el_slice output,
                       struct evlog_result *result)
{
    struct work_line line = {0};
    while (work_line_next(output, &line)) {
        emit(work, lease, line.text, line.number, result);
    }
}

/* All lines of a batch's handler; each names its event. A line that does not makes the batch fail before anything is
 * emitted. */
static void emit_batch(struct work *work, const struct evlog_lease *const *leases, size_t count, struct el_slice output,
                       struct evlog_result *results, struct evlog_result *whole)
{
    struct work_line line = {0};
    while (work_line_next(output, &line)) {
        if (line.text.len > 0 && work_line_index(&line.text, leases, count) == count) {
            whole->outcome = EVLOG_NACK;
            (void)snprintf(whole->reason, sizeof whole->reason, "emit");
            (void)snprintf(whole->error, sizeof whole->error,
                           "line %zu of stdout does not begin with an offset of this batch and a space", line.number);
            return;
        }
    }
    line = (struct work_line){0};
    while (work_line_next(output, &line)) {
        if (line.text.len > 0) {
            size_t index = work_line_index(&line.text, leases, count);
            emit(work, leases[index], line.text, line.number, &results[index]);
        }
    }
}

/* --- callbacks: worker threads ------------------------------------------------------------------------------------ */

static void on_event(void *arg, const struct evlog_lease *lease, struct evlog_result *result)
{
    struct work *work = arg;
    struct handler_run run = new_run(work);
    struct evlog_event_view view = {.size = sizeof view};
    struct evlog_trace_context context;
    bool traced = evlog_lease_trace(lease, &context);
    char **environment = work_environment(work->group, lease, lease->attempt, traced ? &context : NULL);
    if (environment == NULL || evlog_event_view(lease->event, &view) != 0) {
        el_free(environment);
        no_memory(result);
        return;
    }
    run.environment = environment;
    run.input = el_slice_of(view.data.data, view.data.len);
    run_drilled(work, lease->event, &run);
    work_verdict(&run, result);
    if (run.output.err != 0) {
        no_memory(result);
    }
    if (work->emit != NULL && result->outcome == EVLOG_ACK) {
        emit_lines(work, lease, el_buffer_slice(&run.output), result);
    }
    tell(work, lease->event, lease->attempt, result);
    handler_run_free(&run);
    evlog_event_view_free(&view);
    el_free(environment);
}

static void on_batch(void *arg, const struct evlog_lease *const *leases, size_t count, struct evlog_result *results,
                     struct evlog_result *whole)
{
    struct work *work = arg;
    struct handler_run run = new_run(work);
    struct el_buffer lines = {0};
    char **environment = work_environment(work->group, NULL, 0, NULL);
    for (size_t i = 0; i < count; i++) {
        work_event_line(&lines, leases[i], leases[i]->attempt);
    }
    if (environment == NULL || lines.err != 0) {
        no_memory(whole);
    } else {
        run.environment = environment;
        run.input = el_buffer_slice(&lines);
        run.has_report = true;
        run_drilled(work, leases[0]->event, &run);
        work_verdict(&run, whole);
    }
    if (whole->outcome == EVLOG_ACK &&
        (run.report.err != 0 || !work_report(el_buffer_slice(&run.report), leases, count, results, whole->error))) {
        whole->outcome = EVLOG_NACK;
        (void)snprintf(whole->reason, sizeof whole->reason, "report");
    }
    if (whole->outcome == EVLOG_ACK && run.output.err != 0) {
        no_memory(whole);
    } else if (whole->outcome == EVLOG_ACK && work->emit != NULL) {
        emit_batch(work, leases, count, el_buffer_slice(&run.output), results, whole);
    }
    for (size_t i = 0; i < count && (whole->outcome == EVLOG_ACK || i == 0); i++) {
        tell(work, leases[i]->event, leases[i]->attempt, whole->outcome == EVLOG_ACK ? &results[i] : whole);
    }
    handler_run_free(&run);
    el_buffer_free(&lines);
    el_free(environment);
}

static bool on_turn(void *arg, const struct evlog_group_counts *counts)
{
    const struct work *work = arg;
    cli_progress(work->cli, "done", counts->acked, 0);
    return !cli_interrupted;
}

static void on_log(void *arg, enum evlog_log_level level, const char *text)
{
    (void)level;
    cli_say(arg, "evlog: %s", text);
}

/* --- the command -------------------------------------------------------------------------------------------------- */

/* What settings of the command line point to. */
struct setting_texts {
    char names[SETTING_MAX][SETTING_NAME_MAX];
    char numbers[SETTING_MAX][SETTING_NUMBER_MAX];
};

static int read_settings(const struct work *work, struct evlog_setting *settings, struct setting_texts *texts)
{
    if (work->settings.count > SETTING_MAX) {
        return cli_error(work->cli, CLI_ERR_VALUE, "--set: at most %d settings", SETTING_MAX);
    }
    for (size_t i = 0; i < work->settings.count; i++) {
        const char *equals = strchr(work->settings.items[i], '=');
        if (equals == NULL || equals == work->settings.items[i] ||
            equals - work->settings.items[i] >= SETTING_NAME_MAX) {
            return cli_error(work->cli, CLI_ERR_VALUE, "--set takes NAME=VALUE, not %s", work->settings.items[i]);
        }
        (void)snprintf(texts->names[i], SETTING_NAME_MAX, "%.*s", (int)(equals - work->settings.items[i]),
                       work->settings.items[i]);
        settings[i] = (struct evlog_setting){texts->names[i],
                                             setting_plain(texts->names[i], equals + 1, texts->numbers[i])};
    }
    return CLI_OK;
}

static int check(struct work *work)
{
    if (work->group == NULL || work->group[0] == '\0') {
        return cli_error(work->cli, CLI_ERR_VALUE, "-g GROUP is missing: it says who shares the events");
    }
    if (work->concurrency < 1 || work->concurrency > CONCURRENCY_MAX || work->batch < 0 || work->batch > BATCH_MAX) {
        return cli_error(work->cli, CLI_ERR_VALUE, "--concurrency takes 1 to %d, --batch 1 to %d", CONCURRENCY_MAX,
                         BATCH_MAX);
    }
    if (work->timeout_ms < 1) {
        return cli_error(work->cli, CLI_ERR_VALUE, "--handler-timeout takes a time above 0");
    }
    if (work->bisect && work->batch == 0) {
        return cli_error(work->cli, CLI_ERR_VALUE, "--bisect splits batches: it needs --batch");
    }
    if (work->emit != NULL && strcmp(work->emit, work->topic) == 0) {
        return cli_error(work->cli, CLI_ERR_VALUE,
                         "--emit %s: what is emitted there would be worked on again, for ever", work->emit);
    }
    if (work->drill_text != NULL && !work_drill_parse(work->drill_text, &work->drill)) {
        return cli_error(work->cli, CLI_ERR_VALUE, "--drill takes duplicate, crash, late, with commas between them");
    }
    work->drill.seed = (uint64_t)work->seed;
    return CLI_OK;
}

static int join(struct work *work)
{
    struct evlog_setting settings[SETTING_MAX];
    struct setting_texts texts;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_group_options options = EVLOG_GROUP_OPTIONS_INIT;
    int rc = read_settings(work, settings, &texts);
    if (rc != CLI_OK) {
        return rc;
    }
    options.group = work->group;
    options.topics = &work->topic;
    options.topic_count = 1;
    options.settings = settings;
    options.setting_count = work->settings.count;
    if (evlog_group_open(work->cli->client, &options, &work->member, &failure) != 0) {
        return cli_failure(work->cli, &failure);
    }
    return CLI_OK;
}

static void sum_up(const struct work *work, const struct evlog_group_counts *counts,
                   const struct evlog_emit_counts *emits)
{
    char late[64] = "", drill[64] = "", emitted[64] = "", refused[EVLOG_FAILURE_TEXT_MAX + 64] = "";
    if (counts->lost > 0) {
        (void)snprintf(late, sizeof late, ", %llu leases ended too early", (unsigned long long)counts->lost);
    }
    if (work->drill_count > 0) {
        (void)snprintf(drill, sizeof drill, ", %llu drills", (unsigned long long)work->drill_count);
    }
    if (work->emit != NULL) {
        (void)snprintf(emitted, sizeof emitted, ", %llu events emitted", (unsigned long long)emits->emitted);
    }
    if (emits->refused > 0) {
        (void)snprintf(refused, sizeof refused, "; %llu not emitted: %s", (unsigned long long)emits->refused,
                       emits->refusal.text);
    }
    if (work->cli->json) {
        (void)printf("{\"done\":%llu,\"failed\":%llu,\"dead\":%llu,\"released\":%llu,\"lost\":%llu,\"emitted\":%llu,"
                     "\"not_emitted\":%llu,\"drills\":%llu}\n",
                     (unsigned long long)counts->acked, (unsigned long long)counts->nacked,
                     (unsigned long long)counts->dead, (unsigned long long)counts->released,
                     (unsigned long long)counts->lost, (unsigned long long)emits->emitted,
                     (unsigned long long)emits->refused, (unsigned long long)work->drill_count);
    }
    cli_say(work->cli, "%llu done, %llu failed, %llu refused%s%s%s%s", (unsigned long long)counts->acked,
            (unsigned long long)counts->nacked, (unsigned long long)counts->dead, emitted, late, drill, refused);
}

static int run(struct work *work)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_group_run_options options = EVLOG_GROUP_RUN_OPTIONS_INIT;
    struct evlog_group_counts counts;
    struct evlog_emit_counts emits = EVLOG_EMIT_COUNTS_INIT;
    options.on_event = work->batch > 0 ? NULL : on_event;
    options.on_batch = work->batch > 0 ? on_batch : NULL;
    options.arg = work;
    options.worker_count = (size_t)work->concurrency;
    options.batch_size = work->batch > 0 ? (size_t)work->batch : 1;
    options.handler_ms = (work->drill_text == NULL ? 1 : DRILL_RUNS) * work->timeout_ms + GRACE_MS;
    options.bisect = work->bisect;
    options.until_caught_up = work->until_caught_up;
    options.on_turn = on_turn;
    int rc = evlog_group_run(work->member, &options, &failure);
    cli_progress_end(work->cli);
    evlog_group_counts(work->member, &counts);
    evlog_emit_counts(work->member, &emits);
    rc = rc == 0 ? CLI_OK : cli_failure(work->cli, &failure);
    if (work->start_error != 0) {
        rc = cli_error_remedy(work->cli,
                              (struct cli_remedy){CLI_ERR_PROGRAM, "check the command behind --, and who may run it"},
                              "%s: %s", work->command[0], strerror(work->start_error));
    }
    if (rc == CLI_OK && cli_exit_of(&emits.refusal) == CLI_DENIED) {
        rc = cli_failure(work->cli, &emits.refusal); /* no attempt mends that */
    }
    sum_up(work, &counts, &emits);
    return rc;
}

static int work_on(struct work *work)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    int32_t partition_count;
    int rc = check(work);
    if (rc == CLI_OK) {
        rc = cli_connect(work->cli);
    }
    if (rc == CLI_OK && evlog_topic_partition_count(work->cli->client, work->topic, &partition_count, &failure) != 0) {
        rc = cli_failure(work->cli, &failure);
    }
    if (rc == CLI_OK && work->emit != NULL) {
        rc = publishing_topic(work->cli, work->emit, false, -1);
    }
    if (rc == CLI_OK) {
        evlog_client_set_log(work->cli->client, work->cli->verbose ? EVLOG_LOG_INFO : EVLOG_LOG_WARNING, on_log,
                             work->cli);
        (void)signal(SIGPIPE, SIG_IGN); /* a handler need not read its input */
        rc = join(work);
    }
    if (rc == CLI_OK) {
        rc = run(work);
    }
    if (evlog_group_close(work->member, -1, &failure) != 0) {
        cli_say(work->cli, "%s", failure.text);
    }
    return rc;
}

int cmd_work(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct work work = {.cli = cli, .concurrency = 1, .timeout_ms = TIMEOUT_MS, .seed = 1};
    const struct cli_option options[] = {
        {"group", 'g', CLI_TEXT, &work.group, "GROUP", "whose members share the events"},
        {"batch", 0, CLI_INT, &work.batch, "N", "up to N events at once, as lines of JSON on stdin"},
        {"bisect", 0, CLI_FLAG, &work.bisect, NULL,
         "split a batch that failed until the event that fails stands alone"},
        {"concurrency", 0, CLI_INT, &work.concurrency, "N", "handlers that run at the same time (1)"},
        {"handler-timeout", 0, CLI_DURATION, &work.timeout_ms, "TIME", "longest run of a handler (5m)"},
        {"set", 0, CLI_LIST, &work.settings, "NAME=VALUE", "a setting of the group, such as start=earliest"},
        {"emit", 0, CLI_TEXT, &work.emit, "TOPIC", "publish the lines of the handler's stdout, exactly once"},
        {"until-caught-up", 0, CLI_FLAG, &work.until_caught_up, NULL, "end when what is there now is done"},
        {"drill", 0, CLI_TEXT, &work.drill_text, "KINDS", "make trouble: duplicate,crash,late"},
        {"seed", 0, CLI_INT, &work.seed, "N", "of the drill (1)"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 2, -1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    const char **argument_list = NULL;
    if (rc == CLI_PARSED) {
        argument_list = el_calloc((size_t)words.count, sizeof(char *));
        rc = argument_list == NULL ? cli_error(cli, CLI_ERR_WORDS, "no memory") : CLI_PARSED;
    }
    if (rc == CLI_PARSED) {
        for (int i = 1; i < words.count; i++) {
            argument_list[i - 1] = words.items[i];
        }
        work.topic = words.items[0];
        work.command = argument_list;
        rc = work_on(&work);
    }
    el_free(argument_list);
    cli_list_free(&work.settings);
    return rc;
}
