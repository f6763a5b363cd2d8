/* What `ps --json` prints: outside text as valid UTF-8, secrets masked. */
#include <jansson.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/limits.h"
#include "labels/mask.h"
#include "ps.h"
#include "python/python.h"

static json_t *json_text(struct pst_str text)
{
    struct pst_buf utf8 __attribute__((cleanup(pst_buf_done)));

    pst_buf_init(&utf8, 4 * PST_MAX_CMDLINE_BYTES);
    if (pst_buf_utf8(&utf8, text) < 0)
        return NULL;
    return json_stringn(utf8.data ? utf8.data : "", utf8.len);
}

static json_t *json_command(const struct pst_facts *facts)
{
    struct pst_buf text __attribute__((cleanup(pst_buf_done)));

    pst_buf_init(&text, 2 * PST_MAX_CMDLINE_BYTES);
    return pst_mask_arguments(facts->argv, &text) == 0 ? json_text(pst_buf_view(&text)) : NULL;
}

static void json_label(json_t *object, struct pst_str name, struct pst_str value)
{
    char *key = pst_str_dup(name);

    if (key)
        (void)json_object_set_new(object, key, json_text(value));
    free(key);
}

static json_t *json_series(const struct pst_labels *labels)
{
    json_t *object = json_object();
    struct pst_str name, value;

    for (size_t i = 0; labels && i < pst_labels_count(labels); i++) {
        pst_labels_at(labels, i, &name, &value);
        json_label(object, name, value);
    }
    return object;
}

static json_t *json_meta(const struct pst_meta *meta)
{
    json_t *object = json_object();
    struct pst_str name, value;

    for (size_t i = 0; i < pst_meta_count(meta); i++) {
        pst_meta_at(meta, i, &name, &value);
        json_label(object, name, value);
    }
    return object;
}

static json_t *json_row(const struct pst_ps_row *row)
{
    const struct pst_facts *facts = row->facts;
    char version[32];

    pst_version_text(facts->runtime.hexversion, version, sizeof(version));
    json_t *object = json_pack(
        "{s:i, s:i, s:I, s:s, s:s, s:b, s:b, s:s, s:s, s:s}", "pid", (int)facts->pid, "ppid",
        (int)facts->ppid, "uid", (json_int_t)facts->uid, "python", version, "build",
        pst_build_word(facts->build), "free_threaded", (int)facts->runtime.free_threaded, "debug",
        (int)facts->debug_build, "state", row->state, "reason", row->reason, "environment_from",
        pst_env_source_word(facts->env_source));
    if (!object)
        return NULL;
    (void)json_object_set_new(object, "verified",
                              json_boolean(pst_python_version_verified(&facts->runtime)));
    (void)json_object_set_new(object, "jit", json_boolean(row->jit));
    (void)json_object_set_new(object, "start_time_ns",
                              json_integer((json_int_t)facts->start_time_ns));
    (void)json_object_set_new(object, "service", json_text(pst_ps_service(row)));
    (void)json_object_set_new(object, "container", json_text(facts->container_id));
    (void)json_object_set_new(object, "exe", json_text(facts->exe));
    (void)json_object_set_new(object, "image", json_text(facts->image));
    (void)json_object_set_new(object, "command", json_command(facts));
    (void)json_object_set_new(object, "labels_before", json_meta(row->naming.before));
    (void)json_object_set_new(object, "labels", json_series(row->naming.after));
    if (facts->second.hexversion)
        (void)json_object_set_new(
            object, "second_python",
            json_string(pst_version_text(facts->second.hexversion, version, sizeof(version))));
    (void)json_object_set_new(object, "why", json_text(pst_str(row->naming.why)));
    return object;
}

int pst_ps_print_json(const struct pst_ps_row *rows, size_t count, bool as_list)
{
    json_t *list = json_array();
    int code = PST_EXIT_OK;

    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(list, json_row(&rows[i]));
    json_t *root = as_list ? list : json_array_get(list, 0);
    if (json_dumpf(root, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_SORT_KEYS) < 0 ||
        printf("\n") < 0)
        code = PST_EXIT_FAILED;
    json_decref(list);
    return code;
}
