/* The effective configuration as YAML. Secrets, header values and user info of addresses are
 * masked; what is not a default says where it came from. */
#include <stdio.h>

#include "base/limits.h"
#include "config/value.h"
#include "internal.h"

struct printer {
    struct pst_buf *out;
    const char *indent;
    struct pst_str group; /* the open group of keys */
    bool dash;            /* the next line starts a list entry */
    int rc;
};

static void put(struct printer *printer, const char *text)
{
    if (printer->rc == 0)
        printer->rc = pst_buf_puts(printer->out, text);
}

static void put_str(struct printer *printer, struct pst_str text)
{
    if (printer->rc == 0)
        printer->rc = pst_buf_str(printer->out, text);
}

/* Bytes and code point of the character at the front of valid UTF-8. */
static size_t decode(struct pst_str text, uint32_t *ret)
{
    unsigned char lead = (unsigned char)text.ptr[0];
    size_t len = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    uint32_t point = len == 1 ? lead : lead & (0x7fu >> len);

    if (len > text.len)
        len = text.len;
    for (size_t i = 1; i < len; i++)
        point = point << 6 | ((unsigned char)text.ptr[i] & 0x3f);
    *ret = point;
    return len;
}

/* Characters that a YAML reader would refuse, fold or skip when they stand unescaped. */
static bool needs_escape(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x2028 || point == 0x2029 ||
           point == 0xfeff || point == 0xfffe || point == 0xffff;
}

/* Always quoted, references escaped: what is printed reads back as the same value. */
static void put_quoted(struct printer *printer, struct pst_str text)
{
    char before = 0, escape[12];
    size_t len;

    put(printer, "\"");
    for (; text.len; text = (struct pst_str){text.ptr + len, text.len - len}) {
        uint32_t point;
        if ((before == '$' && pst_str_starts(text, PST_STR("${"))) ||
            pst_str_starts(text, PST_STR("${env:")) || pst_str_starts(text, PST_STR("${file:")))
            put(printer, "$");
        before = text.ptr[0];
        len = decode(text, &point);
        if (needs_escape(point))
            (void)snprintf(escape, sizeof escape, "\\u%04x", (unsigned)point);
        else
            (void)snprintf(escape, sizeof escape, "%s%.*s",
                           point == '"' || point == '\\' ? "\\" : "", (int)len, text.ptr);
        put(printer, escape);
    }
    put(printer, "\"");
}

/* Masks the user info of an address, and those values of its query that are named like secrets. */
static void put_address(struct printer *printer, const char *text)
{
    struct pst_buf masked;
    const char *scheme = strstr(text, "://"), *host = scheme ? scheme + 3 : text;
    size_t authority = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', authority), *query;

    pst_buf_init(&masked, PST_MAX_CONFIG_VALUE_BYTES + 256);
    if (at) {
        printer->rc =
            printer->rc ? printer->rc : pst_buf_append(&masked, text, (size_t)(host - text));
        printer->rc = printer->rc ? printer->rc : pst_buf_puts(&masked, "***");
        text = at;
    }
    query = strchr(text, '?');
    printer->rc =
        printer->rc ? printer->rc
                    : pst_buf_append(&masked, text, query ? (size_t)(query - text) : strlen(text));
    if (query) {
        struct pst_str rest = pst_str(query + 1), part;
        const char *separator = "?";
        while (printer->rc == 0 && pst_str_next(&rest, '&', &part)) {
            size_t equals = pst_str_find(part, '=');
            bool secret =
                equals < part.len && pst_value_secret_name((struct pst_str){part.ptr, equals});
            printer->rc = pst_buf_puts(&masked, separator);
            printer->rc = printer->rc
                              ? printer->rc
                              : pst_buf_append(&masked, part.ptr, secret ? equals + 1 : part.len);
            if (secret && printer->rc == 0)
                printer->rc = pst_buf_puts(&masked, "***");
            separator = "&";
        }
    }
    put_quoted(printer, pst_buf_view(&masked));
    pst_buf_done(&masked);
}

static void put_pairs(struct printer *printer, const struct pst_config_pairs *pairs, bool masked)
{
    put(printer, "{");
    for (size_t i = 0; i < pairs->count; i++) {
        put(printer, i ? ", " : "");
        put_quoted(printer, pst_str(pairs->items[i].name));
        put(printer, ": ");
        if (masked || pst_value_secret_name(pst_str(pairs->items[i].name)))
            put(printer, "\"***\"");
        else
            put_quoted(printer, pst_str(pairs->items[i].value));
    }
    put(printer, "}");
}

static void put_strings(struct printer *printer, const struct pst_config_strings *strings)
{
    put(printer, "[");
    for (size_t i = 0; i < strings->count; i++) {
        put(printer, i ? ", " : "");
        put_quoted(printer, pst_str(strings->items[i]));
    }
    put(printer, "]");
}

static void put_choices(struct printer *printer, const char *choices, const bool *chosen)
{
    struct pst_str rest = pst_str(choices), choice;
    bool first = true;

    put(printer, "[");
    for (size_t i = 0; pst_str_next(&rest, '|', &choice); i++) {
        if (!chosen[i])
            continue;
        put(printer, first ? "" : ", ");
        put_str(printer, choice);
        first = false;
    }
    put(printer, "]");
}

static void put_number(struct printer *printer, const struct pst_setting *row, const void *field)
{
    char text[64] = "";
    uint64_t whole = 0;
    double number = 0;

    if (row->type == PST_SETTING_FLOAT || row->type == PST_SETTING_PERCENT)
        memcpy(&number, field, sizeof number);
    else if (row->type == PST_SETTING_UNSIGNED)
        whole = *(const unsigned *)field;
    else
        memcpy(&whole, field, sizeof whole);
    if (row->type == PST_SETTING_PERCENT)
        number *= 100;
    if (row->type == PST_SETTING_DURATION)
        pst_value_format_duration(whole, text, sizeof text);
    else if (row->type == PST_SETTING_SIZE)
        pst_value_format_size(whole, text, sizeof text);
    else if (row->type == PST_SETTING_FLOAT || row->type == PST_SETTING_PERCENT)
        pst_value_format_float(number, text, sizeof text);
    else
        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)whole);
    put(printer, text);
    put(printer, row->type == PST_SETTING_PERCENT ? "%" : "");
}

static void put_value(struct printer *printer, const struct pst_setting *row, const void *field)
{
    /* A truth value lies at any address. */
    const char *text = row->type == PST_SETTING_BOOL ? "" : *(char *const *)field;

    switch (row->type) {
    case PST_SETTING_BOOL:
        put(printer, *(const bool *)field ? "true" : "false");
        return;
    case PST_SETTING_SECRET:
        put(printer, text[0] ? "\"***\"" : "\"\"");
        return;
    case PST_SETTING_STRING:
    case PST_SETTING_DIRECTORY:
        if (row->flags & PST_SETTING_ADDRESS)
            put_address(printer, text);
        else
            put_quoted(printer, pst_str(text));
        return;
    case PST_SETTING_ENUM:
        put(printer, text[0] ? text : "\"\"");
        return;
    case PST_SETTING_CHOICES:
        put_choices(printer, row->choices, field);
        return;
    case PST_SETTING_STRINGS:
        put_strings(printer, field);
        return;
    case PST_SETTING_MAP:
        put_pairs(printer, field, false);
        return;
    case PST_SETTING_HEADERS:
        put_pairs(printer, field, true);
        return;
    default:
        put_number(printer, row, field);
        return;
    }
}

/* Opens the groups of a dotted name that are not open yet, and writes "key". */
static void put_key(struct printer *printer, struct pst_str name)
{
    size_t dot = pst_str_rfind(name, '.');
    struct pst_str group = dot < name.len ? (struct pst_str){name.ptr, dot} : PST_STR("");
    struct pst_str rest = group, part;
    size_t depth = 0, open = 0;

    /* How much of the group is shared with the open one: whole components only. */
    while (open < group.len && open < printer->group.len &&
           group.ptr[open] == printer->group.ptr[open])
        open++;
    if (!((open == group.len || group.ptr[open] == '.') &&
          (open == printer->group.len || printer->group.ptr[open] == '.')))
        while (open > 0 && group.ptr[open] != '.')
            open--;
    while (group.len && pst_str_next(&rest, '.', &part)) {
        if ((size_t)(part.ptr - group.ptr) + part.len > open) {
            put(printer, printer->indent);
            for (size_t i = 0; i < depth; i++)
                put(printer, "  ");
            put_str(printer, part);
            put(printer, ":\n");
        }
        depth++;
    }
    printer->group = group;
    put(printer, printer->dash ? "  - " : printer->indent);
    printer->dash = false;
    for (size_t i = 0; i < depth; i++)
        put(printer, "  ");
    put_str(printer,
            dot < name.len ? (struct pst_str){name.ptr + dot + 1, name.len - dot - 1} : name);
    put(printer, ": ");
}

/* Settings of an entry that say nothing are left out: most of an exporter's are unset. */
static bool is_silent(const struct pst_setting *row, const void *field)
{
    switch (row->type) {
    case PST_SETTING_BOOL:
        return !*(const bool *)field;
    case PST_SETTING_STRING:
    case PST_SETTING_SECRET:
    case PST_SETTING_ENUM:
    case PST_SETTING_DIRECTORY:
        return (*(char *const *)field)[0] == 0;
    case PST_SETTING_STRINGS:
        return ((const struct pst_config_strings *)field)->count == 0;
    case PST_SETTING_MAP:
    case PST_SETTING_HEADERS:
        return ((const struct pst_config_pairs *)field)->count == 0;
    default:
        return false;
    }
}

static void put_entry(struct printer *printer, const struct pst_setting *table, unsigned mask,
                      const void *entry)
{
    struct printer nested = {.out = printer->out, .indent = "    ", .dash = true};

    for (const struct pst_setting *row = table; row->path; row++) {
        const void *field = (const char *)entry + row->offset;
        bool kept = table == pst_exporter_settings && strcmp(row->path, "sample_labels") == 0 &&
                    ((const struct pst_config_exporter *)entry)->sample_labels_set;
        if ((mask && !(row->exporters & mask)) || (is_silent(row, field) && !kept))
            continue;
        /* The scheme alone means nothing; an empty list of sample labels does. */
        if (row->type == PST_SETTING_STRING && strcmp(row->path, "authorization.type") == 0 &&
            ((const struct pst_config_exporter *)entry)->authorization_credentials_file[0] == 0)
            continue;
        put_key(&nested, pst_setting_name(row));
        put_value(&nested, row, field);
        put(&nested, "\n");
    }
    if (printer->rc == 0)
        printer->rc = nested.rc;
}

static void put_exporters(struct printer *printer, const struct pst_config *config)
{
    if (config->exporter_count == 0)
        put(printer, "exporters: []");
    else
        put(printer, "exporters:");
    for (size_t i = 0; i < config->exporter_count; i++) {
        const struct pst_config_exporter *exporter = &config->exporters[i];
        put(printer, "\n  # ");
        put(printer, exporter->where);
        put(printer, "\n");
        put_entry(printer, pst_exporter_settings,
                  pst_setting_exporter_type(pst_str(exporter->type)), exporter);
        if (printer->rc == 0 && printer->out->len)
            printer->out->data[--printer->out->len] = 0; /* the caller ends the line */
    }
}

/* One line a rule, in flow form. */
static void put_rules(struct printer *printer, const struct pst_config_rules *rules)
{
    put(printer, "[");
    for (size_t i = 0; i < rules->count; i++) {
        bool first = true;
        put(printer, i ? ", {" : "{");
        for (const struct pst_setting *row = pst_rule_settings; row->path; row++) {
            const void *field = (const char *)&rules->items[i] + row->offset;
            if (is_silent(row, field))
                continue;
            put(printer, first ? "" : ", ");
            put_str(printer, pst_setting_name(row));
            put(printer, ": ");
            put_value(printer, row, field);
            first = false;
        }
        put(printer, "}");
    }
    put(printer, "]");
}

static void put_origin(struct printer *printer, const struct pst_snapshot *snapshot,
                       const struct pst_setting *row)
{
    size_t index = (size_t)(row - pst_settings);
    char text[240], name[160];

    switch (snapshot->origins[index].origin) {
    case PST_ORIGIN_DEFAULT:
        return;
    case PST_ORIGIN_FILE:
        (void)snprintf(text, sizeof text, " # file, line %u", snapshot->origins[index].line);
        break;
    case PST_ORIGIN_ENVIRONMENT:
        pst_setting_env_name(row, name, sizeof name);
        (void)snprintf(text, sizeof text, " # %s", name);
        break;
    case PST_ORIGIN_FLAG:
        (void)snprintf(text, sizeof text, " # --set");
        break;
    }
    put(printer, text);
}

int pst_config_show(const struct pst_config *config, struct pst_buf *out)
{
    const struct pst_snapshot *snapshot = (const struct pst_snapshot *)(const void *)config;
    struct printer printer = {.out = out, .indent = ""};

    for (const struct pst_setting *row = pst_settings; row->path; row++) {
        const void *field = (const char *)config + row->offset;
        if (row->type == PST_SETTING_EXPORTERS) {
            printer.group = PST_STR("");
            put_exporters(&printer, config);
        } else {
            put_key(&printer, pst_setting_name(row));
            if (row->type == PST_SETTING_RULES)
                put_rules(&printer, field);
            else
                put_value(&printer, row, field);
        }
        if (row->type != PST_SETTING_EXPORTERS)
            put_origin(&printer, snapshot, row);
        put(&printer, "\n");
    }
    return printer.rc;
}
