/* SPDX-License-Identifier: Apache-2.0 */
#include <format/catalogue_layout.h>

#include <evlog/error.h>

#define VERSION 1u

const struct el_uuid EL_CATALOGUE_TOPIC_ID = {{'e', 'v', 'l', 'o', 'g', '-', 'm', 'e', 't', 'a', 0, 0, 0, 0, 0, 1}};

int el_catalogue_record_get(struct el_slice key, struct el_slice value, struct el_catalogue_record *record)
{
    if (key.len != EL_CATALOGUE_KEY_LEN || value.len < EL_CATALOGUE_HEAD_LEN) {
        return EVLOG_ERR_CORRUPT;
    }
    const uint8_t *p = value.data;
    if (key.data[0] > VERSION || p[0] > VERSION) {
        return EVLOG_ERR_FORMAT;
    }
    uint32_t partition_count = el_get_le32(p + 4);
    size_t name_len = el_get_le16(p + 8), settings_len = el_get_le16(p + 10);
    if (partition_count > EL_PARTITION_COUNT_MAX || name_len > EL_TOPIC_NAME_MAX ||
        value.len != EL_CATALOGUE_HEAD_LEN + name_len + (size_t)partition_count * 2 + settings_len ||
        (p[1] != EL_CATALOGUE_PUT && p[1] != EL_CATALOGUE_DELETE)) {
        return EVLOG_ERR_CORRUPT;
    }
    memcpy(record->id.bytes, key.data + 1, 16);
    record->verb = (enum el_catalogue_verb)p[1];
    record->internal = p[2] != 0;
    record->partition_count = (int32_t)partition_count;
    record->name = el_slice_of(p + EL_CATALOGUE_HEAD_LEN, name_len);
    record->owners = p + EL_CATALOGUE_HEAD_LEN + name_len;
    record->settings = el_slice_of(record->owners + (size_t)partition_count * 2, settings_len);
    return 0;
}

void el_catalogue_key_put(uint8_t *key, const struct el_uuid *id)
{
    key[0] = VERSION;
    memcpy(key + 1, id->bytes, 16);
}

void el_catalogue_delete_put(uint8_t *value)
{
    memset(value, 0, EL_CATALOGUE_DELETE_LEN);
    value[0] = VERSION;
    value[1] = EL_CATALOGUE_DELETE;
    el_put_le16(value + 10, EL_CATALOGUE_NO_SETTINGS_LEN);
}
