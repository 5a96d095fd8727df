/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the time of a request went: histograms of appends, and a line for each operation that was slow.
 *
 * Handlers set marks as a request comes along; a stage is the time from the mark before it. What a client asked to wait
 * for (a long poll, the others of its group) is no slowness and taken off. The line names the trace that the request
 * belongs to, which is looked for then only.
 */
#include <core/logger.h>
#include <net/conn.h>

#define NS_PER_MS 1000000u
#define CLIENT_ID_SHOWN 128

enum stage { STAGE_QUEUE, STAGE_CHECK, STAGE_STORE, STAGE_WORK, STAGE_ANSWER, STAGE_WAIT, STAGE_TOTAL, STAGE_COUNT };

static const char *const stage_names[STAGE_COUNT] = {"queue_ms",  "check_ms", "store_ms", "work_ms",
                                                     "answer_ms", "wait_ms",  "total_ms"};

/* Marks may be missing, and those within one step of the loop may seem to come in another order. */
static uint64_t between(uint64_t from_ns, uint64_t until_ns)
{
    return until_ns > from_ns ? until_ns - from_ns : 0;
}

static void stages_of(const struct request *request, bool left, uint64_t stages[STAGE_COUNT])
{
    uint64_t now_ns = request->net->io->now_ns;
    uint64_t begun = request->mark_ns[REQUEST_BEGUN] != 0 ? request->mark_ns[REQUEST_BEGUN] : request->received_ns;
    uint64_t checked = request->mark_ns[REQUEST_CHECKED], stored = request->mark_ns[REQUEST_STORED];
    uint64_t answered = request->mark_ns[REQUEST_ANSWERED] != 0 ? request->mark_ns[REQUEST_ANSWERED] : now_ns;
    uint64_t waited = request->waited_ns;
    waited += request->wait_from_ns != 0 ? between(request->wait_from_ns, answered) : 0;
    bool appends = checked != 0;
    uint64_t stored_by = stored != 0 && stored < answered ? stored : answered;
    stages[STAGE_QUEUE] = between(request->received_ns, begun);
    stages[STAGE_CHECK] = appends ? between(begun, checked) : 0;
    stages[STAGE_STORE] = appends ? between(checked, stored_by) : 0;
    stages[STAGE_WORK] = appends ? 0 : between(waited, between(begun, answered));
    stages[STAGE_ANSWER] = left ? between(answered, now_ns) : 0;
    stages[STAGE_WAIT] = waited;
    stages[STAGE_TOTAL] = between(request->received_ns + waited, now_ns);
}

/* A client's word, cut. */
static const char *shown(struct el_slice word, char text[CLIENT_ID_SHOWN + 1])
{
    size_t len = EL_MIN(word.len, (size_t)CLIENT_ID_SHOWN);
    if (len > 0) {
        memcpy(text, word.data, len);
    }
    text[len] = '\0';
    return text;
}

static void say_slow(const struct request *request, const uint64_t stages[STAGE_COUNT])
{
    char client[CLIENT_ID_SHOWN + 1], trace_id[NET_TRACE_ID_LEN + 1];
    const struct net_config *config = &request->net->config;
    struct el_log_field fields[8 + STAGE_COUNT] = {
        {.name = "api", .text = request->api == NULL ? "unknown" : request->api->name},
        {.name = "version", .number = request->api_version},
        {.name = "client_id", .text = shown(request->client_id, client)},
        {.name = "principal", .text = request_principal(request)},
        {.name = "address", .text = request_peer(request)},
        {.name = "request_bytes", .number = (int64_t)request->frame_len},
        {.name = "answer_bytes", .number = (int64_t)request->reply_len_all},
    };
    for (size_t i = 0; i < STAGE_COUNT; i++) {
        fields[7 + i] = (struct el_log_field){.name = stage_names[i], .number = (int64_t)(stages[i] / NS_PER_MS)};
    }
    size_t count = 7 + STAGE_COUNT;
    if (config->trace_id != NULL && config->trace_id(config->arg, request, trace_id)) {
        fields[count++] = (struct el_log_field){.name = "trace_id", .text = trace_id};
    }
    el_log_fields(EL_LOG_WARN, "net", fields, count, "slow operation");
}

void request_times_note(struct request *request)
{
    struct net *net = request->net;
    uint64_t stages[STAGE_COUNT];
    if (request->noted) {
        return;
    }
    request->noted = true;
    bool left = request->conn != NULL && request->reply_len == 0;
    stages_of(request, left, stages);
    if (request->mark_ns[REQUEST_STORED] != 0) {
        metrics_observe_ns(net->metrics, METRIC_APPEND_QUEUE_SECONDS, stages[STAGE_QUEUE]);
        metrics_observe_ns(net->metrics, METRIC_APPEND_CHECK_SECONDS, stages[STAGE_CHECK]);
        metrics_observe_ns(net->metrics, METRIC_APPEND_STORE_SECONDS, stages[STAGE_STORE]);
        if (left) {
            metrics_observe_ns(net->metrics, METRIC_APPEND_ANSWER_SECONDS, stages[STAGE_ANSWER]);
        }
    }
    if (net->config.slow_ns == 0 || stages[STAGE_TOTAL] < net->config.slow_ns) {
        return;
    }
    metrics_add(net->metrics, METRIC_OPERATIONS_SLOW, 1);
    if (net_may_log_slow(net)) {
        say_slow(request, stages);
    }
}

void request_mark(struct request *request, enum request_mark mark, uint64_t now_ns)
{
    OBJ_CHECK(request, REQUEST);
    EL_ASSERT((unsigned)mark < REQUEST_MARK_COUNT);
    request->mark_ns[mark] = now_ns;
}

void request_wait_begin(struct request *request)
{
    OBJ_CHECK(request, REQUEST);
    if (request->wait_from_ns == 0) {
        request->wait_from_ns = request->net->io->now_ns;
    }
}

void request_wait_end(struct request *request)
{
    OBJ_CHECK(request, REQUEST);
    if (request->wait_from_ns != 0) {
        request->waited_ns += between(request->wait_from_ns, request->net->io->now_ns);
        request->wait_from_ns = 0;
    }
}
