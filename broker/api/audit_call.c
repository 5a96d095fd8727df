/* SPDX-License-Identifier: Apache-2.0
 *
 * See audit_call.h. A change, in order:
 *
 *   1. a record that it is asked for ("asked") is written, and durable
 *   2. the handler runs; it knows nothing of all this
 *   3. its answer is made, and kept back; a record with what became of it ("done") is written, and durable
 *   4. the answer leaves
 *
 * So nothing is changed that is not in the audit log, and nothing is acknowledged whose outcome is not. When step 1
 * fails nothing is changed, nor when the client has gone by then: rights are those of its connection. When step 3 fails
 * the connection is closed instead of an answer, for the change is made and cannot be acknowledged. With
 * evlog.audit.required=false both go on, and what is missing is counted.
 */
#include <api/api.h>
#include <audit/audit_show.h>
#include <core/crypto.h>
#include <net/net.h>
#include <wire/msg_ext_redrive_tasks.h>
#include <wire/msg_metadata.h>
#include <wire/msg_offset_commit.h>

#define REDRIVE_CANCEL 2
#define ERRORS_LEN_MAX 6144u
#define VERSION_AUTO_CREATE 4 /* of Metadata: older ones always make what is missing */

#define X(NAME, stem, key, list_min, list_max, accept_min, flexible_from, body, operation, audit) API_AUDIT_##audit,
static const struct api_audit_rule audit_rules[] = {
#include <wire/api.def>
};
#undef X
EL_STATIC_ASSERT(sizeof audit_rules / sizeof audit_rules[0] == EL_API_COUNT, "a rule for every API that is listed");

EL_STATIC_ASSERT(AUDIT_PARAMETERS_LEN_MAX + ERRORS_LEN_MAX + AUDIT_BEFORE_LEN_MAX + 2 * CONFIG_PRINCIPAL_MAX +
                         3 * 2 * AUDIT_TEXT_SHOWN_MAX + 1024 <=
                     AUDIT_RECORD_LEN_MAX,
                 "all of a record fits, with each text's characters escaped");

struct audit_call {
    struct api *api;
    struct request *request;
    const void *message;
    api_audit_run_fn run;
    struct audit_op op;
    char id[AUDIT_ID_LEN + 1]; /* of the call, in both records */
    uint8_t *parameters;       /* [AUDIT_PARAMETERS_LEN_MAX] JSON */
    size_t parameters_len;
    bool cut;                    /* parameters are not whole */
    uint8_t *record;             /* [AUDIT_RECORD_LEN_MAX] */
    struct audit_before *before; /* NULL: nothing was told */
    bool before_lost;            /* there was no memory for it */
    struct el_slice principal;   /* copies: the connection may go */
    struct el_slice host;
    struct el_slice why; /* it may not be carried out */
    int16_t unrecorded;  /* what the answer says instead of what was denied */
};

const struct api_audit_rule *api_audit_rule_at(uint32_t index)
{
    EL_ASSERT(index < EL_API_COUNT);
    return &audit_rules[index];
}

static const struct api_audit_rule *rule_of(const struct request *request)
{
    return api_audit_rule_at((uint32_t)(request->api - el_api_at(0)));
}

static struct el_slice listener_of(const struct request *request)
{
    return el_slice_str(request_listener(request)->name);
}

/* --- is it one? --------------------------------------------------------------------------------------------------- */

bool api_audit_when_made(struct api *api, const struct request *request, const void *message)
{
    const struct el_msg_metadata_request *ask = message;
    if (!api->node->auto_create || (request->api_version >= VERSION_AUTO_CREATE && !ask->allow_auto_topic_creation)) {
        return false;
    }
    for (uint32_t i = 0; i < ask->topic_count; i++) {
        struct el_slice name = ask->topics[i].name;
        if (name.len > 0 && store_topic_by_name(api->shard, name) == NULL && api_name_valid(name) &&
            !api_name_reserved(name)) {
            return true;
        }
    }
    return false;
}

bool api_audit_when_alone(struct api *api, const struct request *request, const void *message)
{
    const struct el_msg_offset_commit_request *ask = message;
    (void)api;
    (void)request;
    return ask->member_id.len == 0 && ask->generation_id_or_member_epoch < 0;
}

bool api_audit_when_cancel(struct api *api, const struct request *request, const void *message)
{
    const struct el_msg_ext_redrive_tasks_request *ask = message;
    (void)api;
    (void)request;
    return ask->verb == REDRIVE_CANCEL;
}

/* Has the caller the right to something of what is asked for, somewhere? Who has not is denied all of it, and that is
 * summed: strangers cannot fill the log with what they would like to change. */
static bool could_anything(struct api *api, const struct request *request)
{
    const struct api_rule *rule = api_rule_of(request);
    if (api->auth == NULL || !api->auth->enabled || rule->resource == EL_ACL_RESOURCE_ANY) {
        return true;
    }
    return api_could_somewhere(api, request, rule->operation, rule->resource) ||
           api_could_somewhere(api, request, rule->operation, EL_ACL_RESOURCE_CLUSTER) ||
           request->api->key == EL_API_Metadata;
}

/* --- records ------------------------------------------------------------------------------------------------------ */

static void show_call(struct audit_call *call, struct el_json_writer *w, const char *phase)
{
    const struct request *request = call->request;
    audit_show_head(w, call->op.id, config_audit_word(CONFIG_AUDIT_CHANGES), io_wall(call->api->io));
    el_json_add_str(w, "phase", phase);
    el_json_add_str(w, "call", call->id);
    el_json_add_str(w, "api", request->api->name);
    el_json_add_int(w, "version", request->api_version);
    el_json_key(w, "principal");
    audit_show_principal(w, call->principal);
    el_json_key(w, "address");
    audit_show_text(w, call->host);
    el_json_key(w, "listener");
    audit_show_text(w, listener_of(request));
    el_json_key(w, "client_id");
    audit_show_text(w, request->client_id);
    el_json_add_int(w, "correlation_id", request->correlation_id);
    el_json_key(w, "parameters");
    el_json_put_raw(w, el_slice_of(call->parameters, call->parameters_len));
    if (call->cut) {
        el_json_add_bool(w, "parameters_cut", true);
    }
}

static void show_outcome(const struct audit_call *call, struct el_json_writer *w, const struct el_schema *schema,
                         const void *response)
{
    struct audit_outcome outcome;
    int version = call->request->api_version;
    uint8_t text[ERRORS_LEN_MAX];
    struct el_buffer out;
    struct el_json_writer errors;
    el_buffer_fix(&out, text, sizeof text);
    el_json_writer_init(&errors, &out);
    el_json_begin_array(&errors);
    audit_show_answer(&errors, schema, version, response, &outcome);
    el_json_end_array(&errors);
    bool shown = el_json_writer_end(&errors) == 0;
    bool all = outcome.failed > 0 && outcome.failed == outcome.count;
    el_json_add_str(w, "outcome", outcome.failed == 0 ? "ok" : outcome.denied ? "denied" : all ? "failed" : "partial");
    if (outcome.failed > 0) {
        el_json_add_str(w, "error", el_kafka_error_name(outcome.first));
        el_json_add_uint(w, "failed", outcome.failed);
        el_json_add_uint(w, "of", outcome.count);
    }
    if (outcome.failed > 0 && shown) {
        el_json_key(w, "errors");
        el_json_put_raw(w, el_buffer_slice(&out));
    }
}

static void show_before(const struct audit_call *call, struct el_json_writer *w)
{
    if (call->before != NULL) {
        audit_before_show(call->before, w);
    } else if (call->before_lost) {
        el_json_add_bool(w, "before_cut", true);
    }
}

/* outcome NULL: it is asked for; else response is an answer, or NULL when there is none. */
static void record_make(struct audit_call *call, const char *outcome, const struct el_schema *schema,
                        const void *response)
{
    struct el_buffer out;
    struct el_json_writer w;
    audit_id(call->api->audit, call->op.id);
    el_buffer_fix(&out, call->record, AUDIT_RECORD_LEN_MAX);
    el_json_writer_init(&w, &out);
    el_json_begin_object(&w);
    show_call(call, &w, outcome == NULL ? "asked" : "done");
    if (response != NULL) {
        show_outcome(call, &w, schema, response);
        show_before(call, &w);
    } else if (outcome != NULL) {
        el_json_add_str(&w, "outcome", outcome);
    }
    el_json_end_object(&w);
    int code = el_json_writer_end(&w);
    EL_ASSERT(code == 0); /* all parts are bounded, and fit together */
    call->op.value = el_buffer_slice(&out);
}

/* --- the outcome -------------------------------------------------------------------------------------------------- */

static void done_on_write(struct audit_op *op)
{
    struct audit_call *call = op->arg;
    if (op->error == 0 || !audit_required(call->api->audit)) {
        if (op->error != 0) {
            audit_lost(call->api->audit);
        }
        request_go(call->request);
        return;
    }
    metrics_add(call->api->metrics, METRIC_AUDIT_REFUSED, 1);
    request_withhold(call->request, "it has been carried out, and the audit log cannot keep that: no answer");
}

static void call_on_reply(struct request *request, const struct el_schema *schema, void *response)
{
    EL_ASSERT(request->watch != NULL);
    record_make(request->watch, "", schema, response);
}

static void call_on_replied(struct request *request)
{
    struct audit_call *call = request->watch;
    EL_ASSERT(call->request == request);
    call->op.done = done_on_write;
    audit_write(call->api->audit, &call->op);
}

struct audit_before *api_audit_before(struct request *request)
{
    struct audit_call *call = request->watch;
    if (call == NULL || request->unrecorded) {
        return NULL;
    }
    EL_ASSERT(call->request == request);
    if (call->before == NULL && !call->before_lost) {
        call->before = el_arena_alloc(&request->arena, sizeof *call->before);
        call->before_lost = call->before == NULL;
        if (!call->before_lost) {
            audit_before_init(call->before);
        }
    }
    return call->before;
}

/* --- the question ------------------------------------------------------------------------------------------------- */

static void unrecorded_on_reply(struct request *request, const struct el_schema *schema, void *response)
{
    const struct audit_call *call = request->watch;
    audit_answer_replace(schema, request->api_version, response, call->unrecorded, call->why);
}

/* It may not be carried out. */
static void refuse(struct audit_call *call, int error)
{
    struct request *request = call->request;
    metrics_add(call->api->metrics, METRIC_AUDIT_REFUSED, 1);
    bool group = api_rule_of(request)->resource == EL_ACL_RESOURCE_GROUP;
    call->unrecorded = group ? api_group_error(error) : api_error(error, false);
    struct el_slice text = api_append_message(error);
    call->why = api_textf(request, "the audit log cannot keep a record of this change (evlog.audit.required): %.*s",
                          (int)text.len, (const char *)text.data);
    request->unrecorded = true;
    request->watch = call;
    request->on_reply = unrecorded_on_reply;
    if (api_rule_of(request)->scope == API_SCOPE_WHOLE) {
        api_rule_refuse(call->api, request, error);
    } else {
        call->run(call->api, request, call->message);
    }
}

static void abandoned_on_write(struct audit_op *op)
{
    struct audit_call *call = op->arg;
    if (op->error != 0) {
        audit_lost(call->api->audit);
    }
    request_end_silent(call->request);
}

static void asked_on_write(struct audit_op *op)
{
    struct audit_call *call = op->arg;
    struct request *request = call->request;
    if (op->error != 0 && audit_required(call->api->audit)) {
        refuse(call, op->error); /* which asks for no right */
        return;
    }
    if (op->error != 0) {
        audit_lost(call->api->audit);
    }
    if (request_abandoned(request)) {
        record_make(call, "abandoned", NULL, NULL);
        op->done = abandoned_on_write;
        audit_write(call->api->audit, op);
        return;
    }
    EL_ASSERT(request->watch == NULL);
    EL_ASSERT(!request->unrecorded);
    request->watch = call;
    request->on_reply = call_on_reply;
    request->on_replied = call_on_replied;
    call->run(call->api, request, call->message);
}

static struct el_slice copy(struct request *request, struct el_slice text)
{
    const char *to = el_arena_strndup(&request->arena, (const char *)text.data, text.len);
    return to == NULL ? (struct el_slice){0} : el_slice_of(to, text.len);
}

static struct audit_call *call_make(struct api *api, struct request *request)
{
    struct audit_call *call = api_alloc(api, request, 1,
                                        sizeof *call + AUDIT_PARAMETERS_LEN_MAX + AUDIT_RECORD_LEN_MAX);
    if (call == NULL) {
        return NULL;
    }
    struct auth_caller caller;
    request_caller(request, &caller);
    call->api = api;
    call->request = request;
    call->parameters = (uint8_t *)(call + 1);
    call->record = call->parameters + AUDIT_PARAMETERS_LEN_MAX;
    call->principal = copy(request, caller.principal);
    call->host = copy(request, caller.host);
    return call;
}

bool api_audit_begin(struct api *api, struct request *request, const void *message, api_audit_run_fn run)
{
    const struct api_audit_rule *rule = rule_of(request);
    if (rule->kind != API_AUDIT_CHANGE || api->audit == NULL || !audit_wants(api->audit, CONFIG_AUDIT_CHANGES) ||
        (rule->when != NULL && !rule->when(api, request, message))) {
        return false;
    }
    if (!could_anything(api, request)) {
        request->unrecorded = true; /* so that whatever it asks for is denied */
        return false;
    }
    struct audit_call *call = call_make(api, request);
    if (call == NULL) {
        return true; /* refused, for want of memory */
    }
    struct el_buffer out;
    el_buffer_fix(&out, call->parameters, AUDIT_PARAMETERS_LEN_MAX);
    audit_show_request(&out, request->api->schema[EL_SIDE_REQUEST], request->api_version, message, &call->cut);
    EL_ASSERT(out.len <= AUDIT_PARAMETERS_LEN_MAX);
    call->parameters_len = out.len;
    call->message = message;
    call->run = run;
    call->op.done = asked_on_write;
    call->op.arg = call;
    audit_id(api->audit, call->id);
    record_make(call, NULL, NULL, NULL);
    audit_write(api->audit, &call->op);
    return true;
}

/* --- notes -------------------------------------------------------------------------------------------------------- */

static void note(struct api *api, const struct request *request, struct audit_note *note)
{
    struct auth_caller caller;
    request_caller(request, &caller);
    note->principal = note->principal.data == NULL ? caller.principal : note->principal;
    note->address = caller.host;
    note->listener = listener_of(request);
    audit_note(api->audit, note);
}

void api_audit_denied(struct api *api, const struct request *request, int operation, int resource, struct el_slice name)
{
    char text[AUTH_NAME_LEN_MAX + 32];
    if (api->audit == NULL) {
        return;
    }
    int len = snprintf(text, sizeof text, "%s %.*s", el_acl_resource_name(resource),
                       (int)EL_MIN(name.len, (size_t)AUTH_NAME_LEN_MAX),
                       name.data == NULL ? "" : (const char *)name.data);
    note(api, request,
         &(struct audit_note){.class = CONFIG_AUDIT_DENIALS,
                              .action = el_slice_str(request->api->name),
                              .resource = el_slice_of(text, EL_MIN((size_t)len, sizeof text - 1)),
                              .outcome = "denied",
                              .detail = el_slice_str(el_acl_operation_name(operation))});
}

void api_audit_access(struct api *api, const struct request *request, int operation, const struct topic *topic)
{
    if (api->audit == NULL || !audit_wants(api->audit, CONFIG_AUDIT_ACCESS) || !rule_of(request)->access ||
        (operation != EL_ACL_OP_READ && operation != EL_ACL_OP_WRITE)) {
        return;
    }
    note(api, request,
         &(struct audit_note){.class = CONFIG_AUDIT_ACCESS,
                              .action = el_slice_str(operation == EL_ACL_OP_READ ? "read" : "write"),
                              .resource = el_slice_of(topic->name, topic->name_len),
                              .outcome = "ok"});
}

void api_audit_proof(struct api *api, const struct request *request, struct el_slice name, const char *mechanism,
                     const char *outcome)
{
    if (api->audit == NULL) {
        return;
    }
    note(api, request,
         &(struct audit_note){.class = CONFIG_AUDIT_AUTHENTICATION,
                              .principal = name.data == NULL ? el_slice_str("") : name,
                              .action = el_slice_str(mechanism),
                              .outcome = outcome});
}

void api_audit_tls(const struct net_handshake *handshake, const char *listener, struct api_audit_texts *texts,
                   struct audit_note *note)
{
    char digest[2 * sizeof handshake->certificate + 1];
    *note = (struct audit_note){.class = CONFIG_AUDIT_AUTHENTICATION,
                                .principal = el_slice_str(""),
                                .address = handshake->address,
                                .listener = el_slice_str(listener),
                                .action = el_slice_str("TLS"),
                                .outcome = "failed",
                                .detail = el_slice_str(handshake->failure)};
    if (handshake->principal != NULL) {
        el_hex(digest, handshake->certificate, sizeof handshake->certificate);
        snprintf(texts->certificate, sizeof texts->certificate, "Certificate sha256:%s", digest);
        snprintf(texts->agreed, sizeof texts->agreed, "%s %s", handshake->version, handshake->cipher);
        note->principal = el_slice_str(handshake->principal);
        note->resource = el_slice_str(texts->certificate);
        note->outcome = "ok";
        note->detail = el_slice_str(texts->agreed);
    }
}

void api_audit_handshake(void *arg, const struct net_handshake *handshake)
{
    struct api *api = arg;
    struct api_audit_texts texts;
    struct audit_note note;
    OBJ_CHECK(api, API);
    if (api->audit != NULL) {
        api_audit_tls(handshake, handshake->listener->name, &texts, &note);
        audit_note(api->audit, &note);
    }
}
