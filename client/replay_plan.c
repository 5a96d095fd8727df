/* SPDX-License-Identifier: Apache-2.0
 *
 * How far a replay goes, and where it begins.
 *
 * The end is a cut at the time asked for (append time, evlog), or the end of the log with times compared event by event
 * (event time, or an append-time topic of another broker). The beginning is always that of the log, so that versions
 * are right; what comes before the position asked for is read and left out.
 */
#include "fail.h"
#include "offsets.h"
#include "place.h"
#include "replay_state.h"

#include <core/timefmt.h>
#include <evlog/admin.h>
#include <wire/position.h>

static bool has_times(const struct evlog_replay_options *options)
{
    return options->until_ns != EVLOG_TIME_NONE || options->from_ns != EVLOG_TIME_NONE;
}

static bool stamps(const struct evlog_setting *settings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(settings[i].key, "message.timestamp.type") == 0) {
            return settings[i].value != NULL && strcmp(settings[i].value, "LogAppendTime") == 0;
        }
    }
    return false;
}

/* Another broker knows append times only on topics that stamp them. */
static int check_append_times(struct el_replay *replay, struct evlog_failure *failure)
{
    struct evlog_topic_info *info;
    int rc = evlog_topic_describe(replay->client, replay->options->topic, &info, failure);
    if (rc != 0) {
        return rc;
    }
    bool stamped = stamps(info->settings, info->setting_count) || stamps(info->defaults, info->default_count);
    evlog_topic_info_free(info);
    if (stamped) {
        return 0;
    }
    (void)el_fail(failure, EVLOG_ERR_UNSUPPORTED,
                  "this broker keeps no append times for topic %s, so there is no state as of an append time",
                  replay->options->topic);
    el_fail_hint(failure, "use --event-time for the publishers' times, or a topic with "
                          "message.timestamp.type=LogAppendTime");
    return EVLOG_ERR_UNSUPPORTED;
}

static int plan_by_end(struct el_replay *replay, struct evlog_failure *failure)
{
    const char *topic = replay->options->topic;
    int rc = evlog_offsets_at(replay->client, topic, EVLOG_OFFSET_EARLIEST, replay->start_offsets,
                              replay->partition_count, failure);
    if (rc == 0) {
        rc = evlog_offsets_at(replay->client, topic, EVLOG_OFFSET_LATEST, replay->end_offsets, replay->partition_count,
                              failure);
    }
    replay->compare_until = replay->options->until_ns != EVLOG_TIME_NONE;
    return rc;
}

static int plan_by_cut(struct el_replay *replay, struct evlog_failure *failure)
{
    struct el_cut cut = {
        .time_ns = replay->options->until_ns == EVLOG_TIME_NONE ? 0 : replay->options->until_ns,
        .start_offsets = replay->start_offsets,
        .end_offsets = replay->end_offsets,
        .partition_count = replay->partition_count,
    };
    if (replay->options->until_ns != EVLOG_TIME_NONE && replay->options->until_ns <= 0) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "append times begin in 1970");
    }
    return el_cut_ask(replay->client, replay->options->topic, &cut, failure);
}

static int topic_id(struct el_replay *replay, uint8_t id[16], struct evlog_failure *failure)
{
    struct evlog_topic_info *info;
    if (replay->consumer == NULL) {
        memcpy(id, el_replay_archive_topic_id(replay->archive), 16);
        return 0;
    }
    int rc = evlog_topic_look(replay->client, replay->options->topic, &info, failure);
    if (rc == 0) {
        memcpy(id, info->id, 16);
        evlog_topic_info_free(info);
    }
    return rc;
}

/* --- an archive --------------------------------------------------------------------------------------------------- */

/* All of it is the archive's: it must be complete through the time. */
static int plan_by_archive(struct el_replay *replay, struct evlog_failure *failure)
{
    const struct evlog_replay_options *options = replay->options;
    int64_t complete_ns = el_replay_archive_complete_ns(replay->archive);
    bool by_time = options->until_ns != EVLOG_TIME_NONE && !options->event_time;
    char text[40];
    if (by_time && options->until_ns > complete_ns) {
        el_time_format(text, complete_ns, 9);
        return el_fail(failure, EVLOG_ERR_ARGUMENT,
                       "the archive is complete through %s: name that time or an earlier one, or none for all there is",
                       complete_ns == 0 ? "no time yet" : text);
    }
    replay->compare_until = options->until_ns != EVLOG_TIME_NONE && options->event_time;
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < replay->partition_count; i++) {
        rc = el_replay_archive_range(replay->archive, i, by_time ? options->until_ns : EVLOG_TIME_NONE,
                                     &replay->start_offsets[i], &replay->end_offsets[i], failure);
        el_replay_archive_assign(replay->archive, i, replay->start_offsets[i], replay->end_offsets[i]);
    }
    return rc;
}

/* The archive has a partition's events up to the time through which it is complete: the broker is read from there on.
 * Up to that time all of it comes before all of the broker's. */
static int share_with_archive(struct el_replay *replay, int32_t partition, int64_t *from, struct evlog_failure *failure)
{
    int64_t start, end, complete_ns = el_replay_archive_complete_ns(replay->archive);
    int64_t last = EL_MAX(replay->end_offsets[partition], replay->start_offsets[partition]);
    if (complete_ns == 0 || partition >= el_replay_archive_partition_count(replay->archive)) {
        return 0;
    }
    int rc = el_replay_archive_range(replay->archive, partition, complete_ns, &start, &end, failure);
    end = EL_MIN(end, last);
    if (rc != 0 || start >= end) {
        return rc;
    }
    el_replay_archive_assign(replay->archive, partition, start, end);
    replay->partial = replay->partial || *from > end; /* neither has what lies between */
    replay->start_offsets[partition] = EL_MIN(start, replay->start_offsets[partition]);
    *from = EL_MAX(*from, end);
    return 0;
}

/* The position that it begins with, or behind. */
static int plan_beginning(struct el_replay *replay, struct evlog_failure *failure)
{
    const struct evlog_replay_options *options = replay->options;
    struct el_place place;
    uint8_t id[16];
    int rc = el_place_read(options->from_position, &place, failure);
    rc = rc != 0 ? rc : topic_id(replay, id, failure);
    if (rc != 0) {
        return rc;
    }
    bool ours = el_place_is_of(&place, options->topic, id);
    if (!ours || place.partition < 0 || place.partition >= replay->partition_count) {
        (void)el_fail(failure, EVLOG_ERR_ARGUMENT, "position %.100s is not one of topic %s", options->from_position,
                      options->topic);
        el_fail_hint(failure, "positions are printed by append and by an interrupted replay of the same topic; or use "
                              "TOPIC/PARTITION/OFFSET");
        return EVLOG_ERR_ARGUMENT;
    }
    bool with_it = place.topic[0] != '\0';
    int64_t end = replay->end_offsets[place.partition];
    if (place.next_offset > end) {
        (void)el_fail(failure, EVLOG_ERR_ARGUMENT,
                      "position %.100s lies behind the end: %s[%d] is read up to offset "
                      "%lld",
                      options->from_position, options->topic, place.partition, (long long)end);
        el_fail_hint(failure, "name a later --until, or an earlier position");
        return EVLOG_ERR_ARGUMENT;
    }
    replay->begun = place.next_offset == 0;
    replay->begin_partition = place.partition;
    replay->begin_offset = place.next_offset - 1;
    replay->skip_offset = with_it ? place.next_offset - 1 : place.next_offset;
    return 0;
}

/* What the broker is asked for. */
static int plan_by_broker(struct el_replay *replay, struct evlog_failure *failure)
{
    bool by_cut = replay->consumer->has_append_times && !replay->options->event_time;
    int rc = 0;
    if (!by_cut && !replay->options->event_time && has_times(replay->options)) {
        rc = check_append_times(replay, failure);
    }
    return rc != 0 ? rc : by_cut ? plan_by_cut(replay, failure) : plan_by_end(replay, failure);
}

int el_replay_plan(struct el_replay *replay, struct evlog_failure *failure)
{
    int rc = replay->consumer == NULL ? plan_by_archive(replay, failure) : plan_by_broker(replay, failure);
    for (int32_t i = 0; rc == 0 && i < replay->partition_count; i++) {
        int64_t from = replay->start_offsets[i], end = EL_MAX(replay->end_offsets[i], from);
        if (replay->consumer != NULL && replay->archive != NULL) {
            rc = share_with_archive(replay, i, &from, failure);
        }
        replay->partial = replay->partial || replay->start_offsets[i] > 0;
        replay->total_count += (uint64_t)(end - replay->start_offsets[i]);
        if (rc == 0 && replay->consumer != NULL) {
            rc = evlog_consumer_assign(replay->consumer, i, from, end, failure);
        }
    }
    replay->begun = true;
    if (rc == 0 && replay->options->from_position != NULL) {
        rc = plan_beginning(replay, failure);
    }
    return rc;
}

void evlog_replay_position(const uint8_t topic_id[16], int32_t partition, int64_t offset,
                           char position[EVLOG_REPLAY_POSITION_MAX])
{
    struct el_position place = {.partition = partition, .offset = offset + 1};
    EL_STATIC_ASSERT(EVLOG_REPLAY_POSITION_MAX > EL_POSITION_TEXT_LEN, "a position fits");
    memcpy(place.topic_id.bytes, topic_id, sizeof place.topic_id.bytes);
    el_position_format(position, &place);
}
