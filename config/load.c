/* The order of sources: default, file, environment, flag; the last one that speaks wins. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/limits.h"
#include "config/value.h"
#include "internal.h"

static void format_place(struct pst_place place, char *text, size_t size)
{
    if (place.line)
        (void)snprintf(text, size, "%s:%u:%u", place.name, place.line, place.column);
    else
        (void)snprintf(text, size, "%s", place.name);
}

int pst_load_refuse(struct pst_load *load, struct pst_place place, const char *remedy,
                    const char *format, ...)
{
    char where[320], text[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    format_place(place, where, sizeof where);
    return pst_error_set(load->error, PST_EXIT_USAGE, where, remedy, "%s", text);
}

int pst_load_out_of_memory(struct pst_load *load, struct pst_place place)
{
    (void)pst_load_refuse(load, place, NULL, "larger than a configuration may be");
    return -EINVAL;
}

const char *pst_load_env(const struct pst_load *load, const char *name)
{
    size_t len = strlen(name);

    for (char *const *entry = load->environment; entry && *entry; entry++)
        if (strncmp(*entry, name, len) == 0 && (*entry)[len] == '=')
            return (*entry)[len + 1] ? *entry + len + 1 : NULL;
    return NULL;
}

void *pst_load_alloc(struct pst_load *load, size_t bytes)
{
    void *memory = pst_arena_alloc(&load->snapshot->arena, bytes);
    if (memory)
        memset(memory, 0, bytes);
    return memory;
}

char *pst_load_copy(struct pst_load *load, struct pst_str text)
{
    char *copy = pst_arena_alloc(&load->snapshot->arena, text.len + 1);

    if (!copy)
        return NULL;
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    return copy;
}

int pst_load_add(struct pst_load *load, struct pst_config_strings *list, size_t max,
                 struct pst_str text)
{
    for (size_t i = 0; i < list->count; i++)
        if (pst_str_eq(pst_str(list->items[i]), text))
            return 0;
    if (list->count == max)
        return -ENOSPC;
    if ((list->count & (list->count - 1)) == 0) { /* doubles at each power of two */
        size_t room = list->count ? list->count * 2 : 1;
        char **items = pst_load_alloc(load, room * sizeof *items);
        if (!items)
            return -ENOMEM;
        if (list->count)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
    }
    list->items[list->count] = pst_load_copy(load, text);
    if (!list->items[list->count])
        return -ENOMEM;
    list->count++;
    return 0;
}

int pst_load_warn(struct pst_load *load, struct pst_place place, const char *format, ...)
{
    char where[320], text[400], line[760];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    format_place(place, where, sizeof where);
    (void)snprintf(line, sizeof line, "%s: %s", where, text);
    /* Past the bound a warning is lost, nothing else. */
    (void)pst_load_add(load, &load->snapshot->config.warnings, PST_MAX_CONFIG_ENTRIES,
                       pst_str(line));
    return 0;
}

/* Whether the field holds what its row says anyway. */
static bool is_default(const struct pst_load *load, const struct pst_setting *row)
{
    const void *field = (const char *)load->snapshot + row->offset;

    switch (row->type) {
    case PST_SETTING_BOOL:
        return *(const bool *)field == (strcmp(row->fallback, "true") == 0);
    case PST_SETTING_RULES:
        return ((const struct pst_config_rules *)field)->count == 0;
    case PST_SETTING_STRING:
    case PST_SETTING_ENUM:
        return (*(char *const *)field)[0] == 0 || strcmp(*(char *const *)field, row->fallback) == 0;
    default:
        return false;
    }
}

/* Remembers where a setting's value came from, and warns when it has no effect yet. */
static void given(struct pst_load *load, const struct pst_setting *row, struct pst_place place)
{
    size_t index = (size_t)(row - pst_settings);
    struct pst_str name = pst_setting_name(row);

    load->snapshot->origins[index].origin = place.origin;
    load->snapshot->origins[index].line = place.line;
    load->snapshot->origins[index].column = place.column;
    if ((row->flags & PST_SETTING_LATER) && !is_default(load, row))
        (void)pst_load_warn(load, place, "%.*s is accepted but has no effect yet", (int)name.len,
                            name.ptr);
}

static int load_file(struct pst_load *load, const char *file)
{
    struct pst_place place = {file, 0, 0, PST_ORIGIN_FILE};
    struct pst_place seen[PST_SETTINGS_MAX] = {{0}};
    struct pst_yaml_node *root = NULL;
    struct pst_buf text;
    int rc;

    pst_buf_init(&text, PST_MAX_CONFIG_BYTES);
    rc = pst_io_read_file(AT_FDCWD, file, &text, false);
    if (rc < 0)
        rc = pst_load_refuse(load, place, "give the path of a YAML file", "cannot be read: %s",
                             rc == -EFBIG ? "larger than 1 MiB" : strerror(-rc));
    else
        rc = pst_yaml_parse(pst_buf_view(&text), file, &load->snapshot->arena, &root, load->error);
    pst_buf_done(&text);
    if (rc < 0 || !root || (root->kind == PST_YAML_SCALAR && root->null))
        return rc;
    rc =
        pst_apply_mapping(load, pst_settings, 0, load->snapshot, file, PST_ORIGIN_FILE, root, seen);
    for (const struct pst_setting *row = pst_settings; rc == 0 && row->path; row++)
        if (seen[row - pst_settings].line)
            given(load, row, seen[row - pst_settings]);
    return rc;
}

static int apply_outer(struct pst_load *load, const struct pst_setting *row, struct pst_place place,
                       struct pst_str value)
{
    int rc;

    if (pst_utf8_valid_prefix(value) != value.len)
        return pst_load_refuse(load, place, NULL, "not valid UTF-8");
    rc = pst_apply_text(load, row, load->snapshot, place, value);
    if (rc == 0)
        given(load, row, place);
    return rc;
}

static int load_environment(struct pst_load *load)
{
    for (const struct pst_setting *row = pst_settings; row->path; row++) {
        char name[160];
        const char *value;
        char *copy;
        int rc;

        pst_setting_env_name(row, name, sizeof name);
        value = pst_load_env(load, name);
        if (!value)
            continue;
        copy = pst_load_copy(load, pst_str(name)); /* exporter entries keep their place */
        if (!copy)
            return pst_load_out_of_memory(load, (struct pst_place){name, 0, 0, 0});
        rc = apply_outer(load, row, (struct pst_place){copy, 0, 0, PST_ORIGIN_ENVIRONMENT},
                         pst_str(value));
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Variables that look like a misspelt setting. Others with the prefix are left alone: Kubernetes
 * makes PYSTROBE_PORT and the like for a service of that name. */
static void warn_of_near_variables(struct pst_load *load)
{
    for (char *const *entry = load->environment; entry && *entry; entry++) {
        struct pst_str text = pst_str(*entry);
        struct pst_str name = {text.ptr, pst_str_find(text, '=')};
        const struct pst_setting *near = NULL;
        char known[160];

        if (!pst_str_starts(name, PST_STR("PYSTROBE_")))
            continue;
        for (const struct pst_setting *row = pst_settings; row->path; row++) {
            unsigned distance;
            pst_setting_env_name(row, known, sizeof known);
            distance = pst_value_distance(pst_str(known), name);
            if (distance == 0) {
                near = NULL;
                break;
            }
            if (distance <= 2)
                near = row;
        }
        if (!near)
            continue;
        pst_setting_env_name(near, known, sizeof known);
        (void)pst_load_warn(load, (struct pst_place){"environment", 0, 0, 0},
                            "%.*s is not a setting; did you mean %s?", (int)name.len, name.ptr,
                            known);
    }
}

static int load_override(struct pst_load *load, const char *text)
{
    struct pst_str all = pst_str(text);
    size_t equals = pst_str_find(all, '=');
    struct pst_str path = {all.ptr, equals};
    struct pst_place place = {"--set", 0, 0, PST_ORIGIN_FLAG};
    const struct pst_setting *row;
    char remedy[300];

    if (equals == all.len)
        return pst_load_refuse(load, place, "write --set sampling.hz=97", "%.80s has no =", text);
    row = pst_setting_find(pst_settings, path);
    if (!row) {
        size_t dot = pst_str_rfind(path, '.');
        struct pst_str group = {path.ptr, dot < path.len ? dot : 0};
        struct pst_str key =
            dot < path.len ? (struct pst_str){path.ptr + dot + 1, path.len - dot - 1} : path;
        if (!pst_setting_is_group(pst_settings, group))
            group.len = 0;
        pst_setting_suggest(pst_settings, 0, group, key, remedy, sizeof remedy);
        return pst_load_refuse(load, place, remedy, "unknown setting %.*s",
                               (int)(path.len < 80 ? path.len : 80), path.ptr);
    }
    return apply_outer(load, row, place,
                       (struct pst_str){all.ptr + equals + 1, all.len - equals - 1});
}

static bool exporters_given(const struct pst_snapshot *snapshot)
{
    for (const struct pst_setting *row = pst_settings; row->path; row++)
        if (row->type == PST_SETTING_EXPORTERS)
            return snapshot->origins[row - pst_settings].origin != PST_ORIGIN_DEFAULT;
    return false;
}

static int load_all(struct pst_load *load, const char *file, const char *const *overrides,
                    size_t override_count)
{
    struct pst_config *config = &load->snapshot->config;
    int rc = pst_apply_defaults(load, pst_settings, 0, load->snapshot);

    config->file = pst_load_copy(load, pst_str(file ? file : ""));
    if (rc == 0 && !config->file)
        rc = pst_load_out_of_memory(load, (struct pst_place){"configuration", 0, 0, 0});
    if (rc == 0 && file) {
        (void)pst_load_add(load, &config->files, PST_MAX_CONFIG_WATCHES, pst_str(file));
        rc = load_file(load, config->file);
    }
    rc = rc ? rc : load_environment(load);
    for (size_t i = 0; i < override_count && rc == 0; i++)
        rc = load_override(load, overrides[i]);
    if (rc == 0 && !exporters_given(load->snapshot))
        rc = pst_standard_exporters(load);
    rc = rc ? rc : pst_exporters_finish(load);
    rc = rc ? rc : pst_config_check(load);
    if (rc == 0)
        warn_of_near_variables(load);
    return rc;
}

int pst_config_load(const char *file, const char *const *overrides, size_t override_count,
                    char *const *environment, struct pst_config **ret, struct pst_error *error)
{
    static _Atomic uint64_t generations;
    struct pst_snapshot *snapshot = calloc(1, sizeof *snapshot);
    struct pst_load load = {.snapshot = snapshot, .environment = environment, .error = error};
    int rc;

    if (!snapshot) {
        (void)pst_error_set(error, PST_EXIT_FAILED, file, NULL, "out of memory");
        return -EINVAL;
    }
    pst_arena_init(&snapshot->arena, PST_MAX_CONFIG_MEMORY_BYTES);
    atomic_init(&snapshot->references, 1);
    snapshot->loaded_ns = (int64_t)pst_clock_realtime_ns();
    rc = load_all(&load, file, overrides, override_count);
    if (rc < 0) {
        (void)pst_config_unref(&snapshot->config);
        return -EINVAL;
    }
    snapshot->config.generation = atomic_fetch_add(&generations, 1) + 1;
    *ret = &snapshot->config;
    return 0;
}

struct pst_config *pst_config_ref(struct pst_config *config)
{
    struct pst_snapshot *snapshot = (struct pst_snapshot *)(void *)config;
    (void)atomic_fetch_add(&snapshot->references, 1);
    return config;
}

struct pst_config *pst_config_unref(struct pst_config *config)
{
    struct pst_snapshot *snapshot = (struct pst_snapshot *)(void *)config;

    if (snapshot && atomic_fetch_sub(&snapshot->references, 1) == 1) {
        pst_arena_done(&snapshot->arena);
        free(snapshot);
    }
    return NULL;
}
