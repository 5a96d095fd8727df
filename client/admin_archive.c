/* SPDX-License-Identifier: Apache-2.0
 *
 * The broker's archive, as the broker tells of it.
 */
#include "fail.h"
#include "group_ask.h"

#include <core/bytes.h>
#include <evlog/admin.h>
#include <stdio.h>
#include <wire/msg_ext_archive_now.h>
#include <wire/msg_ext_archive_status.h>

static void text_of(char *text, size_t text_len, struct el_slice from)
{
    int len = (int)EL_MIN(from.len, text_len - 1);
    (void)snprintf(text, text_len, "%.*s", len, len == 0 ? "" : (const char *)from.data);
}

static int status_code(const void *response)
{
    return ((const struct el_msg_ext_archive_status_response *)response)->error;
}

int evlog_archive_status(struct evlog_client *client, struct evlog_archive_status *status,
                         struct evlog_failure *failure)
{
    struct el_msg_ext_archive_status_request request;
    struct el_msg_ext_archive_status_response response;
    struct el_call call;
    el_schema_init(&el_schema_ext_archive_status_request, &request);
    struct el_evlog_ask ask = {
        .api = EL_API_ArchiveStatus, .request = &request, .code_of = status_code, .cannot = "have an archive"};
    int rc = el_evlog_ask(client, &ask, &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    if (response.error != 0) {
        rc = el_fail_kafka(failure, response.error, response.message, "archive");
        el_fail_right(failure, "describe cluster", NULL);
    } else {
        *status = (struct evlog_archive_status){.sequence = response.sequence,
                                                .root_ms = (int64_t)response.root_ms,
                                                .complete_ns = (int64_t)response.complete_ns,
                                                .pending_bytes = response.pending_bytes,
                                                .object_count = response.objects,
                                                .object_bytes = response.object_bytes,
                                                .replaced_count = response.replaced};
        text_of(status->url, sizeof status->url, response.url);
        text_of(status->state, sizeof status->state, response.state);
        text_of(status->message, sizeof status->message, response.message);
        memcpy(status->incarnation, response.incarnation.bytes, sizeof status->incarnation);
    }
    el_call_free(&call);
    return rc;
}

static int now_code(const void *response)
{
    return ((const struct el_msg_ext_archive_now_response *)response)->error;
}

int evlog_archive_now(struct evlog_client *client, bool seal, const char *topic, bool wait,
                      struct evlog_failure *failure)
{
    struct el_msg_ext_archive_now_request request;
    struct el_msg_ext_archive_now_response response;
    struct el_call call;
    el_schema_init(&el_schema_ext_archive_now_request, &request);
    request.seal = seal;
    request.wait = wait;
    request.topic = topic == NULL ? (struct el_slice){0} : el_slice_str(topic);
    struct el_evlog_ask ask = {
        .api = EL_API_ArchiveNow, .request = &request, .code_of = now_code, .cannot = "have an archive", .once = wait};
    int rc = el_evlog_ask(client, &ask, &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    if (response.error != 0) {
        rc = el_fail_kafka(failure, response.error, response.message, topic == NULL ? "archive" : topic);
        el_fail_right(failure, "alter cluster", NULL);
    }
    el_call_free(&call);
    return rc;
}
