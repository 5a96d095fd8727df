/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: stories of failed attempts never take the memory that a group needs to be served.
 * Method: the desk; more failures than there is memory for.
 */
#include "part_kit.h"

TEST(lease_story, leaves_memory_for_settings_and_new_partitions)
{
    static char worker[200];
    memset(worker, 'w', sizeof worker);
    part_begin("start=earliest");
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    struct leases *ls = desk->leases[1]; /* owns the partition */
    struct lease_stories stories = {0};
    lease_stories_init(&stories, ls);
    const struct lease_attempt attempt = {.worker = el_slice_of(worker, sizeof worker), .outcome = "fail"};
    int64_t offset = 0;
    for (size_t count = 0; offset == 0 || stories.by_offset.count > count; offset++) {
        count = stories.by_offset.count;
        lease_story_add(&stories, offset, &attempt);
    }
    assert_true(stories.by_offset.count > 1000);
    assert_int_equal(desk_set("g", "max.inflight=7"), 0);
    assert_int_equal(desk_set("other", "start=earliest"), 0);
    assert_int_equal(part_settle(7, 0, LEASE_FAIL), 0);
    lease_stories_free(&stories);
    part_end();
}

TEST(lease_story, ends_with_its_event_and_no_other)
{
    static const int64_t offsets[] = {50, 10, 90, 51};
    part_begin("start=earliest");
    struct lease_stories stories = {0};
    lease_stories_init(&stories, desk->leases[1]);
    const struct lease_attempt attempt = {.outcome = "fail"};
    lease_story_end(&stories, 0, INT64_MAX);
    for (int i = 0; i < 4; i++) {
        assert_null(lease_story_find(&stories, offsets[i]));
        lease_story_add(&stories, offsets[i], &attempt);
    }
    lease_story_end(&stories, 0, 9);
    lease_story_end(&stories, 11, 49);
    lease_story_end(&stories, 91, INT64_MAX);
    for (int i = 0; i < 4; i++) {
        assert_non_null(lease_story_find(&stories, offsets[i]));
    }
    lease_story_end(&stories, 50, 50);
    lease_story_end(&stories, 89, 1000);
    assert_null(lease_story_find(&stories, 50));
    assert_null(lease_story_find(&stories, 90));
    assert_non_null(lease_story_find(&stories, 10));
    assert_non_null(lease_story_find(&stories, 51));
    lease_story_end(&stories, 0, INT64_MAX);
    assert_int_equal(stories.by_offset.count, 0);
    lease_story_add(&stories, 7, &attempt);
    assert_non_null(lease_story_find(&stories, 7));
    lease_stories_free(&stories);
    part_end();
}
