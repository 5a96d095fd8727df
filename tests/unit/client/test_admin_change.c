/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes and looks of administrators. Goal: a broker that reads its groups is asked until it has, a controller that
 * moved is found again, what is refused is told at once, and none of it goes on for ever. Method: a broker that answers
 * settings with errors, one after another.
 */
#include "../../lib/test.h"
#include "scripted.h"

#include <string.h>
#include <wire/error_code.h>
#include <wire/msg_describe_configs.h>
#include <wire/msg_incremental_alter_configs.h>

/* A broker with the given errors (Kafka codes) for its next answers; the last one stays. */
struct refusing {
    struct scripted s;
    const int *errors;
    size_t error_count;
    size_t asked;
};

static int16_t next_error(struct refusing *r)
{
    size_t at = EL_MIN(r->asked, r->error_count - 1);
    r->asked++;
    return (int16_t)r->errors[at];
}

static bool other(struct scripted *s, struct el_call *call)
{
    struct refusing *r = EL_CONTAINER(s, struct refusing, s);
    struct el_msg_incremental_alter_configs_response altered;
    struct el_msg_incremental_alter_configs_resource_result done;
    struct el_msg_describe_configs_response described;
    struct el_msg_describe_configs_result found;
    if (call->api->key == EL_API_IncrementalAlterConfigs) {
        el_schema_init(&el_schema_incremental_alter_configs_response, &altered);
        el_schema_init(&el_schema_incremental_alter_configs_resource_result, &done);
        done.error_code = next_error(r);
        altered.responses = &done;
        altered.response_count = 1;
        scripted_give(s, call, &altered);
        return true;
    }
    assert_int_equal(call->api->key, EL_API_DescribeConfigs);
    el_schema_init(&el_schema_describe_configs_response, &described);
    el_schema_init(&el_schema_describe_configs_result, &found);
    found.error_code = next_error(r);
    described.results = &found;
    described.result_count = 1;
    scripted_give(s, call, &described);
    return true;
}

static void begin(struct refusing *r, const int *errors, size_t error_count, const char *timeout_ms)
{
    const char *const settings[] = {
        "request.timeout.ms", timeout_ms, "retry.backoff.ms", "1", "retry.backoff.max.ms", "5", NULL};
    *r = (struct refusing){.errors = errors, .error_count = error_count};
    scripted_begin(&r->s, settings);
    r->s.other = other;
}

static int change(struct refusing *r, struct evlog_failure *failure)
{
    const struct evlog_setting setting = {"log.level", "debug"};
    return evlog_broker_set(&r->s.client, &setting, 1, false, failure);
}

static int look(struct refusing *r, struct evlog_failure *failure)
{
    struct evlog_setting_list *list = NULL;
    int rc = evlog_broker_settings(&r->s.client, &list, failure);
    evlog_setting_list_free(list);
    return rc;
}

static int (*const calls[])(struct refusing *, struct evlog_failure *) = {change, look};

TEST(admin_change, a_broker_that_reads_its_groups_is_asked_until_it_has)
{
    static const int errors[] = {EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS, EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS,
                                 EL_KAFKA_NOT_COORDINATOR, 0};
    for (size_t i = 0; i < 2; i++) {
        struct refusing r;
        struct evlog_failure failure = EVLOG_FAILURE_INIT;
        begin(&r, errors, 4, "20000");
        assert_int_equal(calls[i](&r, &failure), 0);
        assert_int_equal(r.asked, 4);
        scripted_end(&r.s);
    }
}

TEST(admin_change, a_broker_that_reads_its_groups_for_ever_is_given_up)
{
    static const int errors[] = {EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS};
    for (size_t i = 0; i < 2; i++) {
        struct refusing r;
        struct evlog_failure failure = EVLOG_FAILURE_INIT;
        begin(&r, errors, 1, "300");
        assert_int_not_equal(calls[i](&r, &failure), 0);
        assert_int_equal(failure.kafka_code, EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
        assert_true(failure.retriable && r.asked > 1);
        scripted_end(&r.s);
    }
}

TEST(admin_change, a_controller_that_moved_is_found_again)
{
    static const int moved[] = {EL_KAFKA_NOT_CONTROLLER, 0}, lost[] = {EL_KAFKA_NOT_CONTROLLER};
    struct refusing r;
    begin(&r, moved, 2, "20000");
    assert_int_equal(change(&r, NULL), 0);
    assert_int_equal(r.asked, 2);
    scripted_end(&r.s);
    begin(&r, lost, 1, "20000");
    assert_int_not_equal(change(&r, NULL), 0);
    assert_int_equal(r.asked, 5);
    scripted_end(&r.s);
}

TEST(admin_change, what_is_refused_is_told_at_once)
{
    static const int errors[] = {EL_KAFKA_INVALID_CONFIG};
    for (size_t i = 0; i < 2; i++) {
        struct refusing r;
        struct evlog_failure failure = EVLOG_FAILURE_INIT;
        begin(&r, errors, 1, "20000");
        assert_int_not_equal(calls[i](&r, &failure), 0);
        assert_int_equal(failure.kafka_code, EL_KAFKA_INVALID_CONFIG);
        assert_int_equal(r.asked, 1);
        scripted_end(&r.s);
    }
}
