/* SPDX-License-Identifier: Apache-2.0 */
#include "place.h"

#include "fail.h"

#include <errno.h>
#include <stdlib.h>
#include <wire/position.h>

static bool read_number(const char **text, int64_t max, int64_t *number)
{
    if (**text < '0' || **text > '9') {
        return false;
    }
    char *end;
    errno = 0;
    long long value = strtoll(*text, &end, 10);
    *text = end;
    *number = value;
    return errno == 0 && value <= max;
}

/* TOPIC/PARTITION/OFFSET of an event. */
static bool read_path(const char *text, struct el_place *place)
{
    int64_t partition, offset;
    size_t len = strcspn(text, "/");
    if (len == 0 || len > EL_PLACE_TOPIC_MAX || text[len] != '/') {
        return false;
    }
    memcpy(place->topic, text, len);
    place->topic[len] = '\0';
    text += len + 1;
    if (!read_number(&text, INT32_MAX, &partition) || *text++ != '/' || !read_number(&text, INT64_MAX - 1, &offset) ||
        *text != '\0') {
        return false;
    }
    place->partition = (int32_t)partition;
    place->next_offset = offset + 1;
    return true;
}

static bool read_word(const char *text, struct el_place *place)
{
    struct el_position position;
    if (el_position_parse(el_slice_str(text), &position) != 0) {
        return false;
    }
    place->topic_id = position.topic_id;
    place->partition = position.partition;
    place->next_offset = position.offset;
    return true;
}

int el_place_read(const char *text, struct el_place *place, struct evlog_failure *failure)
{
    *place = (struct el_place){.partition = -1};
    if (strchr(text, '/') != NULL ? read_path(text, place) : read_word(text, place)) {
        return 0;
    }
    (void)el_fail(failure, EVLOG_ERR_MALFORMED, "\"%.60s\" is no position", text);
    el_fail_hint(failure, "a position is the word that an append printed, or TOPIC/PARTITION/OFFSET");
    return EVLOG_ERR_MALFORMED;
}

bool el_place_is_of(const struct el_place *place, const char *topic, const uint8_t topic_id[16])
{
    return place->topic[0] != '\0' ? strcmp(place->topic, topic) == 0
                                   : memcmp(place->topic_id.bytes, topic_id, 16) == 0;
}
