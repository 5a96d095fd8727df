/* SPDX-License-Identifier: Apache-2.0
 *
 * SaslAuthenticate: one message of the exchange that SaslHandshake has begun.
 *
 *   1. the message goes to the exchange (auth/sasl.h); what it answers is the answer
 *   2. PLAIN has to be computed for milliseconds: a worker does it, on a copy, for the connection may go meanwhile
 *   3. it has ended well: the connection has its principal and is trusted, for connections.max.reauth.ms if that is set
 *   4. it has failed: nothing more is read of the connection, whose next attempts would not wait otherwise; the answer
 *      is kept back for a while, says nothing of why, and is the last
 *
 * Who proves it again must be the one that it was, and by the same mechanism (KIP-368): a password that may be shown to
 * one listener's clients must not stand in for a stronger proof. Source: docs/security.md, Users.
 */
#include <api/sasl_offer.h>
#include <core/logger.h>
#include <stdio.h>
#include <wire/msg_sasl_authenticate.h>

#define CHECKS_MAX 64u /* passwords of PLAIN that workers look at, of a shard */
#define LOG_INTERVAL_NS 1000000000u
#define NS_PER_MS 1000000u

struct authenticate_call {
    struct api *api;
    struct request *request;
    struct io_timer delay;
    struct io_op job;
    struct sasl check; /* a copy, while a worker has it */
};

static void reply(struct request *request, int16_t code, const char *text, struct el_slice bytes, int64_t lifetime_ms)
{
    struct el_msg_sasl_authenticate_response response;
    el_schema_init(&el_schema_sasl_authenticate_response, &response);
    response.error_code = code;
    response.error_message = el_slice_str(text);
    response.auth_bytes = bytes;
    response.session_lifetime_ms = lifetime_ms;
    request_reply(request, &el_schema_sasl_authenticate_response, &response);
}

/* --- failure ------------------------------------------------------------------------------------------------------ */

static void fail_now(struct authenticate_call *call)
{
    reply(call->request, EL_KAFKA_SASL_AUTHENTICATION_FAILED,
          "authentication failed: wrong user, password or mechanism", (struct el_slice){0}, 0);
}

static void delay_on_timer(struct io_timer *timer)
{
    fail_now(timer->arg);
}

static void delay_on_abandon(struct request *request)
{
    struct authenticate_call *call = request->user;
    io_timer_cancel(call->api->io, &call->delay);
    request_end_silent(request);
}

static void log_failure(struct api *api, const struct request *request, const char *why)
{
    const struct sasl *sasl = request_sasl(request);
    struct el_slice name = sasl == NULL ? (struct el_slice){0} : sasl_user(sasl);
    metrics_add(api->metrics, METRIC_AUTHENTICATION_FAILURES, 1);
    api_audit_proof(api, request, name, sasl == NULL ? "SASL" : sasl_name(sasl->mechanism), "failed");
    if (api->sasl_log_ns != 0 && api->io->now_ns - api->sasl_log_ns < LOG_INTERVAL_NS) {
        return;
    }
    api->sasl_log_ns = api->io->now_ns;
    el_log(EL_LOG_WARN, "auth", "%s: user \"%.*s\" could not prove who it is (%s)%s", request_peer(request),
           (int)name.len, name.data == NULL ? "" : (const char *)name.data,
           sasl == NULL ? "no mechanism" : sasl_name(sasl->mechanism), why);
}

static void fail(struct authenticate_call *call, const char *why)
{
    struct api *api = call->api;
    int64_t delay_ms = api->node->config->auth_delay_ms;
    log_failure(api, call->request, why);
    request_sasl_end(call->request);
    request_is_last(call->request);
    if (delay_ms <= 0 || request_abandoned(call->request)) {
        fail_now(call);
        return;
    }
    call->request->user = call;
    call->request->on_abandon = delay_on_abandon;
    request_wait_begin(call->request); /* the broker's own choice */
    call->delay = (struct io_timer){.fire = delay_on_timer, .arg = call};
    io_timer_set(api->io, &call->delay, api->io->now_ns + (uint64_t)delay_ms * NS_PER_MS);
}

/* --- success ------------------------------------------------------------------------------------------------------ */

static void trust(struct authenticate_call *call, const struct sasl *sasl, struct el_slice bytes)
{
    struct api *api = call->api;
    struct request *request = call->request;
    char principal[AUTH_USER_NAME_MAX + 8];
    int64_t reauth_ms = api->node->config->reauth_max_ms;
    struct net_proof proof = {.mechanism = sasl->mechanism, .births = sasl->births};
    proof.until_ns = reauth_ms <= 0 ? 0 : api->io->now_ns + (uint64_t)reauth_ms * NS_PER_MS;
    struct el_slice name = sasl_user(sasl);
    snprintf(principal, sizeof principal, "User:%.*s", (int)name.len, (const char *)name.data);
    if (request_proved_by(request) != 0 && strcmp(request_principal(request), principal) != 0) {
        fail(call, ": it is another one than before on this connection");
        return;
    }
    if (api_proof_gone(api, principal, &proof)) {
        fail(call, ": its user was removed meanwhile");
        return;
    }
    int error = request_trust(request, principal, &proof);
    if (error == EVLOG_ERR_LIMIT) {   /* no failed proof: the client may come again */
        request_close(request, NULL); /* that is said already */
        return;
    }
    if (error != 0) {
        api_refuse_memory(api, request);
        return;
    }
    api_audit_proof(api, request, el_slice_str(principal), sasl_name(proof.mechanism), "ok");
    request_sasl_end(request);
    metrics_add(api->metrics, METRIC_AUTHENTICATIONS, 1);
    reply(request, EL_KAFKA_NONE, NULL, bytes, EL_MAX(reauth_ms, (int64_t)0));
}

/* --- PLAIN -------------------------------------------------------------------------------------------------------- */

static int64_t check_job(struct disk *disk, void *arg)
{
    struct authenticate_call *call = arg;
    sasl_check(&call->check);
    return 0;
}

static void check_on_job(struct io_op *op)
{
    struct authenticate_call *call = op->arg;
    EL_ASSERT(call->api->sasl_check_count > 0);
    call->api->sasl_check_count--;
    bool fits = sasl_checked(&call->check) == SASL_DONE;
    if (fits) {
        trust(call, &call->check, (struct el_slice){0});
    } else {
        fail(call, "");
    }
}

static void check_begin(struct authenticate_call *call)
{
    struct api *api = call->api;
    if (api->sasl_check_count >= CHECKS_MAX) {
        fail(call, ": too many at the same time");
        return;
    }
    call->check = *request_sasl(call->request);
    explicit_bzero(request_sasl(call->request)->password, SASL_PASSWORD_MAX);
    api->sasl_check_count++;
    EL_ASSERT(api->sasl_check_count <= CHECKS_MAX);
    call->job.done = check_on_job;
    call->job.arg = call;
    io_job(api->io, &call->job, IO_JOB_COMPUTE, check_job, call);
}

/* ------------------------------------------------------------------------------------------------------------------ */

void api_sasl_authenticate(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_sasl_authenticate_request *ask = message;
    struct sasl *sasl = request_sasl(request);
    if (sasl == NULL) {
        metrics_add(api->metrics, METRIC_REFUSED_OTHER, 1);
        reply(request, EL_KAFKA_ILLEGAL_SASL_STATE, "SaslHandshake has not named a mechanism, or the exchange is over",
              (struct el_slice){0}, 0);
        return;
    }
    struct authenticate_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->api = api;
    call->request = request;
    if (request_proved_by(request) != 0 && request_proved_by(request) != sasl->mechanism) {
        fail(call, ": it is another mechanism than before on this connection");
        return;
    }
    uint8_t random[SASL_RANDOM_LEN];
    struct sasl_answer answer;
    io_random(api->io, random, sizeof random);
    switch (sasl_take(sasl, api->auth, api->sasl_secret, random, ask->auth_bytes, &answer)) {
    case SASL_MORE:
        reply(request, EL_KAFKA_NONE, NULL, el_slice_of(answer.bytes, answer.len), 0);
        return;
    case SASL_CHECK:
        check_begin(call);
        return;
    case SASL_DONE:
        trust(call, sasl, el_slice_of(answer.bytes, answer.len));
        return;
    case SASL_FAILED:
        fail(call, "");
        return;
    }
}
