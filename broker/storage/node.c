/* SPDX-License-Identifier: Apache-2.0 */
#include <io/disk_file.h>
#include <storage/node.h>

int node_load(struct disk *disk, struct el_node *node, struct el_error *err)
{
    uint8_t p[EL_NODE_LEN];
    uint32_t format = 0;
    size_t done = 0;
    int code = disk_file_read(disk, "node", p, sizeof(p), &done);
    if (code != 0) {
        return el_error_set(err, code, "node file: %s", evlog_error_text(code));
    }
    code = done < sizeof(p) ? EVLOG_ERR_CORRUPT : el_node_get(p, node, &format);
    if (code == EVLOG_ERR_FORMAT) {
        return el_error_set(err, code, "data directory has format %u, this evlogd knows %u: start a newer evlogd",
                            format, EL_NODE_FORMAT);
    }
    return code == 0 ? 0
                     : el_error_set(err, code,
                                    "node file is damaged: this is no data directory of evlogd, or its disk lost data; "
                                    "restore it from a copy");
}

int node_store(struct disk *disk, const struct el_node *node, struct el_error *err)
{
    static const struct disk_file file = {"", "node", "node.tmp", 0};
    uint8_t p[EL_NODE_LEN];
    el_node_put(p, node);
    int code = disk_file_replace(disk, &file, p, sizeof(p));
    return code == 0 ? 0 : el_error_set(err, code, "writing the node file: %s", evlog_error_text(code));
}
