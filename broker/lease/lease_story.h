/* SPDX-License-Identifier: Apache-2.0
 *
 * What became of an event's failed attempts, for the people who find it in a dead-letter topic. Kept in memory and as
 * records until the event is finished; a story that finds no memory is not told, and nothing else depends on it.
 */
#ifndef EL_LEASE_LEASE_STORY_H
#define EL_LEASE_LEASE_STORY_H

#include <lease/lease_state.h>

#define LEASE_STORY_ATTEMPTS_MAX 16u /* the last so many */
#define LEASE_STORY_TEXT_MAX 256u    /* of a text, bytes; cut at a character */

struct lease_story {
    struct el_list link; /* in changed or writing, while not stored as it is */
    int64_t offset;      /* key of the map */
    uint32_t count;
    bool ended;              /* the event is finished: the record goes, then this */
    bool stored;             /* there is a record, or may be */
    struct el_slice entries; /* CBOR items back to back, owned */
};

struct lease_stories {
    struct leases *ls;
    struct el_map by_offset;
    int64_t lowest, highest; /* no story is outside, while there is any */
    struct el_list changed;  /* struct lease_story.link: to be written */
    struct el_list writing;  /* the same: part of the write under way */
};

/* One failed attempt. */
struct lease_attempt {
    int64_t time_ms;
    struct el_slice worker;        /* data NULL: nobody knows */
    const char *outcome;           /* "fail", "reject", "timeout" */
    struct el_slice reason, error; /* data NULL: none */
};

void lease_stories_init(struct lease_stories *stories, struct leases *ls);
void lease_stories_free(struct lease_stories *stories);
/* What a letter tells of an event that comes back; what cannot be understood is left out. */
void lease_story_keep(struct lease_stories *stories, int64_t offset, struct el_slice history);
void lease_story_add(struct lease_stories *stories, int64_t offset, const struct lease_attempt *attempt);
/* Events first .. last are finished. */
void lease_story_end(struct lease_stories *stories, int64_t first, int64_t last);
void lease_stories_end_all(struct lease_stories *stories);
/* NULL: there is none. */
struct lease_story *lease_story_find(const struct lease_stories *stories, int64_t offset);
/* A record: an array of attempts, each an array: time (ms), worker, outcome, reason, error; texts may be null. */
size_t lease_story_len(const struct lease_story *story);
void lease_story_encode(struct el_writer *w, const struct lease_story *story);
/* returns 0 | EVLOG_ERR_CORRUPT | EVLOG_ERR_NO_MEMORY */
int lease_story_restore(struct lease_stories *stories, int64_t offset, struct el_slice value);
/* Reason and error of the last attempt that gave any; data NULL: none. Borrowed. */
void lease_story_last(const struct lease_story *story, struct el_slice *reason, struct el_slice *error);
/* All changes so far are part of a write: those in `writing`; it has ended. */
void lease_story_write_begin(struct lease_stories *stories);
void lease_story_write_end(struct lease_stories *stories, bool durable);

#endif
