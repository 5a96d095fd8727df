/* SPDX-License-Identifier: Apache-2.0 */
#include "letter_states.h"

#include <core/alloc.h>
#include <string.h>

/* What is known of a partition; NULL: nothing can be, for there are too many. */
static const struct letter_states_part *part_of(struct letter_states *states, const char *topic, int32_t partition,
                                                const char *group)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    for (size_t i = 0; i < states->part_count; i++) {
        if (states->parts[i].partition == partition && strcmp(states->parts[i].group, group) == 0) {
            return &states->parts[i];
        }
    }
    if (states->parts == NULL) {
        states->parts = el_calloc(LETTER_STATES_MAX, sizeof *states->parts);
    }
    if (states->parts == NULL || states->part_count == LETTER_STATES_MAX) {
        return NULL;
    }
    struct letter_states_part *part = &states->parts[states->part_count];
    int rc = evlog_letter_list(states->cli->client, group, topic, partition, &part->list, &failure);
    if (rc == EVLOG_ERR_UNSUPPORTED) {
        states->off = true;
        return NULL;
    }
    part->list = rc == 0 ? part->list : NULL;
    part->unknown = rc != 0 && rc != EVLOG_ERR_GROUP_NOT_FOUND; /* one that was deleted has redriven nothing known */
    if (part->unknown && states->why.code == 0) {
        states->why = failure;
    }
    part->partition = partition;
    (void)snprintf(part->group, sizeof part->group, "%s", group);
    states->part_count++;
    return part;
}

const char *letter_state(struct letter_states *states, const struct evlog_event *event,
                         const struct dead_letter *letter)
{
    char group[sizeof states->parts->group];
    if (states->off || letter->group.data == NULL || letter->group.len >= sizeof group) {
        return "open";
    }
    memcpy(group, letter->group.data, letter->group.len);
    group[letter->group.len] = '\0';
    const struct letter_states_part *part = part_of(states, event->topic, event->partition, group);
    if (states->off || (part != NULL && part->list == NULL && !part->unknown)) {
        return "open";
    }
    if (part == NULL || part->unknown) {
        states->unknown_count++;
        return "unknown";
    }
    for (size_t low = 0, high = part->list->letter_count; low < high;) {
        size_t middle = low + (high - low) / 2;
        const struct evlog_letters *letters = &part->list->letters[middle];
        if (event->offset < letters->first) {
            high = middle;
        } else if (event->offset > letters->last) {
            low = middle + 1;
        } else {
            return letters->dropped ? "dropped" : "redriven";
        }
    }
    return "open";
}

void letter_states_say(const struct letter_states *states)
{
    char text[CLI_REMEDY_MAX];
    if (states->unknown_count == 0) {
        return;
    }
    if (states->why.code == 0) {
        cli_say(states->cli,
                "what has become of %llu letters is not known: they are of more than %d groups and partitions",
                (unsigned long long)states->unknown_count, LETTER_STATES_MAX);
        return;
    }
    bool denied = cli_exit_of(&states->why) == CLI_DENIED;
    cli_say(states->cli, "what has become of %llu letters is not known: %s", (unsigned long long)states->unknown_count,
            denied ? cli_remedy_for(states->cli, states->why.hint, text) : states->why.text);
}

int64_t letter_states_settled(struct cli *cli, const char *group, const char *topic, int32_t partition, int64_t start,
                              int64_t end)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_letter_list *list;
    int64_t settled = 0;
    if (evlog_letter_list(cli->client, group, topic, partition, &list, &failure) != 0) {
        return -1;
    }
    for (size_t i = 0; i < list->letter_count; i++) {
        int64_t first = EL_MAX(list->letters[i].first, start), last = EL_MIN(list->letters[i].last, end - 1);
        settled += EL_MAX(last - first + 1, (int64_t)0);
    }
    evlog_letter_list_free(list);
    return settled;
}

void letter_states_free(struct letter_states *states)
{
    for (size_t i = 0; i < states->part_count; i++) {
        evlog_letter_list_free(states->parts[i].list);
    }
    el_free(states->parts);
    states->parts = NULL;
    states->part_count = 0;
}
