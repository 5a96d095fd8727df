/* SPDX-License-Identifier: Apache-2.0
 *
 * ArchiveNow: a round at once; answered when it has begun, or when everything that was durable is in the archive.
 */
#include <api/api.h>
#include <wire/msg_ext_archive_now.h>

struct now_call {
    struct api_call base;
    struct archive_ask ask;
};

static void now_on_ask(struct archive_ask *ask)
{
    api_call_release(ask->arg);
}

static void now_finish(struct api_call *base)
{
    struct now_call *call = EL_CONTAINER(base, struct now_call, base);
    const struct archive_ask *ask = &call->ask;
    struct el_msg_ext_archive_now_response response;
    el_schema_init(&el_schema_ext_archive_now_response, &response);
    response.sequence = ask->sequence;
    response.complete_ns = ask->complete_ns;
    if (ask->error != 0) {
        response.error = api_error(ask->error, false);
        response.message = ask->text[0] != 0 ? el_slice_str(ask->text) : api_error_message(ask->error);
    }
    request_reply(base->request, &el_schema_ext_archive_now_response, &response);
}

static void now_refuse(struct request *request, int16_t error, const char *text)
{
    struct el_msg_ext_archive_now_response response;
    el_schema_init(&el_schema_ext_archive_now_response, &response);
    response.error = error;
    response.message = el_slice_str(text);
    request_reply(request, &el_schema_ext_archive_now_response, &response);
}

void api_ext_archive_now(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_ext_archive_now_request *asked = message;
    const struct topic *topic = NULL;
    if (api->archiver == NULL) {
        now_refuse(request, EL_KAFKA_INVALID_REQUEST, "this broker has no archive: start evlogd with --archive");
        return;
    }
    if (asked->topic.data != NULL) {
        topic = store_topic_by_name(api->shard, asked->topic);
        if (topic == NULL || !asked->seal) {
            now_refuse(request, topic == NULL ? EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION : EL_KAFKA_INVALID_REQUEST,
                       topic == NULL ? "there is no such topic" : "a topic is named, and nothing is to be sealed");
            return;
        }
    }
    struct now_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, now_finish);
    call->ask = (struct archive_ask){
        .done = now_on_ask, .arg = &call->base, .now = true, .wait = asked->wait, .seal = asked->seal};
    if (topic != NULL) {
        call->ask.topic_id = topic->id;
    }
    call->base.pending++;
    archive_ask(api->archiver, &call->ask);
    api_call_release(&call->base);
}
