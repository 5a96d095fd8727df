/* SPDX-License-Identifier: Apache-2.0 */
#include <config/broker_name.h>

static const char *const names[TOPIC_SETTING_COUNT] = {
#define BROKER_NAME(ID, own_, name) [TOPIC_##ID] = (name),
#include <core/broker_names.def>
#undef BROKER_NAME
};

const char *broker_name(enum topic_setting_id id)
{
    const char *own = topic_setting(id)->name;
    return names[id] == NULL ? own : names[id];
}

int broker_name_find(struct el_slice name)
{
    for (int id = 0; id < TOPIC_SETTING_COUNT; id++) {
        if (el_slice_eq(name, el_slice_str(broker_name((enum topic_setting_id)id)))) {
            return id;
        }
    }
    return -1;
}
