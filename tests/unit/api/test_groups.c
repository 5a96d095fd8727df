/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what JoinGroup answers when memory is short: a code after which every client tries again, and not the one that
 * ends it. Method: the handler and the groups of one shard over the fake store, with a bound that grows.
 */
#include "fake.h"

#include <wire/error_code.h>
#include <wire/msg_join_group.h>

#define BOUND_STEP 64u
#define BOUND_MAX 8192u
#define ROUND_RETRY_MS 1000u

static struct fake f;

static void begin(void)
{
    fake_begin(&f);
    fake_add_topic(&f, "__consumer_offsets", 1);
}

/* The answer's code; the member id given goes to id. */
static int16_t join(int version, const char *member_id, const uint8_t *metadata, size_t metadata_len,
                    char id[static 100])
{
    struct el_msg_join_group_protocol protocol = {.name = el_slice_str("range"),
                                                  .metadata = el_slice_of(metadata, metadata_len)};
    struct el_msg_join_group_request ask;
    struct el_msg_join_group_response answer;
    el_schema_init(&el_schema_join_group_request, &ask);
    ask.group_id = el_slice_str("g");
    ask.session_timeout_ms = ask.rebalance_timeout_ms = 6000;
    ask.member_id = el_slice_str(member_id);
    ask.protocol_type = el_slice_str("consumer");
    ask.protocols = &protocol;
    ask.protocol_count = 1;
    struct fake_request *r = fake_request(&f, EL_API_JoinGroup, version, &ask);
    fake_dispatch(&f, r);
    fake_advance_ms(&f, 0);
    while (r->outcome == FAKE_OPEN) { /* a round whose end finds no memory waits for it */
        assert_true(f.groups.cfg.memory_max < BOUND_MAX);
        f.groups.cfg.memory_max += BOUND_STEP;
        fake_advance_ms(&f, ROUND_RETRY_MS);
    }
    fake_response(r, &answer);
    int16_t code = answer.error_code;
    assert_true(answer.member_id.len < 100);
    memcpy(id, answer.member_id.data, answer.member_id.len);
    id[answer.member_id.len] = 0;
    fake_free(r);
    return code;
}

TEST(join_group, without_memory_is_to_be_tried_again_until_there_is_some)
{
    begin();
    uint32_t refused_count = 0, lost_count = 0;
    int16_t code = EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS;
    for (uint64_t bound = 0; code != 0; bound += BOUND_STEP) {
        char id[100] = "", again[100];
        assert_true(bound < BOUND_MAX);
        f.groups.cfg.memory_max = bound;
        code = join(4, "", (const uint8_t *)"topics", 6, id);
        if (code == EL_KAFKA_MEMBER_ID_REQUIRED) {
            code = join(4, id, (const uint8_t *)"topics", 6, again);
            lost_count += code != 0;
        }
        if (code != 0) {
            assert_int_equal(code, EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
            refused_count++;
        }
        assert_int_equal(fake_metric(&f, METRIC_REFUSED_GROUP_MEMORY), refused_count);
    }
    assert_true(refused_count > 0);
    assert_true(lost_count > 0); /* also of those who have an id already */
    fake_end(&f);
}

TEST(join_group, with_metadata_that_no_record_holds_is_not_to_be_tried_again)
{
    static uint8_t large[(4u << 20) + 1];
    char id[100];
    begin();
    assert_int_equal(join(3, "", large, sizeof large, id), EL_KAFKA_GROUP_MAX_SIZE_REACHED);
    assert_string_equal(id, "");
    assert_int_equal(fake_metric(&f, METRIC_REFUSED_GROUP_SIZE), 1);
    fake_end(&f);
}
