/* SPDX-License-Identifier: Apache-2.0
 *
 * See desk.h.
 */
#include "desk.h"

#include <stdio.h>
#include <stdlib.h>

struct desk *desk;
char desk_text[LEASE_MESSAGE_LEN];

static struct leases *near(void)
{
    return desk->leases[1];
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static void ask_kind(void *arg, struct lease_kind_question *question)
{
    struct desk *k = arg;
    if (k->kind_holds) {
        k->question = question;
    } else {
        question->told(question, k->kind_error);
    }
}

static void up(struct desk *k)
{
    for (uint32_t i = 0; i < FAKE_SHARDS; i++) {
        assert_int_equal(leases_create(&k->store.shards[i], k->leases, &k->cfg, &k->leases[i]), 0);
    }
    for (uint32_t i = 0; i < FAKE_SHARDS; i++) {
        leases_start(k->leases[i]);
    }
    if (k->starting != NULL) {
        k->starting();
    }
    fake_store_run(&k->store);
}

void desk_begin(struct desk *k)
{
    memset(k, 0, sizeof *k);
    desk = k;
    fake_store_begin(&k->store);
    k->cfg = (struct leases_config){.memory_max = 8u << 20, .members_max = 200, .ask_kind = ask_kind, .kind_arg = k};
    up(k);
}

void desk_stop(struct desk *k)
{
    for (uint32_t i = 0; i < FAKE_SHARDS; i++) {
        leases_stop(k->leases[i]);
    }
    if (k->question != NULL) {
        k->question->told(k->question, EVLOG_ERR_CLOSED);
        k->question = NULL;
    }
    k->store.held = NULL;
    k->store.append_error = k->store.append_count > 0 ? EVLOG_ERR_CLOSED : 0;
    while (k->store.append_count > 0) {
        fake_store_durable(&k->store);
    }
    k->store.append_error = 0;
    fake_store_run(&k->store);
}

static void down(struct desk *k)
{
    for (uint32_t i = 0; i < FAKE_SHARDS; i++) {
        assert_true(leases_idle(k->leases[i]));
        leases_destroy(k->leases[i]);
        assert_int_equal(k->store.shards[i].buddy.used, 0);
        assert_int_equal(k->store.shards[i].io.timer_count, 0);
    }
}

void desk_restart(struct desk *k)
{
    desk_stop(k);
    down(k);
    fake_store_forget(&k->store);
    up(k);
}

void desk_end(struct desk *k)
{
    if (!k->leases[0]->stopping) {
        desk_stop(k);
    }
    down(k);
    fake_store_end(&k->store);
}

/* --- workers ------------------------------------------------------------------------------------------------------ */

struct worker worker_of(const char *id, const char *topic)
{
    return (struct worker){.id = id, .topics = {topic}};
}

/* Places in the order of the answer, with names of topics for their ids. */
static void places_print(struct worker *w)
{
    size_t used = 0;
    w->places[0] = 0;
    for (uint32_t i = 0; i < w->op.assignment_count; i++) {
        const struct share_assignment *a = &w->op.assignments[i];
        const struct topic *topic = store_topic_by_id(NULL, &a->topic_id);
        used += (size_t)snprintf(w->places + used, sizeof w->places - used, "%s%s:", i > 0 ? " " : "",
                                 topic == NULL ? "?" : topic->name);
        for (uint32_t p = 0; p < a->count && used < sizeof w->places; p++) {
            used += (size_t)snprintf(w->places + used, sizeof w->places - used, "%s%d", p > 0 ? "," : "",
                                     a->partitions[p]);
        }
    }
}

static void worker_on_done(struct lease_op *op)
{
    struct worker *w = op->arg;
    w->waits = false;
    snprintf(w->text, sizeof w->text, "%s", op->message_text);
    w->assigned = w->op.assigned;
    if (op->error == 0) {
        w->epoch = w->op.member_epoch_out;
    }
    if (op->error == 0 && w->op.assigned) {
        places_print(w);
    }
    lease_op_release(op);
}

void worker_ask(struct worker *w, const char *group)
{
    uint32_t count = 0;
    assert_false(w->waits);
    memset(&w->op, 0, sizeof w->op);
    while (count < 8 && w->topics[count] != NULL) {
        w->names[count] = el_slice_str(w->topics[count]);
        count++;
    }
    w->op.base.group_id = el_slice_str(group);
    w->op.base.done = worker_on_done;
    w->op.base.arg = w;
    w->op.member_id = el_slice_str(w->id);
    w->op.member_epoch = w->epoch;
    w->op.client_id = el_slice_str("client");
    w->op.host = el_slice_str("/127.0.0.1");
    w->op.topics = count == 0 ? NULL : w->names;
    w->op.topic_count = count;
    w->waits = true;
    leases_heartbeat(near(), &w->op);
    fake_store_run(&desk->store);
}

int worker_beat(struct worker *w, const char *group)
{
    worker_ask(w, group);
    assert_false(w->waits);
    return w->op.base.error;
}

int worker_join(struct worker *w, const char *group)
{
    w->epoch = 0;
    return worker_beat(w, group);
}

uint32_t worker_load(const struct worker *w)
{
    uint32_t count = w->places[0] == 0 ? 0 : 1;
    for (const char *p = w->places; *p != 0; p++) {
        count += *p == ',' || *p == ' ' ? 1 : 0;
    }
    return count;
}

/* --- other ops ---------------------------------------------------------------------------------------------------- */

static bool waits;

static void on_flag(struct lease_op *op)
{
    snprintf(desk_text, sizeof desk_text, "%s", op->message_text);
    waits = false;
}

static void begin(struct lease_op *op, const char *group)
{
    op->group_id = el_slice_str(group);
    op->done = on_flag;
    waits = true;
}

static void end(void)
{
    fake_store_run(&desk->store);
    assert_false(waits);
}

int desk_set(const char *group, const char *settings)
{
    static struct group_config config;
    char text[512], *save = NULL;
    struct lease_settings_op op = {.verb = LEASE_SETTINGS_SET, .config = &config};
    group_config_init(&config);
    snprintf(text, sizeof text, "%s", settings);
    for (char *word = strtok_r(text, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
        char *equals = strchr(word, '=');
        *equals = 0;
        assert_int_equal(group_config_set(&config, el_slice_str(word), el_slice_str(equals + 1), NULL), 0);
    }
    begin(&op.base, group);
    leases_settings(near(), &op);
    end();
    return op.base.error;
}

int64_t desk_setting(const char *group, enum group_setting_id id, bool *exists)
{
    static struct group_config current;
    struct lease_settings_op op = {.verb = LEASE_SETTINGS_GET, .current = &current};
    begin(&op.base, group);
    leases_settings(near(), &op);
    end();
    assert_int_equal(op.base.error, 0);
    if (exists != NULL) {
        *exists = op.exists;
    }
    return group_config_int(&current, id);
}

int desk_delete(const char *group)
{
    struct lease_delete_op op;
    memset(&op, 0, sizeof op);
    begin(&op.base, group);
    leases_delete(near(), &op);
    end();
    return op.base.error;
}

const char *desk_describe(const char *group)
{
    static char text[256];
    struct share_describe_op op;
    memset(&op, 0, sizeof op);
    begin(&op.base, group);
    leases_describe(near(), &op);
    end();
    if (op.base.error != 0) {
        snprintf(text, sizeof text, "error %d", op.base.error);
        return text;
    }
    int used = snprintf(text, sizeof text, "%s %d", op.state, op.epoch);
    for (uint32_t i = 0; i < op.member_count; i++) {
        const struct share_member_view *view = &op.members[i];
        used += snprintf(text + used, sizeof text - (size_t)used, " %.*s@%d/%u", (int)view->id.len,
                         (const char *)view->id.data, view->epoch, view->topic_count);
    }
    lease_op_release(&op.base);
    fake_store_run(&desk->store);
    return text;
}

const char *desk_list(void)
{
    static char text[256];
    struct lease_list_op op;
    int used = 0;
    memset(&op, 0, sizeof op);
    begin(&op.base, "");
    leases_list(near(), &op);
    end();
    text[0] = 0;
    for (uint32_t i = 0; i < op.group_count; i++) {
        used += snprintf(text + used, sizeof text - (size_t)used, "%s%.*s:%s", i > 0 ? " " : "",
                         (int)op.groups[i].id.len, (const char *)op.groups[i].id.data, op.groups[i].state);
    }
    lease_op_release(&op.base);
    fake_store_run(&desk->store);
    return text;
}
