/* SPDX-License-Identifier: Apache-2.0
 *
 * Where dead letters of a part go: topic, partition, producer id; and what happens when they cannot.
 *
 * The topic is made on first use with the source's settings, but for those that would lose letters or refuse them:
 * compaction would keep one letter of a key, and headers make a letter larger than its event.
 */
#include <lease/lease_bury.h>

#include <core/logger.h>
#include <stdarg.h>
#include <stdio.h>

#define DELAY_NS_MIN 1000000000u
#define DELAY_NS_MAX 60000000000u
#define HEADERS_LEN (64u << 10) /* that a letter may be larger by, about: history, texts, names */

uint64_t bury_longer(uint64_t delay_ns)
{
    return EL_MIN(EL_MAX(delay_ns * 2, (uint64_t)DELAY_NS_MIN), (uint64_t)DELAY_NS_MAX);
}

void bury_fail(struct lease_burial *b, int error, const char *format, ...)
{
    struct leases *ls = lease_part_leases(b->part);
    char text[LEASE_PART_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(b->why, sizeof b->why, format, args);
    va_end(args);
    b->error = error;
    b->delay_ns = bury_longer(b->delay_ns);
    b->retry_ns = ls->io->now_ns + b->delay_ns;
    metrics_add(ls->metrics, METRIC_LEASES_DEAD_FAILED, 1);
    if (b->said_ns == 0 || ls->io->now_ns - b->said_ns >= LEASE_MINUTE_NS) {
        b->said_ns = ls->io->now_ns;
        el_log(EL_LOG_WARN, "lease", "%s: dead letters wait, and with them the keys of their events: %s",
               lease_part_text(b->part, text, sizeof text), b->why);
    }
}

void bury_went_well(struct lease_burial *b)
{
    b->delay_ns = b->retry_ns = 0;
    b->error = 0;
    b->why[0] = 0;
}

/* --- the topic ---------------------------------------------------------------------------------------------------- */

static void create_on_done(struct store_op *base)
{
    struct lease_burial *b = base->arg;
    struct lease_part *part = b->part;
    OBJ_CHECK(part, LEASE_PART);
    b->making = false;
    if (base->error != 0 && base->error != EVLOG_ERR_TOPIC_EXISTS) {
        bury_fail(b, base->error, "their topic %s cannot be made: %s", b->topic_name,
                  b->create.message[0] != 0 ? b->create.message : evlog_error_text(base->error));
    }
    lease_part_turn(part);
    lease_part_unpin(part);
}

static void set_number(struct topic_config *config, const char *name, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    int code = topic_config_set(config, el_slice_str(name), el_slice_str(text), NULL);
    EL_ASSERT(code == 0);
}

static void set_word(struct topic_config *config, const char *name, const char *word)
{
    int code = topic_config_set(config, el_slice_str(name), el_slice_str(word), NULL);
    EL_ASSERT(code == 0);
}

/* An event that dies, comes back and dies again has two letters with one key and one event id: in a stream the second
 * would be taken for a repeat of the first. */
static void no_streams(struct topic_config *config)
{
    static const char *const names[] = {"evlog.streams", "evlog.key.partitioner", "evlog.stream.max.age.ms",
                                        "evlog.stream.max.count"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int code = topic_config_unset(config, el_slice_str(names[i]), NULL);
        EL_ASSERT(code == 0);
    }
}

static void create_begin(struct lease_burial *b, const struct topic *source)
{
    struct lease_part *part = b->part;
    struct topic_config *config = &b->create_config;
    const struct topic_config *defaults = lease_part_leases(part)->cfg.topic_defaults;
    *config = source->config;
    no_streams(config);
    set_word(config, "evlog.durability", "flush");
    if (topic_config_int(config, defaults, TOPIC_CLEANUP_POLICY) != TOPIC_CLEANUP_DELETE) {
        bool keeps = topic_config_int(config, defaults, TOPIC_CLEANUP_POLICY) == TOPIC_CLEANUP_COMPACT;
        set_word(config, "cleanup.policy", "delete");
        if (keeps) {
            set_number(config, "retention.ms", -1);
            set_number(config, "retention.bytes", -1);
        }
    }
    int64_t len_max = topic_config_int(config, defaults, TOPIC_MAX_MESSAGE_BYTES) + HEADERS_LEN;
    set_number(config, "max.message.bytes", EL_MIN(len_max, (int64_t)EL_BATCH_LEN_MAX));
    b->create = (struct topic_op){
        .base = {.done = create_on_done, .arg = b},
        .verb = TOPIC_CREATE,
        .name = el_slice_str(b->topic_name),
        .partition_count = source->partition_count,
        .config = config,
    };
    b->making = true;
    lease_part_pin(part);
    store_topic_change(lease_part_leases(part)->shard, &b->create);
}

bool bury_target(struct lease_burial *b, struct bury_target *target)
{
    struct lease_part *part = b->part;
    struct leases *ls = lease_part_leases(part);
    const struct topic *source = store_topic_by_id(ls->shard, &part->key.topic_id);
    if (b->making || source == NULL || ls->io->now_ns < b->retry_ns) {
        return false;
    }
    group_config_dead_topic(part->group->config, el_slice_of(source->name, source->name_len), part->group->id,
                            b->topic_name);
    const struct topic *topic = store_topic_by_name(ls->shard, el_slice_str(b->topic_name));
    if (topic == NULL) {
        create_begin(b, source);
        topic = store_topic_by_name(ls->shard, el_slice_str(b->topic_name)); /* it may be there at once */
        if (topic == NULL || b->making) {
            return false;
        }
    }
    if (topic == source || topic->internal) {
        bury_fail(b, EVLOG_ERR_POLICY, "%s is %s: set the group's dlq.topic to another one", topic->name,
                  topic == source ? "the topic that they come from" : "an internal topic");
        return false;
    }
    if (topic_config_streams(&topic->config)) {
        bury_fail(b, EVLOG_ERR_POLICY, "%s has evlog.streams=true: set the group's dlq.topic to a topic without",
                  topic->name);
        return false;
    }
    *target = (struct bury_target){
        .topic_id = topic->id,
        .partition = part->key.partition % topic->partition_count,
        .len_max = (uint32_t)topic_config_int(&topic->config, ls->cfg.topic_defaults, TOPIC_MAX_MESSAGE_BYTES),
    };
    return true;
}

/* --- the producer ------------------------------------------------------------------------------------------------- */

static void draw_on_done(struct store_op *base)
{
    struct lease_burial *b = base->arg;
    struct lease_part *part = b->part;
    OBJ_CHECK(part, LEASE_PART);
    b->drawing = false;
    if (base->error == 0) {
        part->producer_id = b->draw.producer_id;
        part->next_sequence = 0;
    } else {
        bury_fail(b, base->error, "no producer id can be drawn: %s", evlog_error_text(base->error));
    }
    lease_part_turn(part);
    lease_part_unpin(part);
}

bool bury_producer(struct lease_burial *b)
{
    struct lease_part *part = b->part;
    struct leases *ls = lease_part_leases(part);
    if (part->producer_id >= 0) {
        return true;
    }
    if (!b->drawing && ls->io->now_ns >= b->retry_ns) {
        b->drawing = true;
        b->draw = (struct producer_id_op){.base = {.done = draw_on_done, .arg = b}};
        lease_part_pin(part);
        store_producer_id(ls->shard, &b->draw);
    }
    return part->producer_id >= 0;
}
