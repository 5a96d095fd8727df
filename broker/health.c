/* SPDX-License-Identifier: Apache-2.0
 *
 * Ready is who takes appends and lets clients in. A shard whose thread stands still, or whose disk does not answer,
 * says nothing of it by itself: so its last turn and the begin of its oldest journal write are looked at from outside.
 *
 * Warnings are what an operator has to do something about while all is still served; they are told one behind the
 * other, for one that lasts must not hide the next. Of the archive's own the gravest is told.
 */
#include <health.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)
#define S_PER_DAY 86400
#define TEXT_MAX 256

/* --- judging ------------------------------------------------------------------------------------------------------ */

static bool no(char *reason, size_t reason_max, const char *format, ...) __attribute__((format(printf, 3, 4)));

static bool no(char *reason, size_t reason_max, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(reason, reason_max, format, args);
    va_end(args);
    return false;
}

static void warn(char *reason, size_t reason_max, const char *text)
{
    size_t len = strlen(reason);
    EL_ASSERT(len < reason_max);
    (void)snprintf(reason + len, reason_max - len, "%s%s", len == 0 ? "" : "; ", text);
}

static void warn_certificate(const struct health_facts *facts, char *reason, size_t reason_max)
{
    char text[TEXT_MAX];
    if (facts->certificate_left_s >= HEALTH_CERTIFICATE_S) {
        return;
    }
    if (facts->certificate_left_s <= 0) {
        (void)snprintf(text, sizeof text, "the certificate has ended, and clients refuse it: renew it, then SIGHUP");
    } else {
        (void)snprintf(text, sizeof text, "the certificate ends in %" PRId64 " days: renew it, then SIGHUP",
                       facts->certificate_left_s / S_PER_DAY);
    }
    warn(reason, reason_max, text);
}

static void warn_all(const struct health_facts *facts, char *reason, size_t reason_max)
{
    char text[TEXT_MAX];
    if (facts->archive_warning != NULL) {
        warn(reason, reason_max, facts->archive_warning);
    }
    if (facts->access_unreadable) {
        warn(reason, reason_max, "users and access rules cannot be read: the log says why");
    }
    if (facts->groups_failed > 0) {
        (void)snprintf(text, sizeof text, "groups of %" PRId64 " partitions cannot be served: the log says why",
                       facts->groups_failed);
        warn(reason, reason_max, text);
    }
    if (facts->reload_refused) {
        warn(reason, reason_max, "the last reload was refused, in whole or in part: the log says why");
    }
    warn_certificate(facts, reason, reason_max);
}

bool health_judge(const struct health_facts *facts, char *reason, size_t reason_max)
{
    EL_ASSERT(reason_max > 0);
    reason[0] = 0;
    if (facts->refusal != NULL) {
        return no(reason, reason_max, "%s", facts->refusal);
    }
    if (facts->turn_ns >= HEALTH_WAIT_NS) {
        return no(reason, reason_max, "shard %" PRIu32 " has answered nobody for %" PRIu64 " s", facts->turn_shard,
                  facts->turn_ns / NS_PER_S);
    }
    if (facts->flush_ns >= HEALTH_WAIT_NS) {
        return no(reason, reason_max,
                  "shard %" PRIu32 ": the disk has not answered a journal write for %" PRIu64 " s, and appends wait",
                  facts->flush_shard, facts->flush_ns / NS_PER_S);
    }
    if (facts->access_unreadable && facts->access_needed) {
        return no(reason, reason_max, "users and access rules cannot be read, and nobody gets in: the log says why");
    }
    warn_all(facts, reason, reason_max);
    return true;
}

bool health_judge_live(const struct health_facts *facts, char *reason, size_t reason_max)
{
    EL_ASSERT(reason_max > 0);
    reason[0] = 0;
    if (facts->turn_ns >= HEALTH_DEAD_NS) {
        return no(reason, reason_max, "shard %" PRIu32 " has answered nobody for %" PRIu64 " s", facts->turn_shard,
                  facts->turn_ns / NS_PER_S);
    }
    return true;
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

static uint64_t mono_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t since(uint64_t now_ns, uint64_t then_ns)
{
    return then_ns == 0 || then_ns > now_ns ? 0 : now_ns - then_ns;
}

/* Each shard turns once a second at least: it has timers. */
static void look_at_turns(const struct health *health, uint64_t now_ns, struct health_facts *facts)
{
    for (uint32_t i = 0; i < health->shard_count; i++) {
        uint64_t turned_ns = atomic_load_explicit(&health->shards[i].turned_ns, memory_order_relaxed);
        uint64_t still_ns = since(now_ns, turned_ns);
        if (still_ns > facts->turn_ns) {
            facts->turn_ns = still_ns;
            facts->turn_shard = i;
        }
    }
}

void health_configure(struct health *health, const struct config *cfg)
{
    bool needed = cfg->authorizer == CONFIG_AUTHORIZER_ON;
    for (uint32_t i = 0; i < cfg->listener_table.count; i++) {
        needed = needed || config_protocol_has_sasl(cfg->listener_table.list[i].protocol);
    }
    atomic_store_explicit(&health->access_needed, needed, memory_order_relaxed);
}

static void look_at_access(const struct health *health, struct health_facts *facts)
{
    for (uint32_t i = 0; i < health->shard_count; i++) {
        const struct shard *shard = &health->shards[i];
        bool read = atomic_load_explicit(&shard->access_read, memory_order_acquire);
        facts->access_unreadable = facts->access_unreadable || (read && shard->access_error != 0);
    }
    facts->access_needed = atomic_load_explicit(&health->access_needed, memory_order_relaxed);
}

/* text  [text_max] for what facts refer to */
static void look_at_archive(const struct health *health, struct health_facts *facts, char *text, size_t text_max)
{
    struct archive *archive = health->archive;
    if (facts->refusal != NULL || archive == NULL) {
        return;
    }
    if (archive_behind(archive, text, text_max)) {
        facts->refusal = text;
        return;
    }
    const char *stopped = archive_stopped_reason(archive);
    if (stopped != NULL) {
        (void)snprintf(text, text_max, "archiving has ended for good: %s", stopped);
    }
    if (stopped != NULL || archive_missing(archive, text, text_max) || archive_full(archive, text, text_max) ||
        archive_needs_somebody(archive, text, text_max) || archive_late(archive, text, text_max)) {
        facts->archive_warning = text;
    }
}

static int64_t sum(const struct health *health, enum metric_id id)
{
    int64_t total = 0;
    for (uint32_t i = 0; i < health->shard_count; i++) {
        total += metrics_get(health->metrics[i], id);
    }
    return total;
}

bool health_ready(const struct health *health, char *reason, size_t reason_max)
{
    char text[TEXT_MAX];
    uint64_t now_ns = mono_ns();
    struct health_facts facts = {.refusal = store_not_ready_reason(health->store)};
    int64_t end_s = sum(health, METRIC_CERTIFICATE_END);
    facts.flush_ns = since(now_ns, store_flush_since_ns(health->store, &facts.flush_shard));
    facts.certificate_left_s = end_s == 0 ? INT64_MAX : end_s - (int64_t)time(NULL);
    facts.groups_failed = sum(health, METRIC_GROUP_FAILED) + sum(health, METRIC_LEASE_FAILED);
    facts.reload_refused = sum(health, METRIC_RELOAD_REFUSED) != 0;
    look_at_turns(health, now_ns, &facts);
    look_at_access(health, &facts);
    look_at_archive(health, &facts, text, sizeof text);
    return health_judge(&facts, reason, reason_max);
}

bool health_live(const struct health *health, char *reason, size_t reason_max)
{
    struct health_facts facts = {.certificate_left_s = INT64_MAX};
    look_at_turns(health, mono_ns(), &facts);
    return health_judge_live(&facts, reason, reason_max);
}
