/* SPDX-License-Identifier: Apache-2.0
 *
 * ArchiveStatus: what the root maker says of the archive.
 */
#include <api/api.h>
#include <wire/msg_ext_archive_status.h>

struct status_call {
    struct api_call base;
    struct archive_ask ask;
};

static void status_on_ask(struct archive_ask *ask)
{
    api_call_release(ask->arg);
}

static void status_finish(struct api_call *base)
{
    static const char *const states[] = {
        [ARCHIVE_BEGINS] = "begins", [ARCHIVE_WORKS] = "works", [ARCHIVE_STOPPED] = "stopped"};
    struct status_call *call = EL_CONTAINER(base, struct status_call, base);
    const struct archive_ask *ask = &call->ask;
    struct el_msg_ext_archive_status_response response;
    el_schema_init(&el_schema_ext_archive_status_response, &response);
    response.url = el_slice_str(base->api->node->archive_url);
    response.state = el_slice_str(states[ask->phase]);
    response.message = ask->text[0] == 0 ? (struct el_slice){0} : el_slice_str(ask->text);
    response.objects = ask->object_count;
    response.replaced = ask->replaced_count;
    response.root_ms = ask->root_ms;
    response.sequence = ask->sequence;
    response.complete_ns = ask->complete_ns;
    response.incarnation = ask->incarnation;
    response.object_bytes = ask->object_len;
    response.pending_bytes = ask->pending_len;
    request_reply(base->request, &el_schema_ext_archive_status_response, &response);
}

void api_ext_archive_status(struct api *api, struct request *request, const void *message)
{
    if (api->archiver == NULL) {
        struct el_msg_ext_archive_status_response response;
        el_schema_init(&el_schema_ext_archive_status_response, &response);
        response.state = el_slice_str("none");
        request_reply(request, &el_schema_ext_archive_status_response, &response);
        return;
    }
    struct status_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, status_finish);
    call->ask = (struct archive_ask){.done = status_on_ask, .arg = &call->base};
    call->base.pending++;
    archive_ask(api->archiver, &call->ask);
    api_call_release(&call->base);
}
