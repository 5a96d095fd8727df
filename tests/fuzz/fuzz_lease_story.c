/* SPDX-License-Identifier: Apache-2.0
 *
 * Stories of failed attempts, from a damaged or hostile disk or from the headers of an event. What is accepted is
 * encoded again as the same bytes, can be told, takes further attempts, and is accepted again with them; what is
 * refused leaves nothing behind.
 */
#include "leases_kit.h"

#include <core/assert.h>
#include <evlog/error.h>
#include <lease/lease_story.h>

#include <stdlib.h>

#define OFFSET 7
#define ROOM (288u << 10) /* what a write has for one record */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct lease_story *check(struct lease_stories *stories, struct el_slice in)
{
    static uint8_t room[ROOM];
    struct el_writer w;
    struct el_slice reason, error;
    struct lease_story *story = lease_story_find(stories, OFFSET);
    EL_ASSERT(story != NULL);
    EL_ASSERT(story->count >= 1);
    EL_ASSERT(story->count <= LEASE_STORY_ATTEMPTS_MAX);
    el_writer_init(&w, room, sizeof(room));
    lease_story_encode(&w, story);
    EL_ASSERT(w.err == 0);
    EL_ASSERT(el_writer_len(&w) == lease_story_len(story));
    if (in.data != NULL) {
        EL_ASSERT(el_writer_len(&w) == in.len);
        EL_ASSERT(memcmp(room, in.data, in.len) == 0);
    }
    lease_story_last(story, &reason, &error);
    EL_ASSERT(reason.len <= story->entries.len);
    EL_ASSERT(error.len <= story->entries.len);
    return story;
}

static void try_story(struct leases *ls, struct el_slice in)
{
    struct lease_stories stories = {0}, again = {0};
    static uint8_t room[ROOM];
    struct el_writer w;
    const struct lease_attempt attempt = {
        .time_ms = 1, .worker = el_slice_str("w"), .outcome = "fail", .error = el_slice_str("e")};
    lease_stories_init(&stories, ls);
    lease_stories_init(&again, ls);
    int err = lease_story_restore(&stories, OFFSET, in);
    EL_ASSERT(err == 0 || err == EVLOG_ERR_CORRUPT);
    if (err == 0) {
        check(&stories, in);
        for (uint32_t i = 0; i <= LEASE_STORY_ATTEMPTS_MAX; i++) {
            lease_story_add(&stories, OFFSET, &attempt);
            el_writer_init(&w, room, sizeof(room));
            lease_story_encode(&w, check(&stories, (struct el_slice){0}));
            struct el_slice grown = el_slice_of(room, el_writer_len(&w));
            EL_ASSERT(lease_story_restore(&again, OFFSET, grown) == 0);
            check(&again, (struct el_slice){0});
            lease_stories_free(&again);
            lease_stories_init(&again, ls);
        }
    }
    lease_stories_free(&stories);
    lease_stories_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct el_buddy buddy;
    struct leases *ls = leases_kit_begin(&buddy);
    try_story(ls, el_slice_of(data, len));
    leases_kit_end(ls);
    return 0;
}
