/* SPDX-License-Identifier: Apache-2.0
 *
 * What the handlers of group requests share: the codes that clients know, topics, and a look into the subscription of
 * a consumer, whose layout is the wire's.
 */
#include <api/api.h>
#include <core/cursor.h>

void api_call_add_group(struct api_call *call, struct group_op *op, group_op_fn done)
{
    EL_ASSERT(call->pending > 0);
    call->pending++;
    op->done = done;
    op->arg = call;
}

int16_t api_group_error(int error)
{
    switch (error) {
    case 0:
        return EL_KAFKA_NONE;
    case EVLOG_ERR_CLOSED:
    case EVLOG_ERR_NO_MEMORY:
    case EVLOG_ERR_STORAGE:
    case EVLOG_ERR_FULL:
        return EL_KAFKA_COORDINATOR_NOT_AVAILABLE;
    default:
        return (int16_t)evlog_error_kafka(error);
    }
}

int16_t api_share_group_error(int error)
{
    return error == EVLOG_ERR_GROUP_KIND ? EL_KAFKA_GROUP_ID_NOT_FOUND : api_group_error(error);
}

void api_call_add_lease(struct api_call *call, struct lease_op *op, lease_op_fn done)
{
    EL_ASSERT(call->pending > 0);
    call->pending++;
    op->done = done;
    op->arg = call;
}

void api_call_on_group(struct group_op *op)
{
    api_call_release(op->arg);
}

void api_call_on_lease(struct lease_op *op)
{
    api_call_release(op->arg);
}

void api_call_on_lease_end(struct lease_op *op)
{
    lease_op_release(op);
    api_call_release(op->arg);
}

struct el_slice api_client_host(struct request *request)
{
    const char *peer = request_peer(request);
    const char *colon = strrchr(peer, ':');
    size_t len = colon == NULL ? strlen(peer) : (size_t)(colon - peer);
    if (len >= 2 && peer[0] == '[' && peer[len - 1] == ']') {
        peer++;
        len -= 2;
    }
    char host[80] = "/";
    len = EL_MIN(len, sizeof host - 2);
    memcpy(host + 1, peer, len);
    host[1 + len] = 0;
    return api_text(request, host);
}

/* ConsumerProtocolSubscription: version, then the topics, then what does not matter here. */
int api_group_subscribes(struct el_slice metadata, struct el_slice topic)
{
    struct el_reader r;
    el_reader_init(&r, metadata.data, metadata.len);
    int16_t version = (int16_t)el_read_be16(&r);
    uint32_t count = el_read_be32(&r);
    bool found = false;
    if (r.err != 0 || version < 0 || count > INT32_MAX) {
        return EVLOG_ERR_MALFORMED;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint16_t len = el_read_be16(&r);
        const uint8_t *name = len > INT16_MAX ? NULL : el_read_bytes(&r, len);
        if (r.err != 0 || name == NULL) {
            return EVLOG_ERR_MALFORMED;
        }
        found = found || el_slice_eq(el_slice_of(name, len), topic);
    }
    return found;
}

int api_group_topic(struct api *api, const struct request *request, struct el_slice name, const struct el_uuid *id,
                    int32_t partition, struct el_uuid *out)
{
    int error;
    const struct topic *topic = api_topic(api, request, name, id, &error);
    if (topic == NULL) {
        return error == EVLOG_ERR_TOPIC_DENIED ? error : EVLOG_ERR_UNKNOWN_TOPIC_ID;
    }
    if (!api_partition_exists(topic, partition)) {
        return EVLOG_ERR_UNKNOWN_TOPIC;
    }
    *out = topic->id;
    return 0;
}
