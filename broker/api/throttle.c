/* SPDX-License-Identifier: Apache-2.0 */
#include <api/throttle.h>

#define NS_PER_MS 1000000u
#define NS_PER_S 1000000000u
#define PERCENT 100.0

enum traffic { TRAFFIC_OTHER, TRAFFIC_WRITES, TRAFFIC_READS };

/* Requests that carry events, one way or the other. Those with emits carry few and count as any. */
static enum traffic traffic_of(const struct el_api *known)
{
    switch (known->key) {
    case EL_API_Produce:
    case EL_API_StreamAppend:
        return TRAFFIC_WRITES;
    case EL_API_Fetch:
    case EL_API_ShareFetch:
    case EL_API_LogFetch:
    case EL_API_FilterFetch:
    case EL_API_StreamRead:
    case EL_API_TypeRead:
        return TRAFFIC_READS;
    default:
        return TRAFFIC_OTHER;
    }
}

/* Nobody has to keep to a limit: the one question that every request costs. */
static bool none(const struct api *api)
{
    return api->budget == NULL || api->auth == NULL || quota_count(&api->auth->quotas) == 0;
}

static uint64_t burst_ns(const struct api *api)
{
    return (uint64_t)api->node->config->quota_window_s * NS_PER_S;
}

/* The caller's limit and its budget. returns false: it has none */
static bool limit_of(const struct api *api, const struct request *request, enum quota_kind kind, struct quota_hit *hit,
                     uint64_t *id)
{
    static const char prefix[] = "User:";
    struct auth_caller who;
    request_caller(request, &who);
    EL_ASSERT(who.principal.len >= sizeof prefix - 1);
    struct quota_caller caller = {
        .user = el_slice_of(who.principal.data + sizeof prefix - 1, who.principal.len - (sizeof prefix - 1)),
        .client_id = request->client_id,
    };
    if (!quota_find(&api->auth->quotas, kind, &caller, hit)) {
        return false;
    }
    *id = quota_budget_id(api->budget, kind, hit, &caller);
    EL_ASSERT(hit->limit > 0);
    EL_ASSERT(*id != 0);
    return true;
}

static uint64_t charge(struct api *api, uint64_t id, double amount, double limit)
{
    struct quota_use use = {
        .id = id,
        .now_ns = api->io->now_ns,
        .cost_ns = quota_cost_ns(amount, limit),
        .burst_ns = burst_ns(api),
    };
    return quota_budget_charge(api->budget, &use);
}

/* Have the client stay away, if it has to. returns whether it has */
static bool stay_away(struct api *api, struct request *request, uint64_t wait_ns, enum metric_id counter)
{
    uint64_t wait_ms = (wait_ns + NS_PER_MS - 1) / NS_PER_MS;
    EL_ASSERT(wait_ms <= UINT32_MAX);
    if (wait_ms == 0) {
        return false;
    }
    metrics_add(api->metrics, counter, 1);
    metrics_observe_ns(api->metrics, METRIC_THROTTLE_SECONDS, wait_ns);
    request_throttle(request, (uint32_t)wait_ms);
    return true;
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

static void begin_writing(struct api *api, struct request *request)
{
    struct quota_hit hit;
    uint64_t id;
    if (!limit_of(api, request, QUOTA_PRODUCE, &hit, &id)) {
        return;
    }
    uint64_t wait_ns = charge(api, id, (double)request->frame_len, hit.limit);
    if (stay_away(api, request, wait_ns, METRIC_THROTTLED_PRODUCE)) {
        metrics_add(api->metrics, METRIC_THROTTLED_PRODUCE_BYTES, (int64_t)request->frame_len);
    }
}

static void begin_reading(struct api *api, struct request *request)
{
    struct quota_hit hit;
    uint64_t id;
    if (limit_of(api, request, QUOTA_CONSUME, &hit, &id)) {
        request->metered = true;
        stay_away(api, request, charge(api, id, 0, hit.limit), METRIC_THROTTLED_CONSUME);
    }
}

void api_throttle_begin(struct api *api, struct request *request, struct api_spent *spent)
{
    struct quota_hit hit;
    spent->id = 0;
    if (none(api)) {
        return;
    }
    if (limit_of(api, request, QUOTA_REQUEST, &hit, &spent->id)) {
        spent->limit = hit.limit;
        spent->from_ns = io_mono(api->io);
        stay_away(api, request, charge(api, spent->id, 0, hit.limit), METRIC_THROTTLED_REQUEST);
    }
    switch (traffic_of(request->api)) {
    case TRAFFIC_WRITES:
        begin_writing(api, request);
        break;
    case TRAFFIC_READS:
        begin_reading(api, request);
        break;
    case TRAFFIC_OTHER:
        break;
    }
}

void api_throttle_end(struct api *api, const struct api_spent *spent)
{
    if (spent->id != 0) {
        EL_ASSERT(io_mono(api->io) >= spent->from_ns);
        EL_ASSERT(spent->limit > 0);
        double seconds = (double)(io_mono(api->io) - spent->from_ns) / NS_PER_S;
        charge(api, spent->id, seconds * PERCENT, spent->limit);
    }
}

void api_throttle_meter(void *arg, struct request *request, size_t len)
{
    struct api *api = arg;
    struct quota_hit hit;
    uint64_t id;
    OBJ_CHECK(api, API);
    if (!limit_of(api, request, QUOTA_CONSUME, &hit, &id)) {
        return; /* it was removed meanwhile */
    }
    uint64_t wait_ns = charge(api, id, (double)len, hit.limit);
    if (stay_away(api, request, wait_ns, METRIC_THROTTLED_CONSUME)) {
        metrics_add(api->metrics, METRIC_THROTTLED_CONSUME_BYTES, (int64_t)len);
    }
}

uint32_t api_throttle_len_max(struct api *api, const struct request *request, uint32_t bytes_max)
{
    struct quota_hit hit;
    uint64_t id;
    if (!request->metered || !limit_of(api, request, QUOTA_CONSUME, &hit, &id)) {
        return bytes_max;
    }
    double burst = hit.limit * (double)api->node->config->quota_window_s;
    return burst < (double)bytes_max ? (uint32_t)burst : bytes_max;
}

/* --- connections -------------------------------------------------------------------------------------------------- */

bool api_throttle_admit(void *arg, struct el_slice address)
{
    struct api *api = arg;
    OBJ_CHECK(api, API);
    double limit = none(api) ? 0 : quota_find_ip(&api->auth->quotas, address);
    if (limit <= 0) {
        return true;
    }
    struct quota_use use = {
        .id = quota_budget_ip_id(api->budget, address),
        .now_ns = api->io->now_ns,
        .cost_ns = quota_cost_ns(1, limit),
        .burst_ns = burst_ns(api),
    };
    return quota_budget_try(api->budget, &use);
}
