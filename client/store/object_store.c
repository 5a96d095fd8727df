/* SPDX-License-Identifier: Apache-2.0
 *
 * Which store a URL names.
 */
#include <store/dir_store.h>
#include <store/object_store.h>

int object_store_open(const char *url, bool create, struct object_store **store, struct el_error *err)
{
    static const char file[] = "file://";
    if (strncmp(url, file, sizeof file - 1) == 0) {
        const char *path = url + sizeof file - 1;
        return path[0] == '/' ? dir_store_open(path, create, url, store, err)
                              : el_error_set(err, EVLOG_ERR_ARGUMENT,
                                             "%.200s: a directory is named by its whole path: file:///DIR", url);
    }
    /* What stands before the first "/" is all that is repeated: what follows may be a secret. */
    return el_error_set(err, EVLOG_ERR_ARGUMENT, "%.*s...: neither s3://BUCKET/PREFIX nor file:///DIR",
                        (int)EL_MIN(strcspn(url, "/@?"), 40), url);
}
