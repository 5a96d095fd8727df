/* SPDX-License-Identifier: Apache-2.0
 *
 * From a request's bytes to its handler. Runs on the connection's shard.
 *
 *   1. the API must be known and its version be one that is answered; an unknown ApiVersions has an answer of its own
 *   2. the body is decoded into the request's arena, to its last byte
 *   3. the caller is asked for its right, where the rule of the row is about the whole request (allow.h)
 *   4. what changes something is written into the audit log first (audit_call.h)
 *   5. what it uses of its caller's limits is counted (throttle.h)
 *   6. the handler of the row is called; it asks for each resource where the rule says so
 *
 * What fails here has no error layout to answer with: net closes the connection, counts the reason and logs it.
 * Source: docs/protocol.md, Version negotiation.
 */
#include <api/throttle.h>

/* The table has the rows of api.def, so it cannot lack one; the handler's name is made from the row's stem. */
#define X(NAME, stem, key, list_min, list_max, accept_min, flexible_from, body, operation, audit) {key, api_##stem},
static const struct api_row {
    int16_t key;
    api_handler_fn run;
} api_rows[] = {
#include <wire/api.def>
};
#undef X
EL_STATIC_ASSERT(sizeof api_rows / sizeof api_rows[0] == EL_API_COUNT, "a handler for every API that is listed");

static const struct api_row *row_of(const struct el_api *known)
{
    for (uint32_t i = 0; i < EL_API_COUNT; i++) {
        if (api_rows[i].key == known->key) {
            return &api_rows[i];
        }
    }
    return NULL;
}

static void refuse_decode(struct api *api, struct request *request, int error)
{
    if (error == EVLOG_ERR_NO_MEMORY) {
        metrics_add(api->metrics, METRIC_REFUSED_MEMORY, 1);
        request_close(request, "no memory left to decode it: raise memory.max or send smaller requests");
        return;
    }
    request_refuse(request, error == EVLOG_ERR_TRUNCATED ? "its body ends too early" : "its body is malformed");
}

/* Nothing may be left over behind a body, with two exceptions: librdkafka 2.16 asks for the metadata of all topics with
 * the three unused bytes of a null entry behind it, and for changes of users with one empty tagged section too many;
 * brokers that do not look are what it was tested with. */
static int decode(const struct el_api *known, struct request *request, void *message)
{
    struct el_reader reader;
    el_reader_init(&reader, request->body.data, request->body.len);
    if (known->key == EL_API_Metadata || known->key == EL_API_AlterUserScramCredentials) {
        return el_schema_decode(known->schema[EL_SIDE_REQUEST], request->api_version, &reader, &request->arena,
                                message);
    }
    return el_api_decode(known, EL_SIDE_REQUEST, request->api_version, &reader, &request->arena, message);
}

/* What a connection may send before it has proved who it is. */
static bool proves(const struct el_api *known)
{
    return known->key == EL_API_ApiVersions || known->key == EL_API_SaslHandshake ||
           known->key == EL_API_SaslAuthenticate;
}

/* Whoever has proved to be somebody that was removed since, or whose keys of that mechanism were, also when the name is
 * there again: a proof has no end by itself unless connections.max.reauth.ms says so, and who takes a user away means
 * it. */
bool api_proof_gone(void *arg, const char *principal, const struct net_proof *proof)
{
    static const char prefix[] = "User:";
    const struct api *api = arg;
    OBJ_CHECK(api, API);
    if (proof->mechanism == 0 || api->auth == NULL) {
        return false;
    }
    int mechanism = proof->mechanism == SASL_PLAIN ? 0 : proof->mechanism; /* either's keys are of one password */
    EL_ASSERT(strlen(principal) >= sizeof prefix - 1);
    return !auth_user_since(api->auth, mechanism, el_slice_str(principal + sizeof prefix - 1), proof->births);
}

static bool user_gone(struct api *api, const struct request *request)
{
    struct net_proof proof = request_proof(request);
    return api_proof_gone(api, request_principal(request), &proof);
}

/* What asks for users, rules and limits themselves. */
static bool asks_access(const struct el_api *known)
{
    switch (known->key) {
    case EL_API_DescribeUserScramCredentials:
    case EL_API_AlterUserScramCredentials:
    case EL_API_DescribeClientQuotas:
    case EL_API_AlterClientQuotas:
    case EL_API_DescribeAcls:
    case EL_API_CreateAcls:
    case EL_API_DeleteAcls:
        return true;
    default:
        return false;
    }
}

/* Users and rules are being read: everything waits for them that needs them. */
static bool must_wait(const struct api *api, const struct request *request)
{
    bool needs = api->auth != NULL &&
                 (api->auth->enabled || config_protocol_has_sasl(request_listener(request)->protocol) ||
                  asks_access(request->api));
    return needs && api->access != NULL && !access_known(api->access);
}

static void waiting_on_abandon(struct request *request)
{
    el_list_remove(&request->link);
    request_end_silent(request);
}

static void wait_for_access(struct api *api, struct request *request)
{
    if (access_failed(api->access)) {
        metrics_add(api->metrics, METRIC_REFUSED_OTHER, 1);
        request_close(request, "users and access rules cannot be read: the log says why");
        return;
    }
    request->on_abandon = waiting_on_abandon;
    el_list_push_back(&api->access_list, &request->link);
}

void api_access_known(struct api *api)
{
    OBJ_CHECK(api, API);
    struct el_list waiting;
    el_list_init(&waiting);
    el_list_splice_back(&waiting, &api->access_list);
    for (struct el_list *node = el_list_pop_front(&waiting); node != NULL; node = el_list_pop_front(&waiting)) {
        struct request *request = EL_CONTAINER(node, struct request, link);
        request->on_abandon = NULL;
        api_dispatch(api, request);
    }
}

/* An api_audit_run_fn. */
static void run(struct api *api, struct request *request, const void *message)
{
    const struct api_row *row = row_of(request->api);
    struct api_spent spent;
    EL_ASSERT(row != NULL);
    api_throttle_begin(api, request, &spent);
    row->run(api, request, message);
    api_throttle_end(api, &spent);
}

void api_dispatch(void *arg, struct request *request)
{
    struct api *api = arg;
    OBJ_CHECK(api, API);
    EL_ASSERT(request->magic == REQUEST_MAGIC);
    const struct el_api *known = request->api;
    if (known == NULL || !el_api_accepts(known, request->api_version)) {
        if (known != NULL && known->key == EL_API_ApiVersions) {
            api_versions_fallback(api, request);
            return;
        }
        request_refuse(request,
                       known == NULL ? "evlogd does not know this API" : "evlogd does not answer this version");
        return;
    }
    if (!request_trusted(request) && !proves(known)) {
        request_refuse(request, request_proved_by(request) != 0
                                    ? "it was trusted for a time that is over: clients prove again who they are before"
                                    : "it has not proved who it is (SASL), and the listener wants that first");
        return;
    }
    if (user_gone(api, request) && !proves(known)) {
        metrics_add(api->metrics, METRIC_REFUSED_OTHER, 1);
        request_close(request, "its user was removed");
        return;
    }
    if (must_wait(api, request)) {
        wait_for_access(api, request);
        return;
    }
    const struct el_schema *schema = known->schema[EL_SIDE_REQUEST];
    void *message = el_arena_zalloc(&request->arena, schema->size);
    if (message == NULL) {
        refuse_decode(api, request, EVLOG_ERR_NO_MEMORY);
        return;
    }
    int error = decode(known, request, message);
    if (error != 0) {
        refuse_decode(api, request, error);
        return;
    }
    error = api_rule_ask(api, request, message);
    if (error != 0) {
        api_rule_refuse(api, request, error);
        return;
    }
    request_mark(request, REQUEST_BEGUN, api->io->now_ns);
    if (!api_audit_begin(api, request, message, run)) {
        run(api, request, message);
    }
}
