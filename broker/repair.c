/* SPDX-License-Identifier: Apache-2.0 */
#include <repair.h>

#include <data_dir.h>
#include <io/disk.h>
#include <storage/node.h>
#include <stream/index_check.h>
#include <stream/index_log.h>

static void tell(void *arg, const char *text)
{
    fprintf(arg, "  %s\n", text);
}

/* Each file verifies: does it say what the log says? returns 0 | EVLOG_ERR_CORRUPT with a text | what prevented it
 *
 * log_damaged  set to whether the log itself does not verify
 */
static int log_check(struct disk *disk, uint32_t shard, FILE *out, bool *log_damaged, struct el_error *err)
{
    struct index_log_count count;
    int code = index_log_check(disk, shard, tell, out, &count, err);
    if (code == EVLOG_ERR_NOT_FOUND) {
        fprintf(out, "shard %u: stream index not compared with the log, the next start makes it anew: %s\n", shard,
                err->text);
        return 0;
    }
    if (code != 0) {
        return code;
    }
    if (count.damage_count > 0) {
        *log_damaged = true;
        return el_error_set(err, EVLOG_ERR_CORRUPT,
                            "%llu places of the log do not verify or are missing, and %llu events differ",
                            (unsigned long long)count.damage_count, (unsigned long long)count.difference_count);
    }
    if (count.difference_count > 0) {
        return el_error_set(err, EVLOG_ERR_CORRUPT, "it differs from the log in %llu events",
                            (unsigned long long)count.difference_count);
    }
    fprintf(out, "shard %u: stream index agrees with the log: partitions %u, events %llu", shard, count.partition_count,
            (unsigned long long)count.event_count);
    if (count.unseen_count > 0) {
        fprintf(out, "; %llu offsets are in the journal only, and were not looked at",
                (unsigned long long)count.unseen_count);
    }
    fprintf(out, "\n");
    return 0;
}

/* returns 0 | EVLOG_ERR_CORRUPT damage was left, *log_damaged set when it is of the log | what prevented the look */
static int repair_shard(const struct config *cfg, struct disk *disk, uint32_t shard, FILE *out, bool *log_damaged,
                        struct el_error *err)
{
    struct index_check_count count = {.run_count = 0};
    int code = index_check_shard(disk, shard, &count, err);
    if (code == 0) {
        fprintf(out, "shard %u: stream index sound: files %u, entries %llu, keys %llu\n", shard, count.run_count,
                (unsigned long long)count.entry_count, (unsigned long long)count.name_count);
        code = log_check(disk, shard, out, log_damaged, err);
    }
    if (code == 0) {
        return 0;
    }
    if (code == EVLOG_ERR_FORMAT) { /* it may be sound: it is left as it is */
        el_error_wrap(err, "shard %u: use the newer evlogd that wrote the index", shard);
    }
    if (code != EVLOG_ERR_CORRUPT) {
        return code;
    }
    if (*log_damaged) { /* an index that is removed could not be made anew from it */
        fprintf(out, "shard %u: log DAMAGED, the stream index is left as it is: %s\n", shard, err->text);
        return EVLOG_ERR_CORRUPT;
    }
    fprintf(out, "shard %u: stream index DAMAGED: %s\n", shard, err->text);
    if (cfg->action == CONFIG_REPAIR_CHECK) {
        return EVLOG_ERR_CORRUPT;
    }
    code = index_drop(disk, shard, err);
    if (code == 0) {
        fprintf(out, "shard %u: stream index removed: the next start makes it anew from the log\n", shard);
    }
    return code;
}

static int repair_all(const struct config *cfg, struct disk *disk, const struct el_node *node, FILE *out,
                      struct el_error *err)
{
    uint32_t damaged = 0, log_count = 0;
    for (uint32_t shard = 0; shard < node->shard_count; shard++) {
        bool log_damaged = false;
        int code = repair_shard(cfg, disk, shard, out, &log_damaged, err);
        if (code != 0 && code != EVLOG_ERR_CORRUPT) {
            return code;
        }
        damaged += code != 0 && !log_damaged;
        log_count += log_damaged;
    }
    if (log_count > 0) {
        return el_error_set(err, EVLOG_ERR_CORRUPT,
                            "the log of %u of %u shards does not verify: restore the directory from a backup",
                            log_count, node->shard_count);
    }
    if (damaged > 0) {
        return el_error_set(err, EVLOG_ERR_CORRUPT,
                            "the stream index of %u of %u shards is damaged: `evlogd --repair indexes` removes it, and "
                            "the next start makes it anew from the log",
                            damaged, node->shard_count);
    }
    return 0;
}

int repair_run(const struct config *cfg, FILE *out, struct el_error *err)
{
    struct data_dir dir = {.lock_fd = -1};
    struct el_node node;
    struct disk *disk = NULL;
    int code = disk_posix_open(cfg->data, &disk);
    if (code != 0) {
        return el_error_set(err, code, "data directory %s: %s", cfg->data, evlog_error_text(code));
    }
    /* Before anything is made: a wrong name of the directory must not leave one. */
    code = node_load(disk, &node, err);
    if (code == EVLOG_ERR_NOT_FOUND) {
        el_error_set(err, code, "%s is no data directory of evlogd: it has no node file", cfg->data);
    }
    code = code != 0 ? code : data_dir_open(cfg, &dir, err);
    code = code != 0 ? code : node_load(disk, &node, err);
    code = code != 0 ? code : repair_all(cfg, disk, &node, out, err);
    data_dir_close(&dir);
    disk_posix_close(disk);
    return code;
}
