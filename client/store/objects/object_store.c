/* SPDX-License-Identifier: Apache-2.0
 *
 * Which store a URL names.
 */
#include "s3_state.h"

#include <store/dir_store.h>

int object_store_open(const char *url, bool create, struct object_store **store, struct el_error *err)
{
    static const char file[] = "file://", s3[] = "s3://";
    if (strncmp(url, file, sizeof file - 1) == 0) {
        const char *path = url + sizeof file - 1;
        return path[0] == '/' ? dir_store_open(path, create, url, store, err)
                              : el_error_set(err, EVLOG_ERR_ARGUMENT,
                                             "%.200s: a directory is named by its whole path: file:///DIR", url);
    }
    if (strncmp(url, s3, sizeof s3 - 1) == 0) {
        return s3_store_open(url, store, err);
    }
    /* What stands before the first "/" is all that is repeated: what follows may be a secret. */
    return el_error_set(err, EVLOG_ERR_ARGUMENT, "%.*s...: neither s3://BUCKET/PREFIX nor file:///DIR",
                        (int)EL_MIN(strcspn(url, "/@?"), 40), url);
}
