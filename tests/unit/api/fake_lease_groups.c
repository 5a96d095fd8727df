/* SPDX-License-Identifier: Apache-2.0
 *
 * See fake_lease_groups.h.
 */
#include "fake_lease_groups.h"

#include <stdio.h>

struct fake_lease_groups lease_groups_fake;

static struct fake_lease_groups *const G = &lease_groups_fake;

void fake_lease_groups_begin(void)
{
    memset(G, 0, sizeof *G);
}

static struct fake_lease_group *find(struct el_slice id)
{
    for (uint32_t i = 0; i < FAKE_GROUP_MAX; i++) {
        if (G->groups[i].id[0] != 0 && el_slice_eq(id, el_slice_str(G->groups[i].id))) {
            return &G->groups[i];
        }
    }
    return NULL;
}

struct fake_lease_group *fake_lease_group(const char *id)
{
    return find(el_slice_str(id));
}

struct fake_lease_group *fake_lease_group_add(const char *id)
{
    for (uint32_t i = 0; i < FAKE_GROUP_MAX; i++) {
        if (G->groups[i].id[0] == 0) {
            snprintf(G->groups[i].id, sizeof G->groups[i].id, "%s", id);
            group_config_init(&G->groups[i].config);
            return &G->groups[i];
        }
    }
    fail_msg("no place for another group");
    return NULL;
}

struct lease_batch leases_batch(struct leases *ls, struct el_slice group_id)
{
    (void)ls;
    (void)group_id;
    struct lease_batch batch = leases_fake.batch;
    batch.records_max = batch.records_max == 0 ? 100000 : batch.records_max;
    batch.bytes_max = batch.bytes_max == 0 ? 64u << 20 : batch.bytes_max;
    return batch;
}

bool leases_has(struct leases *ls, struct el_slice group_id)
{
    return find(group_id) != NULL;
}

static void settings_set(struct lease_settings_op *op)
{
    struct fake_lease_group *group = find(op->base.group_id);
    char id[32];
    if (G->rival_count > 0) {
        assert_non_null(group);
        char text[16];
        snprintf(text, sizeof text, "%u", 1000 + G->rival_count--);
        assert_int_equal(group_config_set(&group->config, el_slice_str("lease.ms"), el_slice_str(text), NULL), 0);
    }
    struct group_config none;
    group_config_init(&none);
    const struct group_config *now = group == NULL ? &none : &group->config;
    bool again = op->expected != NULL && !group_config_equal(op->expected, now);
    *op->current = *now;
    G->set_count++;
    G->validated = op->validate_only;
    op->base.error = again ? EVLOG_ERR_AGAIN : 0;
    if (!again && !op->validate_only) {
        snprintf(id, sizeof id, "%.*s", (int)op->base.group_id.len, (const char *)op->base.group_id.data);
        group = group == NULL ? fake_lease_group_add(id) : group;
        group->config = *op->config;
    }
}

void leases_settings(struct leases *ls, struct lease_settings_op *op)
{
    op->base.error = G->error;
    op->base.message_text[0] = 0;
    if (G->error == 0 && op->verb == LEASE_SETTINGS_SET) {
        settings_set(op);
    } else if (G->error == 0) {
        const struct fake_lease_group *group = find(op->base.group_id);
        group_config_init(op->current);
        op->exists = group != NULL;
        if (group != NULL) {
            *op->current = group->config;
        }
    }
    op->base.done(&op->base);
}

void leases_list(struct leases *ls, struct lease_list_op *op)
{
    static struct lease_group_view views[FAKE_GROUP_MAX];
    op->base.error = G->error;
    op->groups = views;
    op->group_count = 0;
    for (uint32_t i = 0; i < FAKE_GROUP_MAX && G->error == 0; i++) {
        if (G->groups[i].id[0] != 0) {
            views[op->group_count++] = (struct lease_group_view){el_slice_str(G->groups[i].id), "Empty"};
        }
    }
    op->base.done(&op->base);
}

void leases_delete(struct leases *ls, struct lease_delete_op *op)
{
    struct fake_lease_group *group = find(op->base.group_id);
    op->base.error = group == NULL ? EVLOG_ERR_GROUP_NOT_FOUND : G->error;
    if (op->base.error == 0) {
        group->id[0] = 0;
    }
    op->base.done(&op->base);
}
