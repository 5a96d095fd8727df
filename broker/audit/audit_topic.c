/* SPDX-License-Identifier: Apache-2.0
 *
 * The topic of the audit log: one partition, so that its records are in one order; never compacted; kept as long as
 * evlogd's settings say, which no request can shorten. Any shard makes it; the first one keeps its settings.
 */
#include <audit/audit_state.h>

#include <core/logger.h>
#include <inttypes.h>
#include <stdio.h>

static void config_make(struct audit *audit, struct topic_config *config)
{
    char age[24], bytes[24];
    snprintf(age, sizeof age, "%" PRId64, audit->settings.retention_ms);
    snprintf(bytes, sizeof bytes, "%" PRId64, audit->settings.retention_bytes);
    const char *const settings[][2] = {
        {"cleanup.policy", "delete"},     {"retention.ms", age},
        {"retention.bytes", bytes},       {"segment.bytes", "67108864"},
        {"max.message.bytes", "1048588"}, {"message.timestamp.type", "CreateTime"},
        {"evlog.durability", "flush"},
    };
    topic_config_init_own(config, settings, sizeof settings / sizeof settings[0]);
}

static void change_on_done(struct store_op *base)
{
    struct audit *audit = base->arg;
    OBJ_CHECK(audit, AUDIT);
    EL_ASSERT(audit->changing);
    bool made = audit->change.verb == TOPIC_CREATE;
    audit->changing = false;
    if (base->error != 0 && base->error != EVLOG_ERR_TOPIC_EXISTS) {
        el_log(EL_LOG_WARN, "audit", "cannot %s the topic %s: %s", made ? "make" : "set up", AUDIT_TOPIC,
               audit->change.message[0] != 0 ? audit->change.message : evlog_error_text(base->error));
    }
    audit_topic_done(audit, base->error == EVLOG_ERR_TOPIC_EXISTS || !made ? 0 : base->error);
}

static void change(struct audit *audit, const struct topic *topic)
{
    EL_ASSERT(!audit->changing);
    audit->change = (struct topic_op){
        .base = {.done = change_on_done, .arg = audit},
        .verb = topic == NULL ? TOPIC_CREATE : TOPIC_ALTER,
        .name = el_slice_str(AUDIT_TOPIC),
        .partition_count = 1,
        .internal = true,
        .config = &audit->config,
    };
    if (topic != NULL) {
        audit->change.id = topic->id;
    }
    audit->changing = true;
    store_topic_change(audit->shard, &audit->change);
}

const struct topic *audit_topic(struct audit *audit)
{
    const struct topic *topic = store_topic_by_name(audit->shard, el_slice_str(AUDIT_TOPIC));
    if (topic == NULL && !audit->changing) {
        config_make(audit, &audit->config);
        change(audit, NULL);
        topic = store_topic_by_name(audit->shard, el_slice_str(AUDIT_TOPIC)); /* it may be there at once */
    }
    return topic;
}

void audit_topic_settle(struct audit *audit)
{
    const struct topic *topic = store_topic_by_name(audit->shard, el_slice_str(AUDIT_TOPIC));
    if (topic == NULL || audit->changing || store_shard_index(audit->shard) != AUDIT_HOME) {
        return;
    }
    config_make(audit, &audit->config);
    if (topic_config_int(&topic->config, &audit->config, TOPIC_RETENTION_MS) != audit->settings.retention_ms ||
        topic_config_int(&topic->config, &audit->config, TOPIC_RETENTION_BYTES) != audit->settings.retention_bytes) {
        change(audit, topic);
    }
}
