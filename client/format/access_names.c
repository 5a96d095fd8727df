/* SPDX-License-Identifier: Apache-2.0 */
#include <format/access_names.h>

#include <core/assert.h>
#include <evlog/error.h>

void el_access_names_init(struct el_access_names *names, struct el_buddy *buddy)
{
    names->unopened_count = 0;
    el_map_init(&names->map, buddy);
    for (uint32_t i = 0; i < EL_ACCESS_NAME_CLASSES; i++) {
        el_pool_init(&names->pools[i], buddy, (i + 1) * EL_ACCESS_NAME_CLASS_LEN);
    }
}

void el_access_names_destroy(struct el_access_names *names)
{
    el_map_destroy(&names->map);
    for (uint32_t i = 0; i < EL_ACCESS_NAME_CLASSES; i++) {
        el_pool_destroy(&names->pools[i]);
    }
}

static struct el_pool *pool_of(struct el_access_names *names, size_t key_len)
{
    return &names->pools[(sizeof(struct el_access_name) + key_len - 1) / EL_ACCESS_NAME_CLASS_LEN];
}

static int add(struct el_access_names *names, struct el_slice key, bool unopened)
{
    struct el_access_name *name = el_pool_get(pool_of(names, key.len));
    if (name == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    name->len = (uint16_t)key.len;
    name->unopened = unopened;
    memcpy(name->bytes, key.data, key.len);
    int code = el_map_put(&names->map, name->bytes, name->len, name);
    if (code != 0) {
        el_pool_put(pool_of(names, key.len), name);
        return code;
    }
    names->unopened_count += unopened;
    return 0;
}

int el_access_names_note(struct el_access_names *names, struct el_slice key, bool live, bool unopened)
{
    EL_ASSERT(key.len > 0);
    EL_ASSERT(key.len <= EL_ACCESS_SEALED_NAME_MAX);
    struct el_access_name *name = el_map_get(&names->map, key.data, key.len);
    if (name == NULL) {
        return live ? add(names, key, unopened) : 0;
    }
    EL_ASSERT(name->unopened == unopened); /* the keys are the same all the time */
    if (!live) {
        names->unopened_count -= unopened;
        (void)el_map_remove(&names->map, key.data, key.len);
        el_pool_put(pool_of(names, key.len), name);
    }
    return 0;
}

uint32_t el_access_names_count(const struct el_access_names *names)
{
    return (uint32_t)names->map.count;
}

const struct el_access_name *el_access_names_at(const struct el_access_names *names, uint32_t index)
{
    EL_ASSERT(index < names->map.count);
    return names->map.entries[index].value;
}

void el_access_names_missing_key(const struct el_access_names *names, char text[EL_ACCESS_KEY_ID_TEXT])
{
    EL_ASSERT(names->unopened_count > 0);
    for (size_t i = 0; i < names->map.count; i++) {
        const struct el_access_name *name = names->map.entries[i].value;
        if (name->unopened) {
            el_access_key_id_text(text, name->bytes + 2);
            return;
        }
    }
    EL_ASSERT(false);
}
