/* SPDX-License-Identifier: Apache-2.0 */
#include <storage/node.h>

#include <core/hash.h>

#define NODE_MAGIC "EVLOGNOD"
#define NODE_FORMAT 1u

int node_load(struct disk *disk, struct node_state *node, struct el_error *err)
{
    uint8_t p[NODE_FILE_LEN];
    size_t done = 0;
    int fd = -1;
    int code = disk_open(disk, "node", DISK_READ, &fd);
    if (code == 0) {
        code = disk_pread(disk, fd, p, sizeof(p), 0, &done);
        disk_close(disk, fd);
    }
    if (code != 0) {
        return el_error_set(err, code, "node file: %s", evlog_error_text(code));
    }
    if (done < sizeof(p) || memcmp(p, NODE_MAGIC, 8) != 0 || el_get_le64(p + 120) != el_xxh3(p, 120)) {
        return el_error_set(err, EVLOG_ERR_CORRUPT,
                            "node file is damaged: this is no data directory of evlogd, or its disk "
                            "lost data; restore it from a copy");
    }
    if (el_get_le32(p + 8) > NODE_FORMAT) {
        return el_error_set(err, EVLOG_ERR_FORMAT,
                            "data directory has format %u, this evlogd knows %u: start a newer evlogd",
                            el_get_le32(p + 8), NODE_FORMAT);
    }
    node->shard_count = el_get_le32(p + 12);
    memcpy(node->id.bytes, p + 16, 16);
    node->boot = el_get_le64(p + 32);
    node->leader_epoch = (int32_t)el_get_le32(p + 40);
    node->clean = el_get_le32(p + 44) == 1;
    node->clock_ns = el_get_le64(p + 48);
    node->incarnation = el_get_le64(p + 56);
    return 0;
}

int node_store(struct disk *disk, const struct node_state *node, struct el_error *err)
{
    uint8_t p[NODE_FILE_LEN] = {0};
    memcpy(p, NODE_MAGIC, 8);
    el_put_le32(p + 8, NODE_FORMAT);
    el_put_le32(p + 12, node->shard_count);
    memcpy(p + 16, node->id.bytes, 16);
    el_put_le64(p + 32, node->boot);
    el_put_le32(p + 40, (uint32_t)node->leader_epoch);
    el_put_le32(p + 44, node->clean);
    el_put_le64(p + 48, node->clock_ns);
    el_put_le64(p + 56, node->incarnation);
    el_put_le64(p + 120, el_xxh3(p, 120));
    int fd = -1;
    int code = disk_open(disk, "node.tmp", DISK_WRITE | DISK_CREATE, &fd);
    if (code == 0) {
        code = disk_pwrite(disk, fd, p, sizeof(p), 0);
        code = code != 0 ? code : disk_sync(disk, fd);
        disk_close(disk, fd);
    }
    code = code != 0 ? code : disk_rename(disk, "node.tmp", "node");
    code = code != 0 ? code : disk_sync_dir(disk, "");
    return code == 0 ? 0 : el_error_set(err, code, "writing the node file: %s", evlog_error_text(code));
}
