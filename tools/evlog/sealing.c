/* SPDX-License-Identifier: Apache-2.0
 *
 * A master key is never a value of an option or of the environment, where others could read it: both name files.
 */
#include "sealing.h"

#include <stdlib.h>
#include <string.h>

#define ALL "."

static const char *given(const char *option, const char *variable)
{
    const char *value = option != NULL ? option : getenv(variable);
    return value == NULL || value[0] == '\0' ? NULL : value;
}

int sealing_open(struct sealing *s, struct cli *cli, bool needed)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const char *keys = given(s->keys, "EVLOG_KEYS__STORE");
    s->cli = cli;
    if (keys == NULL) {
        return needed ? cli_error_remedy(cli,
                                         (struct cli_remedy){CLI_ERR_VALUE, "'evlog keys init DIR --master FILE' makes "
                                                                            "one"},
                                         "--keys DIR, or EVLOG_KEYS__STORE, names the key store")
                      : CLI_OK;
    }
    int rc = evlog_key_dir_open(keys, given(s->master, "EVLOG_KEYS__MASTER_FILE"), &s->store, &failure);
    return rc == 0 ? CLI_OK : cli_failure(cli, &failure);
}

bool sealing_wanted(const struct sealing *s)
{
    return s->paths.count > 0;
}

int sealing_open_to_seal(struct sealing *s, struct cli *cli)
{
    if (sealing_wanted(s) != (s->subject != NULL) || (s->subject != NULL && s->subject[0] == '\0')) {
        return cli_error(cli, CLI_ERR_VALUE, "--seal PATH and --subject NAME belong together");
    }
    for (size_t i = 0; i < s->paths.count; i++) {
        if (strcmp(s->paths.items[i], ALL) == 0 && s->paths.count > 1) {
            return cli_error(cli, CLI_ERR_VALUE, "--seal . is all of the data: no other path goes with it");
        }
    }
    return sealing_open(s, cli, sealing_wanted(s));
}

void sealing_close(struct sealing *s)
{
    evlog_sealed_free(&s->sealed);
    evlog_opened_free(&s->opened);
    evlog_key_store_close(s->store);
    cli_list_free(&s->paths);
    el_buffer_free(&s->value);
    s->store = NULL;
}

int sealing_seal(struct sealing *s, struct evlog_bytes key, const char *id, struct evlog_bytes *data,
                 struct evlog_failure *failure)
{
    struct evlog_seal seal = EVLOG_SEAL_INIT;
    seal.subject = (struct evlog_bytes){s->subject, strlen(s->subject)};
    seal.key = key;
    seal.id = id;
    bool all = s->paths.count == 1 && strcmp(s->paths.items[0], ALL) == 0;
    seal.paths = all ? NULL : s->paths.items;
    seal.path_count = all ? 0 : s->paths.count;
    evlog_sealed_free(&s->sealed);
    s->sealed.size = sizeof s->sealed;
    int rc = evlog_seal(s->store, &seal, *data, &s->sealed, failure);
    if (rc == 0) {
        *data = s->sealed.data;
    }
    return rc;
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static int refuse(const struct sealing *s, const struct evlog_event *event, struct evlog_failure *failure)
{
    char text[EVLOG_FAILURE_TEXT_MAX];
    (void)snprintf(text, sizeof text, "%.*s", (int)sizeof text - 1, failure->text);
    (void)snprintf(failure->text, sizeof failure->text, "%s[%d] offset %lld: %.300s", event->topic, event->partition,
                   (long long)event->offset, text);
    return cli_failure(s->cli, failure);
}

int sealing_open_data(struct sealing *s, const struct evlog_event *event, struct evlog_bytes id,
                      struct evlog_bytes *data)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    evlog_opened_free(&s->opened);
    if (s->store == NULL) {
        return CLI_OK;
    }
    s->opened.size = sizeof s->opened;
    int rc = evlog_open(s->store, event->key, id, *data, &s->opened, &failure);
    if (rc != 0) {
        return refuse(s, event, &failure);
    }
    *data = s->opened.data;
    return CLI_OK;
}

/* Put opened data where it lay in a value: it is the value, or stands in the envelope of a structured event. */
static int splice(struct sealing *s, const struct evlog_event *event, struct evlog_bytes was, struct evlog_bytes now)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const uint8_t *value = event->value.data, *part = was.data;
    if (part < value || part + was.len > value + event->value.len) {
        failure.code = EVLOG_ERR_UNSUPPORTED;
        (void)snprintf(failure.text, sizeof failure.text,
                       "sealed data inside data_base64 of an envelope is opened by "
                       "'evlog read' and 'evlog replay' only");
        return refuse(s, event, &failure);
    }
    el_buffer_reset(&s->value);
    el_buffer_append(&s->value, value, (size_t)(part - value));
    el_buffer_append(&s->value, now.data, now.len);
    el_buffer_append(&s->value, part + was.len, (size_t)(value + event->value.len - part) - was.len);
    s->event = *event;
    s->event.value = (struct evlog_bytes){s->value.len == 0 ? (const void *)"" : s->value.data, s->value.len};
    return s->value.err == 0 ? CLI_OK : cli_error(s->cli, CLI_ERR_OUTPUT, "no memory");
}

int sealing_open_event(struct sealing *s, const struct evlog_event **event)
{
    struct evlog_event_view view = {.size = sizeof view};
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    if (s->store == NULL) {
        return CLI_OK;
    }
    if (evlog_event_view(*event, &view) != 0) {
        failure.code = EVLOG_ERR_NO_MEMORY;
        return refuse(s, *event, &failure);
    }
    struct evlog_bytes data = view.data;
    int rc = sealing_open_data(s, *event, view.id, &data);
    if (rc == CLI_OK && s->opened.field_count > 0) {
        rc = splice(s, *event, view.data, data);
        *event = &s->event;
    }
    evlog_event_view_free(&view);
    return rc;
}
