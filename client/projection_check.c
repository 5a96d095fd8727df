/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a projection stands against the log. A checkpoint that is not of this log must never be gone on from: rows
 * would be missing or doubled, and nobody would see it. Refused are another topic of the same name, a log that ends
 * below the checkpoint or whose epoch lies behind, a log that no longer reaches so far back, and a log whose event
 * before the checkpoint is another one.
 */
#include "fail.h"
#include "projection_state.h"

#include <core/alloc.h>
#include <stdio.h>

#define LOOK_MS 10000 /* for the event before the checkpoint */

/* --- feeds -------------------------------------------------------------------------------------------------------- */

static struct el_projection_feed *find_feed(const struct evlog_projection *projection, const char *topic,
                                            int32_t partition)
{
    for (uint32_t i = 0; i < projection->feed_count; i++) {
        struct el_projection_feed *feed = &projection->feeds[i];
        if (feed->saved.partition == partition && strcmp(feed->saved.topic, topic) == 0) {
            return feed;
        }
    }
    return NULL;
}

static struct el_projection_feed *add_feed(struct evlog_projection *projection)
{
    if (projection->feed_count == projection->feed_room) {
        uint32_t room = EL_MAX(2 * projection->feed_room, 16u);
        struct el_projection_feed *feeds = el_realloc(projection->feeds, room * sizeof *feeds);
        if (feeds == NULL) {
            return NULL;
        }
        projection->feeds = feeds;
        if (el_projection_lanes_grow(projection, room) != 0) {
            return NULL;
        }
        projection->feed_room = room;
    }
    struct el_projection_feed *feed = &projection->feeds[projection->feed_count++];
    memset(feed, 0, sizeof *feed);
    return feed;
}

/* The partitions of a topic that are not known yet, as if nothing of them had been applied. */
static int take_partitions(struct evlog_projection *projection, const char *topic, const struct evlog_topic_info *info,
                           struct evlog_failure *failure)
{
    for (size_t i = 0; i < info->partition_count; i++) {
        const struct evlog_partition_info *partition = &info->partitions[i];
        if (find_feed(projection, topic, partition->index) != NULL) {
            continue;
        }
        struct el_projection_feed *feed = add_feed(projection);
        if (feed == NULL) {
            return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for the partitions of %s", topic);
        }
        feed->start_offset = partition->start_offset;
        feed->target_offset = partition->end_offset;
        feed->saved = (struct evlog_projection_position){
            .topic = topic,
            .partition = partition->index,
            .leader_epoch = -1,
            .next_offset = partition->start_offset,
            .append_time_ns = -1,
            .history_offset = partition->end_offset,
            .whole = partition->start_offset == 0,
        };
        memcpy(feed->saved.topic_id, info->id, sizeof feed->saved.topic_id);
        feed->log_epoch = partition->leader_epoch;
    }
    return 0;
}

/* --- the checkpoint against the log ------------------------------------------------------------------------------- */

struct placing {
    struct evlog_projection *projection;
    struct evlog_failure *failure;
    int rc;
};

static int refuse(const struct placing *placing, const struct evlog_projection_position *position, int code,
                  const char *why)
{
    (void)el_fail(placing->failure, code, "projection %s cannot go on at offset %lld of %s[%d]: %s",
                  placing->projection->options.name, (long long)position->next_offset, position->topic,
                  position->partition, why);
    el_fail_hint(placing->failure, "if this is the right server, make the rows anew with --rebuild");
    return code;
}

static int check_position(const struct placing *placing, const struct el_projection_feed *feed,
                          const struct evlog_projection_position *position)
{
    static const uint8_t none[16];
    char why[128];
    bool ids = memcmp(position->topic_id, none, 16) != 0 && memcmp(feed->saved.topic_id, none, 16) != 0;
    if (ids && memcmp(position->topic_id, feed->saved.topic_id, 16) != 0) {
        return refuse(placing, position, EVLOG_ERR_CONFLICT, "the topic was made anew since, its id is another one");
    }
    if (position->next_offset > feed->target_offset) {
        (void)snprintf(why, sizeof why, "the log ends at %lld, it is another log or an older copy",
                       (long long)feed->target_offset);
        return refuse(placing, position, EVLOG_ERR_CONFLICT, why);
    }
    if (position->leader_epoch > feed->log_epoch && feed->log_epoch >= 0) {
        (void)snprintf(why, sizeof why, "its leader epoch %d is newer than the log's %d", position->leader_epoch,
                       feed->log_epoch);
        return refuse(placing, position, EVLOG_ERR_CONFLICT, why);
    }
    if (position->next_offset < feed->start_offset) {
        (void)snprintf(why, sizeof why, "the log begins at %lld, the events between were removed",
                       (long long)feed->start_offset);
        return refuse(placing, position, EVLOG_ERR_OFFSET_RANGE, why);
    }
    return 0;
}

/* A place that a lane has come to. It is of this log when the checkpoint is, but for what was cut off behind that. */
static int take_ahead(struct placing *placing, uint32_t feed, const struct evlog_projection_position *position)
{
    struct evlog_projection *projection = placing->projection;
    placing->rc = check_position(placing, &projection->feeds[feed], position);
    if (placing->rc != 0) {
        return placing->rc;
    }
    if (position->lane < 0 || position->lane >= position->lane_count ||
        position->lane_count > EVLOG_PROJECTION_PARALLEL_MAX) {
        return refuse(placing, position, EVLOG_ERR_DATABASE, "the place of a lane makes no sense");
    }
    struct el_projection_ahead *grown = el_realloc(projection->ahead, (projection->ahead_count + 1) * sizeof *grown);
    if (grown == NULL) {
        return el_fail(placing->failure, EVLOG_ERR_NO_MEMORY, "no memory for the places of lanes");
    }
    projection->ahead = grown;
    grown[projection->ahead_count++] = (struct el_projection_ahead){feed, position->lane, position->lane_count,
                                                                    position->next_offset};
    return 0;
}

static int on_position(void *arg, const struct evlog_projection_position *position)
{
    struct placing *placing = arg;
    struct el_projection_feed *feed = find_feed(placing->projection, position->topic, position->partition);
    if (feed == NULL) {
        for (size_t i = 0; i < placing->projection->options.topic_count; i++) {
            if (strcmp(placing->projection->options.topics[i], position->topic) == 0) {
                placing->rc = refuse(placing, position, EVLOG_ERR_CONFLICT, "the topic has no such partition any more");
            }
        }
        return placing->rc; /* a topic that is not read any more is left alone */
    }
    if (position->lane_count > 0) {
        return take_ahead(placing, (uint32_t)(feed - placing->projection->feeds), position);
    }
    placing->rc = check_position(placing, feed, position);
    if (placing->rc == 0) {
        const char *topic = feed->saved.topic;
        feed->saved = *position;
        feed->saved.topic = topic;
        feed->stored = true;
    }
    return placing->rc;
}

/* The event before the checkpoint, where it is still there: is it the one that was applied? */
static int check_last(const struct placing *placing, const struct evlog_projection_position *saved)
{
    struct evlog_consumer_options options = EVLOG_CONSUMER_OPTIONS_INIT;
    struct evlog_consumer *consumer;
    const struct evlog_event *event;
    struct evlog_event_view view = {.size = sizeof view};
    options.topic = saved->topic;
    int rc = evlog_consumer_open(placing->projection->client, &options, &consumer, placing->failure);
    if (rc != 0) {
        return rc;
    }
    consumer->quiet = true;
    rc = evlog_consumer_assign(consumer, saved->partition, saved->next_offset - 1, saved->next_offset,
                               placing->failure);
    rc = rc == 0 ? evlog_consumer_next(consumer, LOOK_MS, &event, placing->failure) : rc;
    if (rc == 1 && event->offset == saved->next_offset - 1) {
        rc = evlog_event_view(event, &view);
        char id[EVLOG_PROJECTION_ID_MAX] = "";
        size_t len = EL_MIN(view.id.len, sizeof id - 1);
        memcpy(id, len == 0 ? "" : view.id.data, len);
        bool same_time = event->append_time_ns < 0 || saved->append_time_ns < 0 ||
                         event->append_time_ns == saved->append_time_ns;
        if (rc == 0 && (strcmp(id, saved->last_id) != 0 || !same_time)) {
            rc = refuse(placing, saved, EVLOG_ERR_CONFLICT, "the event before it is another one than was applied");
        }
        evlog_event_view_free(&view);
    }
    evlog_consumer_close(consumer);
    return rc < 0 ? rc : 0;
}

/* --- reading on --------------------------------------------------------------------------------------------------- */

/* First offset that is not to be applied, INT64_MAX for none. */
static int64_t end_of(const struct evlog_projection *projection, const struct evlog_projection_position *saved)
{
    const struct evlog_projection_options *options = &projection->options;
    if (options->until == NULL) {
        return INT64_MAX;
    }
    for (size_t i = 0; i < options->until_count; i++) {
        if (options->until[i].partition == saved->partition && strcmp(options->until[i].topic, saved->topic) == 0) {
            return options->until[i].next_offset;
        }
    }
    return saved->next_offset; /* a partition that is not named: nothing of it */
}

static int read_on(struct evlog_projection *projection, struct el_projection_feed *feed, struct evlog_failure *failure)
{
    struct el_feed *reading = el_consumer_add(&projection->consumer, feed->saved.topic, feed->saved.partition,
                                              feed->saved.next_offset);
    if (reading == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to read %s", feed->saved.topic);
    }
    reading->end_offset = end_of(projection, &feed->saved);
    if (projection->options.until != NULL) {
        feed->target_offset = reading->end_offset;
    }
    return 0;
}

/* Take a topic's partitions in from the first that is not known; read those. */
static int place_topic(struct evlog_projection *projection, const char *topic, struct evlog_failure *failure)
{
    struct evlog_topic_info *info;
    int rc = evlog_topic_look(projection->client, topic, &info, failure);
    if (rc == 0) {
        rc = take_partitions(projection, topic, info, failure);
        evlog_topic_info_free(info);
    }
    return rc;
}

/* A partition that its topic has got since the projection began holds no history. */
static void forget_history(struct evlog_projection *projection, uint32_t first)
{
    for (uint32_t i = first; i < projection->feed_count; i++) {
        struct el_projection_feed *feed = &projection->feeds[i];
        for (uint32_t j = 0; !feed->stored && j < projection->feed_count; j++) {
            const struct el_projection_feed *other = &projection->feeds[j];
            if (other->stored && strcmp(other->saved.topic, feed->saved.topic) == 0) {
                feed->saved.history_offset = feed->start_offset;
            }
        }
    }
}

int el_projection_place(struct evlog_projection *projection, struct evlog_failure *failure)
{
    struct placing placing = {.projection = projection, .failure = failure};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < projection->options.topic_count; i++) {
        rc = place_topic(projection, projection->options.topics[i], failure);
    }
    if (rc == 0) {
        rc = projection->store->calls->positions(projection->store, projection->lease.name, on_position, &placing,
                                                 failure);
        rc = rc == 0 ? placing.rc : rc;
    }
    forget_history(projection, 0);
    el_projection_forget_ahead(projection);
    for (uint32_t i = 0; rc == 0 && i < projection->feed_count; i++) {
        const struct evlog_projection_position *saved = &projection->feeds[i].saved;
        bool known = saved->last_id[0] != '\0' || saved->append_time_ns >= 0;
        if (projection->feeds[i].stored && known && saved->next_offset > projection->feeds[i].start_offset) {
            rc = check_last(&placing, saved);
        }
    }
    if (rc == 0) {
        el_consumer_init(&projection->consumer, projection->client);
        projection->consumer.projection = projection->options.name;
        projection->reading = true;
    }
    for (uint32_t i = 0; rc == 0 && i < projection->feed_count; i++) {
        rc = read_on(projection, &projection->feeds[i], failure);
    }
    return rc;
}

int el_projection_grow(struct evlog_projection *projection, struct evlog_failure *failure)
{
    uint32_t known = projection->feed_count;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < projection->options.topic_count; i++) {
        const char *topic = projection->options.topics[i];
        int32_t there = 0, count = 0;
        for (uint32_t j = 0; j < known; j++) {
            there += strcmp(projection->feeds[j].saved.topic, topic) == 0;
        }
        rc = evlog_topic_partition_count(projection->client, topic, &count, failure);
        if (rc == 0 && count > there) {
            rc = place_topic(projection, topic, failure);
        }
    }
    forget_history(projection, known);
    for (uint32_t i = known; rc == 0 && i < projection->feed_count; i++) {
        rc = read_on(projection, &projection->feeds[i], failure);
    }
    return rc;
}
