/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of an object store: the first byte chooses what the rest is taken for. What is believed keeps its bounds.
 */
#include "../../client/store/objects/s3_xml.h"

#include <core/assert.h>
#include <evlog/error.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool see_element(void *arg, const char *path, const char *text)
{
    EL_ASSERT(strlen(path) > 0);
    EL_ASSERT(strlen(path) < S3_XML_PATH_MAX);
    EL_ASSERT(strlen(text) <= S3_XML_TEXT_MAX + 3);
    return ++*(size_t *)arg < 10000;
}

static bool see_object(void *arg, const struct s3_xml_object *object)
{
    EL_ASSERT(strlen(object->key) > 0);
    EL_ASSERT(strlen(object->key) <= 1024);
    return ++*(size_t *)arg < 1000;
}

static bool see_upload(void *arg, const char *key, const char *id)
{
    EL_ASSERT(strlen(key) > 0);
    EL_ASSERT(strlen(id) > 0);
    EL_ASSERT(strpbrk(id, " \r\n\t") == NULL);
    return ++*(size_t *)arg < 1000;
}

static bool see_part(void *arg, const struct s3_xml_part *part)
{
    EL_ASSERT(part->number >= 1);
    EL_ASSERT(part->number <= 10000);
    EL_ASSERT(strpbrk(part->etag, "<>&\"\r\n ") == NULL);
    return ++*(size_t *)arg < 1000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct s3_xml_error error;
    char id[S3_UPLOAD_ID_MAX] = "";
    size_t count = 0;
    bool more = false;
    if (len == 0) {
        return 0;
    }
    struct el_slice text = el_slice_of(data + 1, len - 1);
    switch (data[0] % 6) {
    case 0:
        (void)s3_xml_read(text, see_element, &count);
        break;
    case 1:
        (void)s3_xml_list(text, see_object, &count, &more);
        break;
    case 2:
        (void)s3_xml_uploads(text, see_upload, &count, &more);
        break;
    case 3:
        (void)s3_xml_parts(text, see_part, &count, &more);
        break;
    case 4:
        if (s3_xml_upload(text, id) == 0) {
            EL_ASSERT(strlen(id) > 0);
        }
        break;
    default:
        if (s3_xml_is_error(text, &error)) {
            EL_ASSERT(strpbrk(error.message, "\r\n") == NULL);
        }
        EL_ASSERT(!s3_xml_is_completed(text) || !s3_xml_is_error(text, &error));
        break;
    }
    return 0;
}
