/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings of a work group: the table, override.h's functions with its names and types, and the texts among them.
 *
 * A text is checked when it is set, so that what a group has can be used without a refusal: group_config_start() and
 * group_config_dead_topic() take what is there. Kafka's settings of other kinds of groups are refused by name.
 */
#include <config/group_config.h>
#include <config/value.h>
#include <core/assert.h>
#include <core/hash.h>
#include <core/timefmt.h>

#include <inttypes.h>
#include <stdio.h>

#define DURATION_MS_MAX 3153600000000ll /* 100 years */
#define NS_PER_MS 1000000

static int check(int id, int64_t number, struct el_slice text, struct el_error *err);
static const char *known(struct el_slice name);

static const struct override_row rows[GROUP_SETTING_COUNT] = {
#define GROUP_SETTING(ID, name_, alias_, type_, default_, min_, max_, behaviour_, choices_, doc_)                      \
    [GROUP_SETTING_##ID] = {                                                                                           \
        .name = (name_),                                                                                               \
        .alias = (alias_),                                                                                             \
        .choices = (choices_),                                                                                         \
        .doc = (doc_),                                                                                                 \
        .default_value = (default_),                                                                                   \
        .min = (min_),                                                                                                 \
        .max = (max_),                                                                                                 \
        .type = OVERRIDE_##type_,                                                                                      \
        .behaviour = OVERRIDE_##behaviour_,                                                                            \
    },
#include <config/group_settings.def>
#undef GROUP_SETTING
};

static const struct override_refusal refusals[] = {
    {GROUP_SETTING_DLQ_TOPIC, "", "evlogd does not drop a failed event without a copy of it"},
};

const struct override_table group_settings = {
    .noun = "group setting",
    .rows = rows,
    .count = GROUP_SETTING_COUNT,
    .own = OVERRIDE_FROM_GROUP,
    .refusals = refusals,
    .refusal_count = sizeof refusals / sizeof refusals[0],
    .texts_max = GROUP_TEXTS_MAX,
    .known = known,
    .check = check,
};

static bool starts_with(struct el_slice text, const char *start)
{
    size_t len = strlen(start);
    return text.len >= len && memcmp(text.data, start, len) == 0;
}

static const char *known(struct el_slice name)
{
    if (starts_with(name, "consumer.")) {
        return "it is for consumer groups, whose members bring their own timeouts when they join";
    }
    if (starts_with(name, "streams.")) {
        return "it is for streams groups, which evlogd does not have";
    }
    return NULL;
}

/* --- start -------------------------------------------------------------------------------------------------------- */

/* Digits at the start of a text, at least one and without overflow. */
static bool take_number(struct el_slice *text, int64_t *value)
{
    int64_t sum = 0;
    size_t i = 0;
    for (; i < text->len && text->data[i] >= '0' && text->data[i] <= '9'; i++) {
        if (__builtin_mul_overflow(sum, (int64_t)10, &sum) ||
            __builtin_add_overflow(sum, (int64_t)(text->data[i] - '0'), &sum)) {
            return false;
        }
    }
    *text = el_slice_of(text->data + i, text->len - i);
    *value = sum;
    return i > 0;
}

static bool take_char(struct el_slice *text, char c)
{
    if (text->len == 0 || (text->data[0] & ~0x20) != (c & ~0x20)) {
        return false;
    }
    *text = el_slice_of(text->data + 1, text->len - 1);
    return true;
}

/* ".5" as milliseconds; what is below one is cut. */
static bool take_fraction(struct el_slice *text, int64_t *ms)
{
    int64_t scale = 1000;
    size_t i = 0;
    for (*ms = 0; i < text->len && text->data[i] >= '0' && text->data[i] <= '9'; i++) {
        scale /= 10;
        *ms += (text->data[i] - '0') * scale;
    }
    *text = el_slice_of(text->data + i, text->len - i);
    return i > 0 && i <= 9;
}

/* ISO 8601, days to seconds: P1DT2H3M4.5S. */
static bool parse_duration(struct el_slice text, int64_t *total_ms)
{
    static const struct {
        char letter;
        int64_t unit_ms;
    } parts[] = {{'D', 86400000}, {'H', 3600000}, {'M', 60000}, {'S', 1000}};
    int64_t total = 0;
    bool in_time = false, any = false;
    size_t next = 0;
    if (!take_char(&text, 'P')) {
        return false;
    }
    while (text.len > 0) {
        int64_t number = 0, fraction_ms = 0;
        if (!in_time && take_char(&text, 'T')) {
            in_time = true;
            next = EL_MAX(next, (size_t)1);
            any = false;
            continue;
        }
        if (!take_number(&text, &number)) {
            return false;
        }
        bool whole = text.len == 0 || text.data[0] != '.';
        if (!whole) {
            text = el_slice_of(text.data + 1, text.len - 1);
            if (!take_fraction(&text, &fraction_ms)) {
                return false;
            }
        }
        while (next < 4 && !take_char(&text, parts[next].letter)) {
            next++;
        }
        if (next == 4 || (next > 0) != in_time || (!whole && parts[next].letter != 'S') ||
            number > DURATION_MS_MAX / parts[next].unit_ms) {
            return false;
        }
        total += number * parts[next].unit_ms + fraction_ms;
        next++;
        any = true;
    }
    *total_ms = total;
    return any && total <= DURATION_MS_MAX;
}

/* The next "partition=offset"; false at the end or at a fault, which leaves something in text. */
static bool next_offset(struct el_slice *text, int64_t *partition, int64_t *offset)
{
    struct el_slice rest = *text;
    if (!take_number(&rest, partition) || !take_char(&rest, '=') || !take_number(&rest, offset) ||
        *partition > INT32_MAX) {
        return false;
    }
    if (rest.len > 0 && (rest.data[0] != ',' || rest.len == 1)) {
        return false;
    }
    *text = rest.len == 0 ? rest : el_slice_of(rest.data + 1, rest.len - 1);
    return true;
}

static bool parse_time(struct el_slice text, int64_t *ms)
{
    char copy[64];
    int64_t ns = 0;
    bool absolute = text.len > 0 && text.len < sizeof copy &&
                    (text.data[0] == '@' || (text.data[0] >= '0' && text.data[0] <= '9'));
    if (!absolute) {
        return false;
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    if (el_time_parse(copy, 0, &ns, NULL) != 0) {
        return false;
    }
    *ms = ns / NS_PER_MS;
    return true;
}

/* partition -1: only look whether the text can be read. */
static bool parse_start(struct el_slice text, int32_t partition, int64_t now_ms, struct group_start *start)
{
    static const char duration[] = "by_duration:", offsets[] = "offsets:";
    int64_t number = 0, index = 0;
    *start = (struct group_start){.kind = GROUP_START_EARLIEST};
    if (el_slice_eq(text, el_slice_str("earliest"))) {
        return true;
    }
    if (el_slice_eq(text, el_slice_str("latest"))) {
        start->kind = GROUP_START_LATEST;
        return true;
    }
    if (starts_with(text, duration)) {
        size_t skip = sizeof duration - 1;
        *start = (struct group_start){.kind = GROUP_START_TIME};
        bool fine = parse_duration(el_slice_of(text.data + skip, text.len - skip), &number);
        start->value = EL_MAX(now_ms - number, (int64_t)0);
        return fine;
    }
    if (starts_with(text, offsets)) {
        size_t skip = sizeof offsets - 1;
        struct el_slice rest = el_slice_of(text.data + skip, text.len - skip);
        bool some = rest.len > 0;
        while (rest.len > 0 && next_offset(&rest, &index, &number)) {
            if (index == partition) {
                *start = (struct group_start){.kind = GROUP_START_OFFSET, .value = number};
            }
        }
        return some && rest.len == 0;
    }
    *start = (struct group_start){.kind = GROUP_START_TIME};
    return parse_time(text, &start->value);
}

void group_config_start(const struct group_config *cfg, int32_t partition, int64_t now_ms, struct group_start *start)
{
    bool fine = parse_start(group_config_text(cfg, GROUP_SETTING_START), partition, now_ms, start);
    EL_ASSERT(fine);
}

/* --- the topic of the dead letters -------------------------------------------------------------------------------- */

static bool in_topic_name(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
}

struct name_writer {
    char *out;
    size_t len;   /* written, at most EL_TOPIC_NAME_MAX */
    bool changed; /* not what was asked for */
};

static void name_add(struct name_writer *w, struct el_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (w->len == EL_TOPIC_NAME_MAX) {
            w->changed = true;
            return;
        }
        bool fine = in_topic_name(text.data[i]);
        w->changed = w->changed || !fine;
        w->out[w->len++] = fine ? (char)text.data[i] : '-';
    }
}

void group_config_dead_topic(const struct group_config *cfg, struct el_slice topic, struct el_slice group_id,
                             char name[EL_TOPIC_NAME_MAX + 1])
{
    static const char topic_word[] = "<topic>", group_word[] = "<group>";
    struct el_slice form = group_config_text(cfg, GROUP_SETTING_DLQ_TOPIC);
    struct name_writer w = {.out = name};
    for (size_t i = 0; i < form.len;) {
        struct el_slice rest = el_slice_of(form.data + i, form.len - i);
        bool is_topic = starts_with(rest, topic_word), is_group = starts_with(rest, group_word);
        name_add(&w, is_topic ? topic : is_group ? group_id : el_slice_of(rest.data, 1));
        i += is_topic ? sizeof topic_word - 1 : is_group ? sizeof group_word - 1 : 1;
    }
    if (w.changed || (w.len == 1 && name[0] == '.') || (w.len == 2 && memcmp(name, "..", 2) == 0) || w.len == 0) {
        uint64_t hash = el_xxh3(topic.data, topic.len) * 31 + el_xxh3(group_id.data, group_id.len);
        w.len = EL_MIN(w.len, (size_t)EL_TOPIC_NAME_MAX - 17);
        w.len += (size_t)snprintf(name + w.len, EL_TOPIC_NAME_MAX + 1 - w.len, "-%016" PRIx64, hash);
    }
    EL_ASSERT(w.len <= EL_TOPIC_NAME_MAX);
    name[w.len] = 0;
}

/* Literal characters must be a topic's; "<topic>" alone would send dead letters back to their source. */
static int check_dead_topic(struct el_slice text, struct el_error *err)
{
    bool fine = !el_slice_eq(text, el_slice_str("<topic>"));
    for (size_t i = 0; i < text.len && fine; i++) {
        struct el_slice rest = el_slice_of(text.data + i, text.len - i);
        if (starts_with(rest, "<topic>") || starts_with(rest, "<group>")) {
            i += 6;
        } else {
            fine = in_topic_name(text.data[i]);
        }
    }
    fine = fine && !el_slice_eq(text, el_slice_str(".")) && !el_slice_eq(text, el_slice_str(".."));
    if (!fine || (memchr(text.data, '<', text.len) == NULL && text.len > EL_TOPIC_NAME_MAX)) {
        return el_error_set(
            err, EVLOG_ERR_INVALID_CONFIG,
            "dlq.topic cannot be '%.*s': allowed is the name of a topic other than the source, in which "
            "<topic> and <group> stand for the names of source and group",
            value_shown_len(text), (const char *)text.data);
    }
    return 0;
}

/* --- checks ------------------------------------------------------------------------------------------------------- */

static int check(int id, int64_t number, struct el_slice text, struct el_error *err)
{
    struct group_start start;
    switch ((enum group_setting_id)id) {
    case GROUP_SETTING_DLQ_TOPIC:
        return check_dead_topic(text, err);
    case GROUP_SETTING_RETRY_MAX_ATTEMPTS:
        return number != 0 ? 0
                           : el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                          "retry.max.attempts cannot be 0, for nothing would be delivered: allowed is "
                                          "-1 (no limit) or a number from 1 to 32767");
    case GROUP_SETTING_START:
        return parse_start(text, -1, 0, &start)
                   ? 0
                   : el_error_set(
                         err, EVLOG_ERR_INVALID_CONFIG,
                         "start cannot be '%.*s': allowed is earliest, latest, by_duration:PT1H (ISO 8601, days "
                         "to seconds), a time such as 2026-03-01T12:00:00Z or @1772366400000, or "
                         "offsets:0=100,1=250",
                         value_shown_len(text), (const char *)text.data);
    default:
        return 0;
    }
}

int group_config_check(const struct group_config *cfg, struct el_error *err)
{
    if (group_config_int(cfg, GROUP_SETTING_SESSION_MS) <= group_config_int(cfg, GROUP_SETTING_HEARTBEAT_MS)) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                            "share.session.timeout.ms must be larger than share.heartbeat.interval.ms");
    }
    if (group_config_int(cfg, GROUP_SETTING_RETRY_BACKOFF_MAX_MS) <
        group_config_int(cfg, GROUP_SETTING_RETRY_BACKOFF_MS)) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                            "retry.backoff.max.ms must not be smaller than retry.backoff.ms");
    }
    if (group_config_int(cfg, GROUP_SETTING_ON_EXHAUSTED) == GROUP_EXHAUSTED_PARK &&
        group_config_int(cfg, GROUP_SETTING_ORDER) != GROUP_ORDER_KEY) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                            "on.exhausted=park parks keys and needs order=key; without it take skip or halt");
    }
    return 0;
}

/* --- override.h with this table ----------------------------------------------------------------------------------- */

void group_config_init(struct group_config *cfg)
{
    overrides_init(&group_settings, &cfg->set);
}

int group_config_set(struct group_config *cfg, struct el_slice name, struct el_slice value, struct el_error *err)
{
    return overrides_set(&group_settings, &cfg->set, name, value, err);
}

int64_t group_config_int(const struct group_config *cfg, enum group_setting_id id)
{
    return overrides_int(&group_settings, cfg == NULL ? NULL : &cfg->set, NULL, (int)id);
}

struct el_slice group_config_text(const struct group_config *cfg, enum group_setting_id id)
{
    return overrides_text(&group_settings, cfg == NULL ? NULL : &cfg->set, NULL, (int)id);
}

size_t group_config_len(const struct group_config *cfg)
{
    return overrides_len(&group_settings, &cfg->set);
}

int group_config_encode(const struct group_config *cfg, uint8_t *out, size_t out_max, size_t *len)
{
    return overrides_encode(&group_settings, &cfg->set, out, out_max, len);
}

int group_config_decode(struct group_config *cfg, const uint8_t *data, size_t len)
{
    int error = overrides_decode(&group_settings, &cfg->set, data, len);
    if (error != 0) {
        group_config_init(cfg);
    }
    return error;
}

bool group_config_equal(const struct group_config *a, const struct group_config *b)
{
    return overrides_equal(&group_settings, &a->set, &b->set);
}
