/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: who takes no appends, or lets nobody in, is not ready, and says why; what an operator has to do something about
 * is a warning, and none hides another. Method: the judgement on facts, one of them changed at a time, at its limit.
 */
#include <health.h>

#include <test.h>

static char reason[512];

static struct health_facts well(void)
{
    return (struct health_facts){.certificate_left_s = INT64_MAX};
}

static bool ready(const struct health_facts *facts)
{
    return health_judge(facts, reason, sizeof reason);
}

TEST(health, is_ready_without_a_word_when_nothing_is_wrong)
{
    struct health_facts facts = well();
    assert_true(ready(&facts));
    assert_string_equal(reason, "");
    assert_true(health_judge_live(&facts, reason, sizeof reason));
    facts.flush_ns = facts.turn_ns = HEALTH_WAIT_NS - 1;
    facts.certificate_left_s = HEALTH_CERTIFICATE_S;
    facts.access_needed = true;
    assert_true(ready(&facts));
    assert_string_equal(reason, "");
}

TEST(health, of_a_refusal_is_told_before_all_else)
{
    struct health_facts facts = well();
    facts.refusal = "the disk is full";
    facts.archive_warning = "late";
    facts.turn_ns = HEALTH_WAIT_NS;
    assert_false(ready(&facts));
    assert_string_equal(reason, "the disk is full");
}

TEST(health, ends_with_a_shard_that_stands_still)
{
    struct health_facts facts = well();
    facts.turn_shard = 3;
    facts.turn_ns = HEALTH_WAIT_NS;
    assert_false(ready(&facts));
    assert_string_equal(reason, "shard 3 has answered nobody for 30 s");
    assert_true(health_judge_live(&facts, reason, sizeof reason));
    facts.turn_ns = HEALTH_DEAD_NS;
    assert_false(health_judge_live(&facts, reason, sizeof reason));
    assert_string_equal(reason, "shard 3 has answered nobody for 120 s");
}

TEST(health, ends_with_a_disk_that_does_not_answer)
{
    struct health_facts facts = well();
    facts.flush_shard = 1;
    facts.flush_ns = 2 * HEALTH_WAIT_NS;
    assert_false(ready(&facts));
    assert_string_equal(reason, "shard 1: the disk has not answered a journal write for 60 s, and appends wait");
    assert_true(health_judge_live(&facts, reason, sizeof reason)); /* a restart makes no disk answer */
}

TEST(health, ends_with_users_that_cannot_be_read_where_nobody_gets_in_without)
{
    struct health_facts facts = well();
    facts.access_unreadable = true;
    assert_true(ready(&facts));
    assert_string_equal(reason, "users and access rules cannot be read: the log says why");
    facts.access_needed = true;
    assert_false(ready(&facts));
    assert_string_equal(reason, "users and access rules cannot be read, and nobody gets in: the log says why");
}

TEST(health, warns_of_all_that_somebody_has_to_do)
{
    struct health_facts facts = well();
    facts.archive_warning = "the archive is late";
    facts.groups_failed = 2;
    facts.reload_refused = true;
    facts.certificate_left_s = HEALTH_CERTIFICATE_S - 1;
    assert_true(ready(&facts));
    assert_string_equal(reason, "the archive is late; groups of 2 partitions cannot be served: the log says why; the "
                                "last reload was refused, in whole or in part: the log says why; the certificate ends "
                                "in 13 days: renew it, then SIGHUP");
    facts = well();
    facts.certificate_left_s = 0;
    assert_true(ready(&facts));
    assert_string_equal(reason, "the certificate has ended, and clients refuse it: renew it, then SIGHUP");
}

TEST(health, warnings_that_find_no_room_are_cut)
{
    struct health_facts facts = well();
    char little[40];
    facts.groups_failed = 1;
    facts.reload_refused = true;
    facts.certificate_left_s = 1;
    assert_true(health_judge(&facts, little, sizeof little));
    assert_int_equal(strlen(little), sizeof little - 1);
}
