/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog_redact(): one request, which may be repeated.
 */
#include "fail.h"
#include "group_ask.h"

#include <evlog/admin.h>
#include <stdio.h>
#include <string.h>
#include <wire/msg_ext_redact.h>

static int code_of(const void *response)
{
    return ((const struct el_msg_ext_redact_response *)response)->error;
}

static void text_of(char *text, size_t text_len, struct el_slice from)
{
    (void)snprintf(text, text_len, "%.*s", (int)EL_MIN(from.len, text_len - 1),
                   from.len == 0 ? "" : (const char *)from.data);
}

static void take(const struct el_msg_ext_redact_response *response, struct evlog_redacted *redacted)
{
    struct evlog_redacted out = {.size = redacted->size,
                                 .first_offset = response->first,
                                 .end_offset = response->end,
                                 .batch_count = response->batches,
                                 .event_count = response->events,
                                 .parent_end = response->parent_end};
    text_of(out.state, sizeof out.state, response->state);
    text_of(out.waits_for, sizeof out.waits_for, response->message);
    memcpy(redacted, &out, EL_MIN((size_t)redacted->size, sizeof out));
}

int evlog_redact(struct evlog_client *client, const struct evlog_redact *redact, struct evlog_redacted *redacted,
                 struct evlog_failure *failure)
{
    struct evlog_redact full = EVLOG_REDACT_INIT;
    struct el_msg_ext_redact_request request;
    struct el_msg_ext_redact_response response;
    struct el_call call;
    if (!EL_OPTIONS_TAKE(&full, redact) || client == NULL || redacted == NULL || full.topic == NULL) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT,
                       "redacting takes a client, a topic, EVLOG_REDACT_INIT and EVLOG_REDACTED_INIT");
    }
    el_schema_init(&el_schema_ext_redact_request, &request);
    request.topic = el_slice_str(full.topic);
    request.partition = full.partition;
    request.first = full.first_offset;
    request.end = full.end_offset;
    request.dry_run = full.dry_run;
    request.reason = full.reason == NULL ? (struct el_slice){0} : el_slice_str(full.reason);
    struct el_evlog_ask ask = {
        .api = EL_API_Redact, .request = &request, .code_of = code_of, .cannot = "redact events"};
    int rc = el_evlog_ask(client, &ask, &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    if (response.error != 0) {
        rc = el_fail_kafka(failure, response.error, response.message, full.topic);
        el_fail_right(failure, "alter cluster", NULL);
    } else {
        take(&response, redacted);
    }
    el_call_free(&call);
    return rc;
}
