/* libyaml's events to a bounded tree. The only user of libyaml. */
#include "yaml_tree.h"

#include <errno.h>
#include <stdio.h>
#include <yaml.h>

#include "base/cleanup.h"
#include "base/limits.h"

struct anchor {
    struct pst_str name;
    struct pst_yaml_node *node;
    struct anchor *next;
};

struct reader {
    yaml_parser_t parser;
    const char *name;
    struct pst_arena *arena;
    struct pst_error *error;
    struct anchor *anchors;
    size_t anchor_count;
    size_t nodes; /* after aliases */
};

static int refuse(struct reader *reader, yaml_mark_t mark, const char *remedy, const char *text)
{
    char where[320];
    (void)snprintf(where, sizeof where, "%s:%zu:%zu", reader->name, mark.line + 1, mark.column + 1);
    return pst_error_set(reader->error, PST_EXIT_USAGE, where, remedy, "%s", text);
}

/* libyaml's own complaint. The place of a reader error is a byte offset, not a line. */
static int refuse_parser(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    char text[300];
    yaml_mark_t mark = parser->problem_mark;
    const char *problem = parser->problem ? parser->problem : "not valid YAML";

    if (parser->error == YAML_MEMORY_ERROR)
        return pst_error_set(reader->error, PST_EXIT_FAILED, reader->name, NULL, "out of memory");
    if (parser->error == YAML_READER_ERROR) {
        (void)snprintf(text, sizeof text, "%s at byte %zu", problem, parser->problem_offset);
        return refuse(reader, parser->mark, "the file must be plain UTF-8 text", text);
    }
    if (parser->context)
        (void)snprintf(text, sizeof text, "%s (%s that begins in line %zu)", problem,
                       parser->context, parser->context_mark.line + 1);
    else
        (void)snprintf(text, sizeof text, "%s", problem);
    if (strstr(problem, "tab") != NULL || strstr(problem, "start any token") != NULL)
        return refuse(reader, mark, "indent with spaces, quote values that start with @ or `",
                      text);
    return refuse(reader, mark, "check indentation and the colons above this line", text);
}

static int next_event(struct reader *reader, yaml_event_t *event)
{
    if (yaml_parser_parse(&reader->parser, event))
        return 0;
    return refuse_parser(reader);
}

static struct pst_yaml_node *new_node(struct reader *reader, enum pst_yaml_kind kind,
                                      const yaml_event_t *event)
{
    struct pst_yaml_node *node = pst_arena_alloc(reader->arena, sizeof *node);
    if (!node)
        return NULL;
    *node = (struct pst_yaml_node){.kind = kind,
                                   .line = (unsigned)event->start_mark.line + 1,
                                   .column = (unsigned)event->start_mark.column + 1,
                                   .weight = 1};
    return node;
}

static int out_of_memory(struct reader *reader, const yaml_event_t *event)
{
    return refuse(reader, event->start_mark, NULL, "larger than a configuration may be");
}

static int count_nodes(struct reader *reader, const yaml_event_t *event, size_t weight)
{
    reader->nodes += weight;
    if (reader->nodes > PST_MAX_CONFIG_NODES)
        return refuse(reader, event->start_mark, "do not nest aliases", "too many nodes");
    return 0;
}

static int check_tag(struct reader *reader, const yaml_event_t *event, const yaml_char_t *tag)
{
    static const char core[] = "tag:yaml.org,2002:";
    static const char *const known[] = {"str", "int", "float", "bool", "null", "map", "seq"};

    if (!tag || strcmp((const char *)tag, "!") == 0)
        return 0;
    if (strncmp((const char *)tag, core, sizeof core - 1) == 0)
        for (size_t i = 0; i < PST_ARRAY_SIZE(known); i++)
            if (strcmp((const char *)tag + sizeof core - 1, known[i]) == 0)
                return 0;
    return refuse(reader, event->start_mark, "write the plain value", "tags are not supported");
}

/* Remembers a finished node by its anchor: a node is no ancestor of itself that way. */
static int remember(struct reader *reader, const yaml_event_t *event, struct pst_str name,
                    struct pst_yaml_node *node)
{
    struct anchor *anchor;

    if (reader->anchor_count == PST_MAX_CONFIG_KEYS)
        return refuse(reader, event->start_mark, NULL, "too many anchors");
    anchor = pst_arena_alloc(reader->arena, sizeof *anchor);
    if (!anchor)
        return out_of_memory(reader, event);
    *anchor = (struct anchor){.name = name, .node = node, .next = reader->anchors};
    reader->anchors = anchor;
    reader->anchor_count++;
    return 0;
}

static int copy_text(struct reader *reader, const yaml_event_t *event, const void *text, size_t len,
                     struct pst_str *ret)
{
    char *copy = pst_arena_alloc(reader->arena, len + 1);
    if (!copy)
        return out_of_memory(reader, event);
    memcpy(copy, text, len);
    copy[len] = 0;
    *ret = (struct pst_str){copy, len};
    return 0;
}

static bool is_null(const yaml_event_t *event, struct pst_str text)
{
    return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (text.len == 0 || pst_str_eq(text, PST_STR("~")) || pst_str_eq(text, PST_STR("null")) ||
            pst_str_eq(text, PST_STR("Null")) || pst_str_eq(text, PST_STR("NULL")));
}

static int read_scalar(struct reader *reader, const yaml_event_t *event, struct pst_yaml_node *node)
{
    int rc;

    if (memchr(event->data.scalar.value, 0, event->data.scalar.length))
        return refuse(reader, event->start_mark, NULL, "a value may not hold the NUL character");
    rc = copy_text(reader, event, event->data.scalar.value, event->data.scalar.length, &node->text);
    if (rc == 0)
        node->null = is_null(event, node->text);
    return rc;
}

static int read_node(struct reader *reader, const yaml_event_t *event, unsigned depth,
                     struct pst_yaml_node **ret);

/* The key's event has been read. Duplicates are refused here, with both places. */
static int check_key(struct reader *reader, const yaml_event_t *event,
                     const struct pst_yaml_node *map, const struct pst_yaml_node *key)
{
    char text[160];

    if (key->kind != PST_YAML_SCALAR)
        return refuse(reader, event->start_mark, NULL, "a key must be a word");
    if (pst_str_eq(key->text, PST_STR("<<")))
        return refuse(reader, event->start_mark, "write the keys out, or alias whole values",
                      "merge keys are not supported");
    if (map->count == PST_MAX_CONFIG_KEYS)
        return refuse(reader, event->start_mark, NULL, "too many keys in one mapping");
    for (const struct pst_yaml_entry *entry = map->entries; entry; entry = entry->next)
        if (pst_str_eq(entry->key->text, key->text)) {
            (void)snprintf(text, sizeof text, "duplicate key %.60s, first given in line %u",
                           key->text.ptr, entry->key->line);
            return refuse(reader, event->start_mark, "remove one of them", text);
        }
    return 0;
}

/* Reads entries until the event that closes the container. */
static int read_entries(struct reader *reader, unsigned depth, struct pst_yaml_node *node)
{
    struct pst_yaml_entry **tail = &node->entries;
    bool mapping = node->kind == PST_YAML_MAPPING;

    for (;;) {
        struct pst_yaml_entry *entry;
        yaml_event_t event;
        int rc = next_event(reader, &event);

        if (rc < 0)
            return rc;
        if (event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return 0;
        }
        entry = pst_arena_alloc(reader->arena, sizeof *entry);
        rc = entry ? 0 : out_of_memory(reader, &event);
        if (rc == 0) {
            *entry = (struct pst_yaml_entry){0};
            rc = read_node(reader, &event, depth, mapping ? &entry->key : &entry->value);
        }
        if (rc == 0 && mapping)
            rc = check_key(reader, &event, node, entry->key);
        yaml_event_delete(&event);
        if (rc < 0)
            return rc;
        if (mapping) {
            rc = next_event(reader, &event);
            if (rc < 0)
                return rc;
            rc = read_node(reader, &event, depth, &entry->value);
            yaml_event_delete(&event);
            if (rc < 0)
                return rc;
        }
        node->weight += entry->value->weight + mapping;
        *tail = entry;
        tail = &entry->next;
        node->count++;
    }
}

static int read_alias(struct reader *reader, const yaml_event_t *event, struct pst_yaml_node **ret)
{
    struct pst_str name = pst_str((const char *)event->data.alias.anchor);

    for (const struct anchor *anchor = reader->anchors; anchor; anchor = anchor->next)
        if (pst_str_eq(anchor->name, name)) {
            *ret = anchor->node;
            return count_nodes(reader, event, anchor->node->weight);
        }
    return refuse(reader, event->start_mark, "an alias names an anchor that ended above it",
                  "unknown alias");
}

static int read_node(struct reader *reader, const yaml_event_t *event, unsigned depth,
                     struct pst_yaml_node **ret)
{
    struct pst_yaml_node *node;
    const yaml_char_t *anchor, *tag;
    struct pst_str anchor_name = {NULL, 0};
    enum pst_yaml_kind kind;
    int rc;

    if (event->type == YAML_ALIAS_EVENT)
        return read_alias(reader, event, ret);
    if (event->type == YAML_SCALAR_EVENT) {
        kind = PST_YAML_SCALAR;
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        kind = PST_YAML_SEQUENCE;
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        kind = PST_YAML_MAPPING;
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    } else {
        return refuse(reader, event->start_mark, NULL, "not a value");
    }
    if (depth == PST_MAX_CONFIG_DEPTH)
        return refuse(reader, event->start_mark, NULL, "nested too deeply");
    node = new_node(reader, kind, event);
    if (!node)
        return out_of_memory(reader, event);
    rc = count_nodes(reader, event, 1);
    rc = rc ? rc : check_tag(reader, event, tag);
    if (rc == 0 && anchor)
        rc = copy_text(reader, event, anchor, strlen((const char *)anchor), &anchor_name);
    if (rc == 0)
        rc = kind == PST_YAML_SCALAR ? read_scalar(reader, event, node)
                                     : read_entries(reader, depth + 1, node);
    if (rc == 0 && anchor_name.ptr)
        rc = remember(reader, event, anchor_name, node);
    if (rc == 0)
        *ret = node;
    return rc;
}

/* Stream start, one document at most, stream end. */
static int read_stream(struct reader *reader, struct pst_yaml_node **ret_root)
{
    bool seen = false;

    for (;;) {
        yaml_event_t event;
        bool end;
        int rc = next_event(reader, &event);

        if (rc < 0)
            return rc;
        end = event.type == YAML_STREAM_END_EVENT;
        if (event.type == YAML_DOCUMENT_START_EVENT && seen)
            rc = refuse(reader, event.start_mark, "keep one", "a second document");
        else if (event.type == YAML_DOCUMENT_START_EVENT)
            seen = true;
        else if (event.type != YAML_STREAM_START_EVENT && event.type != YAML_DOCUMENT_END_EVENT &&
                 !end)
            rc = read_node(reader, &event, 0, ret_root);
        yaml_event_delete(&event);
        if (rc < 0 || end)
            return rc;
    }
}

int pst_yaml_parse(struct pst_str text, const char *name, struct pst_arena *arena,
                   struct pst_yaml_node **ret_root, struct pst_error *error)
{
    struct reader reader = {.name = name, .arena = arena, .error = error};
    int rc;

    *ret_root = NULL;
    if (text.len > PST_MAX_CONFIG_BYTES)
        return pst_error_set(error, PST_EXIT_USAGE, name, NULL, "larger than %d bytes",
                             PST_MAX_CONFIG_BYTES);
    if (!yaml_parser_initialize(&reader.parser))
        return pst_error_set(error, PST_EXIT_FAILED, name, NULL, "out of memory");
    /* With the encoding set, UTF-16 is an error instead of a guess; a BOM is then ours to skip. */
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    if (pst_str_starts(text, PST_STR("\xef\xbb\xbf")))
        text = (struct pst_str){text.ptr + 3, text.len - 3};
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)(text.ptr ? text.ptr : ""),
                                 text.len);
    rc = read_stream(&reader, ret_root);
    yaml_parser_delete(&reader.parser);
    return rc;
}
