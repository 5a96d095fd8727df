/* SPDX-License-Identifier: Apache-2.0
 *
 * ApiVersions: which requests in which versions evlogd answers; the first request of nearly every client.
 *
 * The feature fields stay empty, so that the tagged section is the single byte 0: librdkafka 2.0.2 cannot read another
 * one, and there is no feature to announce. Source: docs/protocol.md, Version negotiation.
 */
#include <api/api.h>
#include <wire/msg_api_versions.h>

static bool is_alnum(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])? */
bool api_client_word_valid(struct el_slice word)
{
    if (word.len == 0 || !is_alnum(word.data[0]) || !is_alnum(word.data[word.len - 1])) {
        return false;
    }
    for (size_t i = 0; i < word.len; i++) {
        if (!is_alnum(word.data[i]) && word.data[i] != '-' && word.data[i] != '.') {
            return false;
        }
    }
    return true;
}

static int16_t check(struct api *api, struct request *request, const struct el_msg_api_versions_request *message)
{
    if (request->api_version < 3) {
        return EL_KAFKA_NONE;
    }
    if (!api_client_word_valid(message->client_software_name) ||
        !api_client_word_valid(message->client_software_version)) {
        metrics_add(api->metrics, METRIC_REFUSED_OTHER, 1);
        return EL_KAFKA_INVALID_REQUEST;
    }
    if (request->api_version >= 5 && message->cluster_id.data != NULL && message->node_id >= 0) {
        const char *own = store_cluster_id(store_shard_store(api->shard));
        if (!el_slice_eq(message->cluster_id, el_slice_str(own)) || message->node_id != api->node->id) {
            return EL_KAFKA_REBOOTSTRAP_REQUIRED;
        }
    }
    return EL_KAFKA_NONE;
}

void api_api_versions(struct api *api, struct request *request, const void *message)
{
    struct el_msg_api_versions_response response;
    el_schema_init(&el_schema_api_versions_response, &response);
    response.error_code = check(api, request, message);
    if (response.error_code == EL_KAFKA_NONE) {
        response.api_keys = api_new(api, request, &el_schema_api_versions_key, EL_API_COUNT);
        if (response.api_keys == NULL) {
            return;
        }
        for (uint32_t i = 0; i < EL_API_COUNT; i++) {
            const struct el_api *row = el_api_at(i);
            response.api_keys[i] = (struct el_msg_api_versions_key){row->key, row->list_min, row->list_max};
        }
        response.api_key_count = EL_API_COUNT;
    }
    request_reply(request, &el_schema_api_versions_response, &response);
}

void api_versions_fallback(struct api *api, struct request *request)
{
    const struct el_api *row = request->api;
    struct el_msg_api_versions_key key = {row->key, row->list_min, row->list_max};
    struct el_msg_api_versions_response response;
    el_schema_init(&el_schema_api_versions_response, &response);
    response.error_code = EL_KAFKA_UNSUPPORTED_VERSION;
    response.api_keys = &key;
    response.api_key_count = 1;
    metrics_add(api->metrics, METRIC_REFUSED_UNSUPPORTED_VERSION, 1);
    request->api_version = 0;
    request_reply(request, &el_schema_api_versions_response, &response);
}
