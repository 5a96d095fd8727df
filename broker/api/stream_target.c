/* SPDX-License-Identifier: Apache-2.0
 *
 * See stream_target.h.
 */
#include <api/stream_target.h>

#include <config/topic_partitioner.h>
#include <core/utf8.h>
#include <stdio.h>

#define KEY_SHOWN_MAX 64u /* bytes of a key that are shown */

static void refuse(struct api *api, struct stream_target *target, int error, int16_t kafka_error,
                   struct el_slice message)
{
    target->error = kafka_error;
    target->message = message;
    api_count_refusal(api, error);
}

void stream_target_find(struct api *api, struct request *request, struct el_slice name, const struct el_uuid *id,
                        struct stream_target *target)
{
    bool by_id = !el_uuid_is_zero(id);
    int error;
    const struct topic *topic = api_topic(api, request, name, id, &error);
    *target = (struct stream_target){0};
    if (topic == NULL) {
        refuse(api, target, error, api_error(error, by_id), api_error_message(error));
        return;
    }
    target->topic_id = topic->id;
    target->partition_count = topic->partition_count;
    target->config = topic->config;
    memcpy(target->name, topic->name, sizeof target->name);
    target->max_age_ms = topic_config_int(&topic->config, &api->node->topic_defaults, TOPIC_STREAM_MAX_AGE_MS);
    if (!topic_config_streams(&topic->config)) {
        refuse(api, target, EVLOG_ERR_POLICY, EL_KAFKA_POLICY_VIOLATION,
               api_textf(request,
                         "topic %s has no streams: they are for topics that were made with evlog.streams=true "
                         "(evlog topics create NAME --set evlog.streams=true)",
                         topic->name));
    } else if (api->streams == NULL) {
        refuse(api, target, EVLOG_ERR_UNSUPPORTED, EL_KAFKA_UNSUPPORTED_VERSION,
               el_slice_str("this broker keeps no index of streams"));
    }
}

int32_t stream_target_partition(const struct stream_target *target, struct el_slice key)
{
    return topic_partition_of(&target->config, key, target->partition_count);
}

const char *stream_key_fault(struct el_slice key)
{
    if (key.len == 0) {
        return "a stream has a key of at least one byte";
    }
    return key.len > EL_STREAM_KEY_MAX ? "the key of a stream has at most 4096 bytes" : NULL;
}

bool stream_expected_valid(int64_t expected)
{
    return expected >= STREAM_ANY || expected == STREAM_EXISTS;
}

int16_t stream_error(int error)
{
    switch (error) {
    case EVLOG_ERR_WRONG_VERSION:
        return EL_KAFKA_INVALID_UPDATE_VERSION;
    case EVLOG_ERR_ID_CONFLICT:
        return EL_KAFKA_DUPLICATE_RESOURCE;
    case EVLOG_ERR_STREAM_ENDED:
        return EL_KAFKA_INVALID_RECORD_STATE;
    default:
        return api_error(error, false);
    }
}

const char *stream_key_text(char *text, struct el_slice key)
{
    size_t shown = EL_MIN(key.len, (size_t)KEY_SHOWN_MAX), out = 0, pos = 0;
    size_t room = STREAM_KEY_TEXT_LEN - sizeof "...\"";
    text[out++] = '"';
    while (pos < shown && out + 4 <= room) {
        uint32_t point;
        size_t len = el_utf8_next(key.data + pos, key.len - pos, &point);
        if (len > 0 && point >= ' ' && point != '"' && point != '\\' && point != 0x7f) {
            memcpy(text + out, key.data + pos, len);
            out += len;
        } else {
            out += (size_t)snprintf(text + out, 5, "\\x%02x", key.data[pos]);
            len = 1;
        }
        pos += len;
    }
    memcpy(text + out, pos < key.len ? "...\"" : "\"", pos < key.len ? 5 : 2);
    return text;
}

const char *stream_state_text(char *text, const struct stream_check *told)
{
    if (told->ended) {
        snprintf(text, STREAM_STATE_TEXT_LEN, "deleted for good");
    } else if (told->deleted) {
        snprintf(text, STREAM_STATE_TEXT_LEN, "deleted, at version %lld", (long long)told->current);
    } else if (told->current < 0) {
        snprintf(text, STREAM_STATE_TEXT_LEN, "without events");
    } else {
        snprintf(text, STREAM_STATE_TEXT_LEN, "at version %lld", (long long)told->current);
    }
    return text;
}

const char *stream_expected_text(char *text, int64_t expected)
{
    if (expected >= 0) {
        snprintf(text, STREAM_STATE_TEXT_LEN, "version %lld", (long long)expected);
    } else {
        snprintf(text, STREAM_STATE_TEXT_LEN, "%s", expected == STREAM_NONE ? "no event" : "an event");
    }
    return text;
}
