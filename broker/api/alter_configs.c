/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes of settings. The settings of a resource are changed together or not at all.
 *
 * Topics and work groups have settings that a request can change, and so has the broker, by number: what takes effect
 * without a restart and gives nobody more rights. Those are handed to the main thread, which keeps them
 * (alter_broker.c). Taking away what was never set by a request is done as soon as it is asked for; tools that end a
 * reassignment ask for it.
 *
 * Storage takes a whole set of overrides. So the new set is made from the one this shard knows, which is what the audit
 * log tells as that before, and storage refuses it with EVLOG_ERR_AGAIN when another change came first; by then this
 * shard has that change, and the set is made anew. Each such round is another's success, so that the rounds end when
 * the others' changes do. Work groups take whole sets too; what they have is asked first, and told again with a
 * refusal.
 */
#include <api/alter_broker.h>
#include <api/alter_configs.h>
#include <api/audit_before.h>
#include <api/logger_levels.h>
#include <config/broker_name.h>
#include <config/group_config.h>
#include <config/listener_settings.h>
#include <config/setting.h>
#include <config/value.h>
#include <core/logger.h>
#include <lease/leases.h>

#define NO_THROTTLE "there is one node: no copying of replicas to slow down"
#define ROUND_MAX 1000 /* against somebody who changes the same thing all the time */

/* What the change of a work group needs: much, for its texts. */
struct alter_group {
    struct lease_settings_op op;
    struct group_config known;  /* the overrides that config was made from; then those that are in force */
    struct group_config before; /* the first of these */
    struct group_config config; /* the whole new set of overrides */
};

struct alter_entry {
    struct topic_op op;
    struct alter_call *call;
    struct topic_config known;         /* the overrides that config was made from */
    struct topic_config config;        /* the whole new set of overrides */
    struct alter_group *group;         /* of a work group; else NULL */
    struct broker_settings_op *broker; /* of the broker, with something to change; else NULL */
    uint32_t round;                    /* sets made */
    int error;                         /* EVLOG_ERR_ of what was not even tried, else 0 */
    const char *message;               /* for error; static or in the request's arena */
};

struct alter_call {
    struct api_call base;
    const struct el_msg_incremental_alter_configs_request *ask;
    bool whole;
    alter_reply_fn reply;
    struct alter_entry *entries; /* [ask->resource_count] */
};

/* --- the answer --------------------------------------------------------------------------------------------------- */

/* The overrides that are others now. */
static void tell_overrides(struct request *request, struct audit_before_setting setting,
                           const struct override_table *table, const struct overrides *known,
                           const struct overrides *next)
{
    struct override_entry was, is;
    for (int id = 0; id < table->count; id++) {
        overrides_describe(table, known, NULL, id, &was);
        overrides_describe(table, next, NULL, id, &is);
        bool had = overrides_has(known, id), has = overrides_has(next, id);
        if (had == has && (!had || el_slice_eq(was.text, is.text))) {
            continue;
        }
        setting.name = el_slice_str(table->rows[id].name);
        setting.value = had ? was.text : (struct el_slice){0};
        audit_before_setting(request, &setting);
    }
}

/* What was there before, for the audit log; the change is made. Loggers have told it. */
static void tell_before(const struct alter_call *call, uint32_t index)
{
    const struct el_msg_incremental_alter_configs_resource *ask = &call->ask->resources[index];
    const struct alter_entry *entry = &call->entries[index];
    struct request *request = call->base.request;
    struct audit_before_setting setting = {.resource_type = ask->resource_type, .resource_name = ask->resource_name};
    if (call->ask->validate_only) {
        return;
    }
    if (entry->group != NULL) {
        tell_overrides(request, setting, &group_settings, &entry->group->before.set, &entry->group->config.set);
    } else if (ask->resource_type == API_RESOURCE_TOPIC) {
        tell_overrides(request, setting, &topic_settings, &entry->known.set, &entry->config.set);
    }
    for (uint32_t i = 0; entry->broker != NULL && i < entry->broker->change_count; i++) {
        setting.name = entry->broker->changes[i].name;
        setting.value = el_slice_str(entry->broker->before[i]);
        audit_before_setting(request, &setting);
    }
}

static void alter_finish(struct api_call *base)
{
    struct alter_call *call = EL_CONTAINER(base, struct alter_call, base);
    uint32_t count = call->ask->resource_count;
    struct el_msg_incremental_alter_configs_resource_result *results = api_new(
        base->api, base->request, &el_schema_incremental_alter_configs_resource_result, count);
    if (results == NULL) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct alter_entry *entry = &call->entries[i];
        struct el_msg_incremental_alter_configs_resource_result *out = &results[i];
        const struct alter_group *group = entry->group;
        int op_error = group == NULL ? entry->op.base.error : group->op.base.error;
        int error = entry->error != 0 ? entry->error : op_error;
        out->resource_type = call->ask->resources[i].resource_type;
        out->resource_name = call->ask->resources[i].resource_name;
        out->error_code = group == NULL ? api_error(error, false) : api_group_error(error);
        out->error_message = (struct el_slice){0};
        if (error == 0) {
            tell_before(call, i);
        }
        if (error != 0) {
            const char *op_text = group == NULL ? entry->op.message : group->op.base.message_text;
            const char *text = entry->error != 0 ? entry->message : op_text;
            out->error_message = text[0] == '\0' ? api_error_message(error) : el_slice_str(text);
            api_count_refusal(base->api, error);
        } else if (out->resource_type == API_RESOURCE_TOPIC && !call->ask->validate_only) {
            api_log_without_effect(out->resource_name, &entry->known, &entry->config);
        }
    }
    call->reply(base->api, base->request, results, count);
}

static int entry_refuse(struct alter_entry *entry, int error, const char *message)
{
    entry->error = error;
    entry->message = message;
    return error;
}

/* --- topics ------------------------------------------------------------------------------------------------------- */

/* How fast replicas are copied: tools set these when they move partitions and take them away afterwards. */
static bool is_throttle(struct el_slice name)
{
    static const char *const names[] = {
        "leader.replication.throttled.replicas",
        "follower.replication.throttled.replicas",
        "leader.replication.throttled.rate",
        "follower.replication.throttled.rate",
        "replica.alter.log.dirs.io.max.bytes.per.second",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (el_slice_eq(name, el_slice_str(names[i]))) {
            return true;
        }
    }
    return false;
}

/* The settings that an entry changes. */
struct alter_set {
    const struct override_table *table;
    struct overrides *set;
    const struct overrides *defaults;
    uint64_t named; /* bit id: it was changed already */
};

static int change(struct alter_set *to, const struct el_msg_incremental_alter_configs_config *ask, struct el_error *err)
{
    const struct override_table *table = to->table;
    struct override_list_change list = {.name = ask->name, .value = ask->value};
    if (table == &topic_settings && is_throttle(ask->name)) {
        return ask->config_operation == ALTER_DELETE ? 0 : el_error_set(err, EVLOG_ERR_INVALID_CONFIG, NO_THROTTLE);
    }
    switch (ask->config_operation) {
    case ALTER_SET:
        return overrides_set(table, to->set, ask->name, ask->value, err);
    case ALTER_DELETE:
        return overrides_unset(table, to->set, ask->name, err);
    case ALTER_APPEND:
        list.add = true;
        return overrides_list(table, to->set, to->defaults, &list, err);
    case ALTER_SUBTRACT:
        return overrides_list(table, to->set, to->defaults, &list, err);
    default:
        return el_error_set(err, EVLOG_ERR_INVALID_REQUEST, "operation %d: 0 set, 1 delete, 2 append, 3 subtract",
                            ask->config_operation);
    }
}

/* A setting may be named twice by two names, when both say the same. */
static int change_again(struct alter_set *set, const struct el_msg_incremental_alter_configs_config *ask,
                        struct el_error *err)
{
    struct group_config before;
    EL_ASSERT(set->table == &group_settings);
    memcpy(&before, set->set, sizeof before);
    int error = change(set, ask, err);
    if (error == 0 && !overrides_equal(set->table, set->set, &before.set)) {
        error = el_error_set(err, EVLOG_ERR_INVALID_REQUEST, "%s is named twice, by two names and with two values",
                             set->table->rows[override_find(set->table, ask->name)].name);
    }
    return error;
}

/* Make the new set of settings, from the known one or from none. */
static int entry_change(struct alter_call *call, const struct el_msg_incremental_alter_configs_resource *ask,
                        struct alter_entry *entry, struct alter_set set)
{
    struct el_map seen;
    el_map_init(&seen, call->base.api->buddy);
    int error = 0;
    for (uint32_t i = 0; i < ask->config_count && error == 0; i++) {
        struct el_error err;
        int id = override_find(set.table, ask->configs[i].name);
        api_name_once(&seen, ask->configs[i].name, &error);
        if (error != 0) {
            entry_refuse(entry, error, error == EVLOG_ERR_INVALID_REQUEST ? "a setting is named twice" : "");
            break;
        }
        EL_ASSERT(id < 64); /* named has a bit for each */
        bool again = id >= 0 && (set.named >> id & 1) != 0;
        error = again ? change_again(&set, &ask->configs[i], &err) : change(&set, &ask->configs[i], &err);
        set.named |= id >= 0 ? (uint64_t)1 << id : 0;
        if (error != 0) {
            entry_refuse(entry, error, (const char *)api_text(call->base.request, err.text).data);
        }
    }
    el_map_destroy(&seen);
    return error;
}

static int entry_check_topic(struct alter_call *call, const struct el_msg_incremental_alter_configs_resource *ask,
                             struct alter_entry *entry)
{
    int error;
    const struct topic *topic = api_topic(call->base.api, call->base.request, ask->resource_name, NULL, &error);
    if (topic == NULL) {
        return entry_refuse(entry, error, "");
    }
    if (topic->internal) {
        return entry_refuse(entry, EVLOG_ERR_POLICY, "topics of evlog itself cannot be changed");
    }
    entry->known = topic->config;
    if (call->whole) {
        topic_config_init(&entry->config);
    } else {
        entry->config = topic->config;
    }
    entry->op.verb = TOPIC_ALTER;
    entry->op.id = topic->id;
    entry->op.config = &entry->config;
    entry->op.expected = &entry->known;
    entry->op.validate_only = call->ask->validate_only;
    return entry_change(call, ask, entry,
                        (struct alter_set){.table = &topic_settings,
                                           .set = &entry->config.set,
                                           .defaults = &call->base.api->node->topic_defaults.set});
}

/* --- work groups -------------------------------------------------------------------------------------------------- */

static int entry_check_group(struct alter_call *call, const struct el_msg_incremental_alter_configs_resource *ask,
                             struct alter_entry *entry)
{
    if (call->base.api->leases == NULL) {
        return entry_refuse(entry, EVLOG_ERR_INVALID_CONFIG, "there are no work groups here");
    }
    if (ask->resource_name.len == 0) {
        return entry_refuse(entry, EVLOG_ERR_INVALID_REQUEST, "the name of the group is missing");
    }
    struct alter_group *group = el_arena_zalloc(&call->base.request->arena, sizeof *group);
    if (group == NULL) {
        return entry_refuse(entry, EVLOG_ERR_NO_MEMORY, "no memory left for the change of a group: raise memory.max");
    }
    group->op.base.group_id = ask->resource_name;
    group->op.current = &group->known;
    entry->group = group;
    return 0;
}

static void group_on_op(struct lease_op *base);

/* Ask for the group's settings as they are now. */
static void group_get(struct alter_entry *entry)
{
    struct alter_group *group = entry->group;
    group->op.verb = LEASE_SETTINGS_GET;
    group->op.base.done = group_on_op;
    group->op.base.arg = entry;
    leases_settings(entry->call->base.api->leases, &group->op);
}

/* Dead letters are written by the broker: whoever names another topic for them must have the right to write to it. */
static bool dead_letters_right(struct alter_entry *entry)
{
    struct alter_call *call = entry->call;
    struct el_slice before = group_config_text(&entry->group->known, GROUP_SETTING_DLQ_TOPIC);
    struct el_slice after = group_config_text(&entry->group->config, GROUP_SETTING_DLQ_TOPIC);
    if (el_slice_eq(before, after) ||
        api_may(call->base.api, call->base.request, EL_ACL_OP_WRITE, EL_ACL_RESOURCE_TOPIC, after)) {
        return true;
    }
    entry_refuse(entry, EVLOG_ERR_TOPIC_DENIED,
                 "who names the topic of dead letters (dlq.topic) needs the right to write to it");
    return false;
}

/* Make the new set from the known one and send it. returns false when it is refused */
static bool group_set(struct alter_entry *entry)
{
    struct alter_call *call = entry->call;
    struct alter_group *group = entry->group;
    const struct el_msg_incremental_alter_configs_resource *ask = &call->ask->resources[entry - call->entries];
    group->before = group->known;
    if (call->whole) {
        group_config_init(&group->config);
    } else {
        group->config = group->known;
    }
    if (entry_change(call, ask, entry, (struct alter_set){.table = &group_settings, .set = &group->config.set}) != 0) {
        return false;
    }
    if (!dead_letters_right(entry)) {
        return false;
    }
    group->op.verb = LEASE_SETTINGS_SET;
    group->op.config = &group->config;
    group->op.expected = &group->known;
    group->op.validate_only = call->ask->validate_only;
    leases_settings(call->base.api->leases, &group->op);
    return true;
}

static void group_on_op(struct lease_op *base)
{
    struct alter_entry *entry = base->arg;
    struct alter_group *group = entry->group;
    EL_ASSERT(group != NULL);
    bool got = group->op.verb == LEASE_SETTINGS_GET && base->error == 0;
    bool again = group->op.verb == LEASE_SETTINGS_SET && base->error == EVLOG_ERR_AGAIN;
    if (again && ++entry->round == ROUND_MAX) {
        entry_refuse(entry, EVLOG_ERR_TIMED_OUT, "others change the group all the time: try again");
    } else if ((got || again) && group_set(entry)) {
        return;
    } else if (base->error == EVLOG_ERR_GROUP_KIND) {
        entry_refuse(entry, EVLOG_ERR_INVALID_CONFIG, "a consumer group has this id; only work groups have settings");
    }
    api_call_release(&entry->call->base);
}

/* --- the broker and others ---------------------------------------------------------------------------------------- */

/* Why a setting cannot be changed, and what to do instead. */
static int refuse_broker_setting(struct alter_call *call, struct el_slice name, struct alter_entry *entry)
{
    const char *section = "topics", *key = NULL;
    if (is_throttle(name)) {
        return entry_refuse(entry, EVLOG_ERR_INVALID_CONFIG, NO_THROTTLE);
    }
    if (listener_setting_is(LISTENER_KEY, name)) {
        struct el_error err = {.code = 0};
        int code = config_request_check(name, &err);
        return entry_refuse(entry, code, (const char *)api_text(call->base.request, err.text).data);
    }
    bool reload = true;
    for (int id = 0; id < CONFIG_SETTING_COUNT && key == NULL; id++) {
        const struct setting *row = setting_at((enum config_setting_id)id);
        if (el_slice_eq(name, el_slice_str(row->name))) {
            section = row->section;
            key = row->key;
            reload = row->reload;
        }
    }
    int topic_id = broker_name_find(name) >= 0 ? broker_name_find(name) : topic_setting_find(name);
    if (key == NULL && topic_id >= 0) {
        key = topic_setting((enum topic_setting_id)topic_id)->name;
    }
    char text[256];
    if (key == NULL) {
        snprintf(text, sizeof text, "evlogd has no setting '%.*s'", value_shown_len(name), (const char *)name.data);
    } else {
        snprintf(text, sizeof text,
                 "'%.*s' cannot be changed by this request: set %s in [%s] of evlogd's configuration, %s",
                 value_shown_len(name), (const char *)name.data, key, section,
                 reload ? "then send it SIGHUP" : "then start it again");
    }
    return entry_refuse(entry, key == NULL ? EVLOG_ERR_INVALID_CONFIG : EVLOG_ERR_POLICY,
                        (const char *)api_text(call->base.request, text).data);
}

static int entry_check_broker(struct alter_call *call, const struct el_msg_incremental_alter_configs_resource *ask,
                              struct alter_entry *entry)
{
    if (ask->resource_name.len > 0 && !api_is_self(call->base.api, ask->resource_name)) {
        return entry_refuse(entry, EVLOG_ERR_INVALID_REQUEST, "there is no such broker");
    }
    bool changes = call->base.api->node->change_settings != NULL && ask->resource_name.len > 0 && !call->whole;
    struct el_error err = {.code = 0};
    int error = 0;
    for (uint32_t i = 0; i < ask->config_count && error == 0; i++) {
        struct el_slice name = ask->configs[i].name;
        bool set = ask->configs[i].config_operation != ALTER_DELETE;
        if (set && (!changes || is_throttle(name))) {
            return refuse_broker_setting(call, name, entry);
        }
        error = set ? config_request_check(name, &err) : 0;
    }
    error = error == 0 && changes ? alter_broker_make(call->base.api, call->base.request, ask, &entry->broker, &err)
                                  : error;
    if (error != 0) {
        return entry_refuse(entry, error, (const char *)api_text(call->base.request, err.text).data);
    }
    if (entry->broker != NULL) {
        entry->broker->validate_only = call->ask->validate_only;
        entry->broker->who = (const char *)api_text(call->base.request, request_principal(call->base.request)).data;
    }
    return 0;
}

static void broker_on_op(struct broker_settings_op *op)
{
    struct alter_entry *entry = op->arg;
    if (op->err.code != 0) {
        entry_refuse(entry, op->err.code, op->err.text);
    }
    api_call_release(&entry->call->base);
}

/* At once: there is nothing to wait for. */
static int entry_change_logger(struct alter_call *call, const struct el_msg_incremental_alter_configs_resource *ask,
                               struct alter_entry *entry)
{
    struct el_error err = {.code = 0};
    if (!api_is_self(call->base.api, ask->resource_name)) {
        return entry_refuse(entry, EVLOG_ERR_INVALID_REQUEST, "there is no such broker");
    }
    if (call->whole) {
        return entry_refuse(entry, EVLOG_ERR_INVALID_REQUEST,
                            "levels of loggers are changed one by one: IncrementalAlterConfigs");
    }
    enum el_log_level *before = el_arena_alloc(&call->base.request->arena,
                                               ((size_t)ask->config_count + 1) * sizeof *before);
    if (before == NULL) {
        return entry_refuse(entry, EVLOG_ERR_NO_MEMORY, "no memory left for the change of levels: raise memory.max");
    }
    for (uint32_t i = 0; i < ask->config_count; i++) {
        before[i] = el_log_level_known(ask->configs[i].name) ? el_log_level_of(ask->configs[i].name) : EL_LOG_INFO;
    }
    int error = logger_levels_change(ask, call->ask->validate_only, &err);
    if (error != 0) {
        return entry_refuse(entry, error, (const char *)api_text(call->base.request, err.text).data);
    }
    for (uint32_t i = 0; i < ask->config_count && !call->ask->validate_only; i++) {
        struct el_slice name = ask->configs[i].name;
        audit_before_setting(call->base.request,
                             &(struct audit_before_setting){.resource_type = ask->resource_type,
                                                            .resource_name = ask->resource_name,
                                                            .name = name,
                                                            .value = el_slice_str(logger_level_name(before[i]))});
        el_log(EL_LOG_INFO, "server", "%s sets the level of %.*s: %s", request_principal(call->base.request),
               (int)name.len, (const char *)name.data, logger_level_name(el_log_level_of(name)));
    }
    return 0;
}

static int entry_check(struct alter_call *call, uint32_t index)
{
    const struct el_msg_incremental_alter_configs_resource *ask = &call->ask->resources[index];
    struct alter_entry *entry = &call->entries[index];
    if (entry->error != 0) {
        bool twice = entry->error == EVLOG_ERR_INVALID_REQUEST;
        return entry_refuse(entry, entry->error, twice ? "the resource is named twice in the request" : "");
    }
    if (!api_config_right(call->base.api, call->base.request, ask->resource_type, ask->resource_name)) {
        bool group = ask->resource_type == API_RESOURCE_GROUP;
        return entry_refuse(entry, group ? EVLOG_ERR_GROUP_DENIED : EVLOG_ERR_CLUSTER_DENIED, "");
    }
    switch (ask->resource_type) {
    case API_RESOURCE_TOPIC:
        return entry_check_topic(call, ask, entry);
    case API_RESOURCE_BROKER:
        return entry_check_broker(call, ask, entry);
    case API_RESOURCE_BROKER_LOGGER:
        return entry_change_logger(call, ask, entry);
    case API_RESOURCE_CLIENT_METRICS:
        return entry_refuse(entry, EVLOG_ERR_POLICY, "evlogd does not collect metrics of clients");
    case API_RESOURCE_GROUP:
        return entry_check_group(call, ask, entry);
    default:
        return entry_refuse(entry, EVLOG_ERR_INVALID_REQUEST, "topics (2) and groups (32) have settings to change");
    }
}

/* --- the question ------------------------------------------------------------------------------------------------- */

static void alter_on_op(struct store_op *op)
{
    struct alter_entry *entry = op->arg;
    struct alter_call *call = entry->call;
    EL_ASSERT(entry >= call->entries);
    EL_ASSERT(entry < call->entries + call->ask->resource_count);
    if (op->error == EVLOG_ERR_AGAIN) {
        const struct el_msg_incremental_alter_configs_resource *ask = &call->ask->resources[entry - call->entries];
        if (++entry->round == ROUND_MAX) {
            entry_refuse(entry, EVLOG_ERR_TIMED_OUT, "others change the topic all the time: try again");
        } else if (entry_check_topic(call, ask, entry) == 0) {
            store_topic_change(call->base.api->shard, &entry->op);
            return;
        }
    }
    api_call_release(&call->base);
}

/* A resource is its type and its name: the name twice is an error only for topics and groups, the others are few. */
static void find_twice(struct alter_call *call, int8_t type)
{
    struct el_map seen;
    el_map_init(&seen, call->base.api->buddy);
    for (uint32_t i = 0; i < call->ask->resource_count; i++) {
        if (call->ask->resources[i].resource_type == type) {
            api_name_once(&seen, call->ask->resources[i].resource_name, &call->entries[i].error);
        }
    }
    el_map_destroy(&seen);
}

static void entry_start(struct alter_call *call, uint32_t index)
{
    struct alter_entry *entry = &call->entries[index];
    entry->call = call;
    if (entry_check(call, index) != 0) {
        return;
    }
    if (call->ask->resources[index].resource_type == API_RESOURCE_TOPIC) {
        api_call_add(&call->base, &entry->op.base);
        entry->op.base.done = alter_on_op;
        entry->op.base.arg = entry;
        store_topic_change(call->base.api->shard, &entry->op);
    } else if (entry->broker != NULL) {
        const struct api_node *node = call->base.api->node;
        call->base.pending++;
        entry->broker->done = broker_on_op;
        entry->broker->arg = entry;
        node->change_settings(node->change_settings_arg, entry->broker);
    } else if (entry->group != NULL) {
        api_call_add_lease(&call->base, &entry->group->op.base, group_on_op);
        group_get(entry);
    }
}

void alter_configs(struct api *api, struct request *request, const struct el_msg_incremental_alter_configs_request *ask,
                   bool whole, alter_reply_fn reply)
{
    struct alter_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, alter_finish);
    call->ask = ask;
    call->whole = whole;
    call->reply = reply;
    call->entries = api_alloc(api, request, ask->resource_count, sizeof *call->entries);
    if (call->entries == NULL) {
        return;
    }
    find_twice(call, API_RESOURCE_TOPIC);
    find_twice(call, API_RESOURCE_GROUP);
    for (uint32_t i = 0; i < ask->resource_count; i++) {
        entry_start(call, i);
    }
    api_call_release(&call->base);
}
