/* SPDX-License-Identifier: Apache-2.0 */
#include <api/api.h>
#include <api/audit_before.h>
#include <audit/audit_show.h>

#define ITEM_LEN_MAX 3072u /* four texts at their longest, escaped, with what is around them */
#define END_LEN 2u         /* what closes the list, and a comma */

/* One item, made beside the list: it is there as a whole or not at all. */
struct item {
    struct audit_before *before;
    struct el_buffer out;
    struct el_json_writer w;
    uint8_t text[ITEM_LEN_MAX];
};

void audit_before_init(struct audit_before *before)
{
    before->count = 0;
    before->cut = false;
    el_buffer_fix(&before->out, before->text, sizeof before->text);
    el_json_writer_init(&before->w, &before->out);
    el_json_begin_array(&before->w);
}

/* returns false: nobody is told */
static bool begin(struct item *item, struct request *request)
{
    item->before = api_audit_before(request);
    if (item->before == NULL) {
        return false;
    }
    el_buffer_fix(&item->out, item->text, sizeof item->text);
    el_json_writer_init(&item->w, &item->out);
    el_json_begin_object(&item->w);
    return true;
}

static void end(struct item *item)
{
    struct audit_before *before = item->before;
    el_json_end_object(&item->w);
    int code = el_json_writer_end(&item->w);
    EL_ASSERT(code == 0); /* all texts are bounded */
    if (before->count == AUDIT_ITEMS_SHOWN_MAX || before->out.len + item->out.len + END_LEN > before->out.cap) {
        before->cut = true;
        return;
    }
    el_json_put_raw(&before->w, el_buffer_slice(&item->out));
    before->count++;
}

static void add_text(struct item *item, const char *name, struct el_slice text)
{
    el_json_key(&item->w, name);
    audit_show_text(&item->w, text);
}

void audit_before_setting(struct request *request, const struct audit_before_setting *setting)
{
    struct item item;
    if (!begin(&item, request)) {
        return;
    }
    el_json_add_int(&item.w, "resource_type", setting->resource_type);
    add_text(&item, "resource_name", setting->resource_name);
    add_text(&item, "name", setting->name);
    el_json_key(&item.w, "value");
    audit_show_setting(&item.w, setting->name, setting->value);
    end(&item);
}

void audit_before_rule(struct request *request, const struct auth_rule *rule)
{
    struct item item;
    if (!begin(&item, request)) {
        return;
    }
    el_json_add_str(&item.w, "resource_type", el_acl_resource_name(rule->resource));
    add_text(&item, "resource_name", rule->name);
    el_json_add_str(&item.w, "pattern_type", el_acl_pattern_name(rule->pattern));
    el_json_key(&item.w, "principal");
    audit_show_principal(&item.w, rule->principal);
    add_text(&item, "host", rule->host);
    el_json_add_str(&item.w, "operation", el_acl_operation_name(rule->operation));
    el_json_add_str(&item.w, "permission_type", el_acl_permission_name(rule->permission));
    end(&item);
}

static void add_part(struct item *item, const char *type, int part, struct el_slice name)
{
    if (part == QUOTA_PART_NONE) {
        return;
    }
    el_json_begin_object(&item->w);
    el_json_add_str(&item->w, "entity_type", type);
    add_text(item, "entity_name", part == QUOTA_PART_DEFAULT ? (struct el_slice){0} : name);
    el_json_end_object(&item->w);
}

void audit_before_limit(struct request *request, const struct quota_entity *entity, enum quota_kind kind, double value)
{
    struct item item;
    if (!begin(&item, request)) {
        return;
    }
    el_json_key(&item.w, "entity");
    el_json_begin_array(&item.w);
    add_part(&item, "user", entity->user, entity->user_name);
    add_part(&item, "client-id", entity->client_id, entity->client_name);
    add_part(&item, "ip", entity->ip, entity->ip_name);
    el_json_end_array(&item.w);
    el_json_add_str(&item.w, "key", quota_kind_name(kind));
    el_json_key(&item.w, "value");
    if (value > 0) {
        el_json_put_real(&item.w, value);
    } else {
        el_json_put_null(&item.w);
    }
    end(&item);
}

void audit_before_show(struct audit_before *before, struct el_json_writer *w)
{
    if (before->count > 0) {
        el_json_end_array(&before->w);
        int code = el_json_writer_end(&before->w);
        EL_ASSERT(code == 0);
        el_json_key(w, "before");
        el_json_put_raw(w, el_buffer_slice(&before->out));
    }
    if (before->cut) {
        el_json_add_bool(w, "before_cut", true);
    }
}
